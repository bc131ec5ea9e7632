"""Nobody is restarted who would not be injected, and one that can't be restarted keeps nobody else waiting."""

from __future__ import annotations

import base64
import typing
import uuid

import pytest

from ..conftest import Eventually
from . import installation
from .actors import Actors, lead_to_webhook, trusted, webhook_replicas
from .conftest import Operated, Start, healthy
from .server import ApiServer, Refused, free_ports

WHERE = "kubernetes.io/metadata.name"
POLICIES = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def another(operated: Operated) -> Actors:
    """A second team."""
    made = Actors(operated.api, f"test-{uuid.uuid4().hex[:8]}")
    operated.api.namespace(made.namespace)
    made.account()
    return made


def reconfigure(api: ApiServer, path: str, value: object) -> None:
    """Change the webhook's entry in its configuration."""
    operation = {"op": "add", "path": f"/webhooks/0/{path}", "value": value}
    api.request("PATCH", installation.WEBHOOK_CONFIGURATION, [operation], content_type=installation.JSON_PATCH)


def configured(api: ApiServer, path: str) -> typing.Any:
    """Read what the webhook's entry says."""
    return api.get(installation.WEBHOOK_CONFIGURATION)["webhooks"][0].get(path)


def test_a_namespace_that_the_webhook_is_not_asked_about_costs_nobody_a_restart(
    actors: Actors, another: Actors, operated: Operated, eventually: Eventually
) -> None:
    api, before = operated.api, configured(operated.api, "namespaceSelector")
    leaves_out = {"key": WHERE, "operator": "NotIn", "values": [actors.namespace]}
    reconfigure(api, "namespaceSelector", {"matchExpressions": [*before["matchExpressions"], leaves_out]})
    try:
        for team in (actors, another):
            team.deployment("a")
            team.collection()
        eventually(lambda: actors.told("a")[0] == "WebhookUnreachable")
        assert f"leaves namespace {actors.namespace} out" in actors.told("a")[1]
        assert actors.condition("Stalled") == ("True", "WebhookUnreachable")
        eventually(lambda: "WebhookUnreachable" in actors.events("Deployment", "a"))
        eventually(lambda: another.mark("a"))
        assert actors.mark("a") is None
        # Only asked for: nothing was made.
        assert len(actors.pods()) == 1
    finally:
        reconfigure(api, "namespaceSelector", before)
    # It goes on by itself.
    eventually(lambda: actors.mark("a"))
    actors.roll_out("a")
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))


def test_a_webhook_that_is_not_reached_though_it_is_ready_costs_nobody_a_restart(
    actors: Actors, operated: Operated, eventually: Eventually
) -> None:
    lead_to_webhook(operated.api, free_ports(1)[0])
    try:
        actors.deployment("a")
        actors.deployment("b")
        actors.collection()
        eventually(lambda: actors.told("a")[0] == "WebhookUnreachable")
        # One after the other was asked for.
        eventually(lambda: actors.told("b")[0] == "WebhookUnreachable")
        assert "a firewall" in actors.told("a")[1]
        # Another process goes by what this one has told.
        operated.replace_controller()
        eventually(lambda: healthy(operated.controller.health_port))
        assert (actors.mark("a"), actors.mark("b")) == (None, None)
    finally:
        lead_to_webhook(operated.api, operated.webhook.webhook_port)
    eventually(lambda: actors.mark("a"))
    assert actors.told("b")[0] in ("WaitingForTurn", "WebhookUnreachable")


def test_a_webhook_that_the_api_server_does_not_trust_costs_nobody_a_restart(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    webhook_replicas(own_api, 1)
    # Nobody mends the caBundle before the next resync.
    controller = start_operator("controller", own_api.kubeconfig, environment={"MODELDATA_RESYNC": "600"})
    webhook = start_operator("webhook", own_api.kubeconfig)
    lead_to_webhook(own_api, webhook.webhook_port)
    # Once in each of its rounds the controller looks at the configuration; this one it found before that was there.
    controller.stop()
    controller = start_operator("controller", own_api.kubeconfig, environment={"MODELDATA_RESYNC": "600"})
    eventually(lambda: healthy(controller.health_port) and healthy(webhook.health_port) and trusted(own_api))
    right = configured(own_api, "clientConfig")["caBundle"]
    wrong = base64.b64encode((own_api.directory / "tls.crt").read_bytes()).decode()
    reconfigure(own_api, "clientConfig/caBundle", wrong)
    team = Actors(own_api, "models")
    own_api.namespace("models")
    team.account()
    team.deployment("a")
    team.collection()
    eventually(lambda: team.told("a")[0] == "WebhookUnreachable")
    assert "does not trust it" in team.told("a")[1]
    assert team.mark("a") is None
    reconfigure(own_api, "clientConfig/caBundle", right)
    eventually(lambda: team.mark("a"))


def test_a_pod_that_somebody_refuses_is_told_in_their_words(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    actors.api.merge(f"/api/v1/namespaces/{actors.namespace}", {"metadata": {"labels": labels}})
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "RestartNotProven")
    assert 'violates PodSecurity "restricted' in actors.told("a")[1]
    assert actors.mark("a") is None
    eventually(lambda: "RestartNotProven" in actors.events("Deployment", "a"))
    lifted = dict.fromkeys(labels)
    actors.api.merge(f"/api/v1/namespaces/{actors.namespace}", {"metadata": {"labels": lifted}})
    eventually(lambda: actors.mark("a"))


def test_a_quota_that_is_used_up_is_told(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    quotas = f"/api/v1/namespaces/{actors.namespace}/resourcequotas"
    actors.api.create(quotas, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}})
    # As its controller would.
    status = {"status": {"hard": {"pods": "1"}, "used": {"pods": "1"}}}
    actors.api.merge(f"{quotas}/few/status", status)
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "RestartNotProven")
    assert "exceeded quota: few" in actors.told("a")[1]
    assert actors.mark("a") is None


def test_a_webhook_of_someone_elses_that_fails_is_told(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    entry = {
        "name": "counts.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {WHERE: actors.namespace}},
        "rules": rules,
    }
    path = f"{POLICIES}/mutatingwebhookconfigurations"
    actors.api.create(path, {"metadata": {"name": actors.namespace}, "webhooks": [entry]})
    try:
        # The API server takes a new configuration in a moment after it was made.
        eventually(lambda: "counts.example.com" in refusal(actors))
        actors.collection()
        eventually(lambda: actors.told("a")[0] == "RestartNotProven")
        assert "counts.example.com" in actors.told("a")[1]
        assert actors.mark("a") is None
    finally:
        actors.api.delete(f"{path}/{actors.namespace}")
    eventually(lambda: actors.mark("a"))


def refusal(actors: Actors) -> str:
    """What is said to a pod that is asked for."""
    try:
        path = f"/api/v1/namespaces/{actors.namespace}/pods?dryRun=All"
        actors.api.create(path, installation.pod("asked", app="asked"))
    except Refused as refused:
        return refused.message
    return ""


def test_one_that_must_not_be_restarted_keeps_no_other_waiting(actors: Actors, eventually: Eventually) -> None:
    forbid(actors, "object.metadata.name != 'a'", "a is ours")
    try:
        for name in ("a", "b"):
            actors.deployment(name)
        # The API server compiles a policy a moment after it was made.
        eventually(lambda: refused(actors, "a"))
        actors.collection()
        eventually(lambda: actors.mark("b"))
        assert actors.told("a")[0] == "RestartRefused"
        assert "a is ours" in actors.told("a")[1]
        assert actors.mark("a") is None
        eventually(lambda: "RestartRefused" in actors.events("Deployment", "a"))
    finally:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            actors.api.delete(f"{POLICIES}/{kind}/{actors.namespace}")


def refused(actors: Actors, name: str) -> bool:
    """Whether a Deployment's template must not be changed."""
    path = f"/apis/apps/v1/namespaces/{actors.namespace}/deployments/{name}?dryRun=All"
    try:
        actors.api.merge(path, {"spec": {"template": {"metadata": {"annotations": {"new": ""}}}}})
    except Refused:
        return True
    return False


def forbid(actors: Actors, rule: str, message: str) -> None:
    """Refuse changes of some Deployments' templates."""
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}]
    changed = "object.spec.template == oldObject.spec.template"
    policy = {
        "metadata": {"name": actors.namespace},
        "spec": {
            "matchConstraints": {
                "resourceRules": rules,
                "namespaceSelector": {"matchLabels": {WHERE: actors.namespace}},
            },
            "validations": [{"expression": f"{rule} || {changed}", "message": message}],
        },
    }
    actors.api.create(f"{POLICIES}/validatingadmissionpolicies", policy)
    binding = {"policyName": actors.namespace, "validationActions": ["Deny"]}
    path = f"{POLICIES}/validatingadmissionpolicybindings"
    actors.api.create(path, {"metadata": {"name": actors.namespace}, "spec": binding})
