"""The operator does all its work with the rights of its manifests, and has no others."""

from __future__ import annotations

import base64
import typing
from datetime import UTC, datetime

import pytest
import yaml

from modeldata_operator.trust import certificates

from ..conftest import Eventually
from . import installation, server
from .conftest import Start
from .installation import CONTROLLER, WEBHOOK
from .server import ApiServer
from .world import World

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    "/pods",
    "/pods/exec",
    "/pods/log",
    "/pods/eviction",
    "/pods/ephemeralcontainers",
    "/secrets",
    "/configmaps",
    "/events",
    "/namespaces",
    "/nodes",
    "/services",
    "/serviceaccounts",
    "/serviceaccounts/token",
    "apps/deployments",
    "apps/deployments/scale",
    "apps/replicasets",
    "apps/statefulsets",
    "apps/statefulsets/scale",
    "apps/daemonsets",
    "argoproj.io/rollouts",
    "argoproj.io/rollouts/status",
    "batch/jobs",
    "modeldata.dev/datacollections",
    "modeldata.dev/datacollections/status",
    "modeldata.dev/storagegrants",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "coordination.k8s.io/leases",
    "admissionregistration.k8s.io/validatingadmissionpolicies",
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/clusterrolebindings",
)

WATCHED = {
    ("list", "modeldata.dev/datacollections"),
    ("watch", "modeldata.dev/datacollections"),
    ("list", "apps/deployments"),
    ("watch", "apps/deployments"),
}
LABELS = {("list", "/namespaces"), ("watch", "/namespaces")}
GRANTS = {("list", "modeldata.dev/storagegrants"), ("watch", "modeldata.dev/storagegrants")}
SECRETS = {(verb, "/secrets") for verb in ("get", "create", "patch", "delete")}
PODS = {(verb, "/pods") for verb in ("list", "watch")}
REPORTS = {("patch", "modeldata.dev/datacollections/status"), ("create", "/events")}
LEASES = {(verb, "coordination.k8s.io/leases") for verb in ("get", "create", "patch")}
OTHERS = ("apps/statefulsets", "apps/daemonsets", "argoproj.io/rollouts")
KNOWN = {(verb, resource) for verb in ("list", "watch") for resource in OTHERS}
RESTARTS = {(verb, resource) for verb in ("get", "patch") for resource in ("apps/deployments", *OTHERS)}
RESTARTS |= {("create", "/pods"), ("create", "/pods/eviction")}
CHANGES = {(verb, "/pods") for verb in ("get", "patch")}
CLOSING = {(verb, "batch/jobs") for verb in ("list", "create", "delete")}
WORK = WATCHED | SECRETS | PODS | REPORTS | CHANGES | KNOWN | RESTARTS


@pytest.fixture
def world(own_api: ApiServer, eventually: Eventually) -> World:
    return World(own_api, eventually)


def allowed(api: ApiServer, account: str, *, namespace: str = "", name: str = "") -> set[tuple[str, str]]:
    return {
        (verb, resource)
        for verb in VERBS
        for resource in RESOURCES
        if installation.may(api, account, verb, resource, namespace=namespace, name=name)
    }


def neglect(world: World) -> None:
    """Make models that start before the operator does, and so miss the webhook."""
    world.api.namespace("models")
    world.deploy("scoring", "models")
    world.deploy("annotated", "models", collect_model_data="true")


def does_its_work(world: World, eventually: Eventually) -> None:
    """Let the operator do everything it ever does to others' objects, in namespace models."""
    world.account("models")
    world.collect("churn", "models", selector={"matchLabels": {"app": "scoring"}})
    assert eventually(lambda: world.secret("modeldata-churn", "models"))
    assert eventually(lambda: world.restarted_for("scoring", "models")).startswith("models/churn/")
    events = eventually(
        lambda: [
            event
            for event in world.api.get("/api/v1/namespaces/models/events")["items"]
            if event["reason"] == "Restarted"
        ]
    )
    assert events[0]["source"]["component"] == "modeldata-operator"
    pod = world.injected_pod("scoring", "models")
    path = "/apis/modeldata.dev/v1alpha1/namespaces/models/datacollections/churn"
    world.api.merge(path, {"spec": {"enabled": False}})
    eventually(lambda: world.settings(pod, "models")["enabled"] is False)
    world.api.merge(path, {"spec": {"enabled": True}})
    eventually(lambda: world.settings(pod, "models")["enabled"] is True)
    assert "CredentialsReady" in eventually(lambda: world.conditions("churn", "models"))
    # A SAS that someone damaged is replaced.
    world.api.merge("/api/v1/namespaces/models/secrets/modeldata-churn", {"data": {"sas": "eA=="}})
    eventually(lambda: (world.secret("modeldata-churn", "models") or {})["data"]["sas"] != "eA==")
    # A collection that goes switches its pods off.
    world.api.delete(path)
    eventually(lambda: world.settings(pod, "models")["enabled"] is False)


def serves_by_the_default(world: World, eventually: Eventually) -> None:
    """Let the operator's own default collection serve an annotated Deployment, and be deleted."""
    world.account(server.NAMESPACE)
    world.collect("default", server.NAMESPACE, **installation.serving(installation.EVERYWHERE))
    assert eventually(lambda: world.secret("modeldata-operator-default", "models"))
    assert eventually(lambda: world.restarted_for("annotated", "models")).startswith(f"{server.NAMESPACE}/default/")
    world.api.delete(f"/apis/modeldata.dev/v1alpha1/namespaces/{server.NAMESPACE}/datacollections/default")
    eventually(lambda: world.secret("modeldata-operator-default", "models") is None)


def test_the_operator_does_its_work_with_the_rights_it_is_installed_with(
    world: World, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(world.api)
    neglect(world)
    world.start(start_operator)
    does_its_work(world, eventually)
    serves_by_the_default(world, eventually)
    world.assert_never_refused()


def test_bound_in_one_namespace_the_right_on_secrets_suffices_there_and_its_lack_is_told_elsewhere(
    world: World, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(world.api)
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    binding = world.api.get(f"{rbac}/clusterrolebindings/modeldata-operator-credentials")
    world.api.delete(f"{rbac}/clusterrolebindings/modeldata-operator-credentials")
    neglect(world)
    narrow = {"metadata": {"name": "modeldata-operator-credentials"}}
    narrow |= {key: binding[key] for key in ("roleRef", "subjects")}
    world.api.create(f"{rbac}/namespaces/models/rolebindings", narrow)
    world.api.namespace("others")
    world.account("others")
    world.collect("churn", "others", selector={"matchLabels": {"app": "scoring"}})
    world.start(start_operator)
    does_its_work(world, eventually)
    conditions = eventually(lambda: world.conditions("churn", "others"))
    assert conditions["CredentialsReady"] == "CredentialsUnknown"


def test_a_namespaced_operator_does_its_work_there_and_does_not_see_other_namespaces(
    world: World, start_operator: Start, eventually: Eventually
) -> None:
    world.api.namespace("models")
    world.api.namespace("others")
    installation.install_operator(world.api, installation.NAMESPACED)
    neglect(world)
    world.account("others")
    world.collect("churn", "others", selector={"matchLabels": {"app": "scoring"}})
    world.deploy("scoring", "others")
    world.start(start_operator, MODELDATA_NAMESPACES="models")
    does_its_work(world, eventually)
    serves_by_the_default(world, eventually)
    # By now the same objects of another namespace would have been served as well.
    assert world.secret("modeldata-churn", "others") is None
    assert not world.restarted_for("scoring", "others")
    assert not world.conditions("churn", "others")
    assert "modeldata.dev/injected" not in world.pod("scoring", "others")["metadata"]["annotations"]
    world.assert_never_refused()


def test_a_namespace_that_is_gone_keeps_nobody_waiting_and_is_taken_in_when_it_has_its_role(
    world: World, start_operator: Start, eventually: Eventually
) -> None:
    world.api.namespace("models")
    installation.install_operator(world.api, installation.NAMESPACED)
    neglect(world)
    world.start(start_operator, MODELDATA_NAMESPACES="gone,models")
    does_its_work(world, eventually)
    world.assert_never_refused()
    world.api.namespace("gone")
    world.api.kubectl("apply", "-f", "-", input=rights_in("gone"))
    # Each stops by itself, and is started anew by whoever runs it.
    for each in world.running:
        assert eventually(lambda each=each: each.process.poll() is not None)
        assert each.process.returncode == 0
        assert "gone can be watched now" in each.said()


def rights_in(namespace: str) -> str:
    """Write the Roles and RoleBindings of the models' namespace, for another one."""
    manifests = yaml.safe_load_all(installation.NAMESPACED.read_text(encoding="utf-8"))
    found = [item for item in manifests if item["metadata"].get("namespace") == "models"]
    for item in found:
        item["metadata"]["namespace"] = namespace
    return yaml.safe_dump_all(found)


def test_a_given_certificate_is_served_and_neither_made_nor_announced_by_the_operator(
    world: World, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(world.api)
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    world.api.delete(f"{rbac}/clusterrolebindings/modeldata-operator-trust")
    own = f"{rbac}/namespaces/{server.NAMESPACE}/roles/modeldata-operator-controller"
    rules = [rule for rule in world.api.get(own)["rules"] if rule["resources"] == ["leases"]]
    world.api.merge(own, {"rules": rules})
    certificate, authority = issued()
    path = f"/api/v1/namespaces/{server.NAMESPACE}/secrets"
    world.api.create(path, {"metadata": {"name": "modeldata-webhook-tls"}, "type": "kubernetes.io/tls", **certificate})
    before = world.secret("modeldata-webhook-tls", server.NAMESPACE)
    operation = {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority}
    world.api.request("PATCH", installation.WEBHOOK_CONFIGURATION, [operation], content_type=installation.JSON_PATCH)
    neglect(world)
    world.start(start_operator, MODELDATA_CERTIFICATES="given")
    does_its_work(world, eventually)
    assert world.secret("modeldata-webhook-tls", server.NAMESPACE) == before
    assert world.api.get(installation.WEBHOOK_CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] == authority
    world.assert_never_refused()
    # Nobody mends what its issuer got wrong, so the one before stays.
    others = {"tls.crt": issued()[0]["data"]["tls.crt"]}
    world.api.merge(f"{path}/modeldata-webhook-tls", {"data": others})
    eventually(lambda: "Secret modeldata-webhook-tls not served with: " in world.running[1].said())
    world.collect("again", "models", selector={"matchLabels": {"app": "scoring"}})
    world.injected_pod("scoring", "models")


def issued() -> tuple[dict[str, typing.Any], str]:
    """Issue a certificate as cert-manager would: its authority's key stays with it."""
    host = f"{WEBHOOK}.{server.NAMESPACE}.svc"
    made = certificates.renewed(None, host=host, now=datetime.now(UTC))
    files = {"ca.crt": made.bundle, "tls.crt": made.certificate, "tls.key": made.key}
    return {"data": {name: base64.b64encode(value).decode() for name, value in files.items()}}, made.ca_bundle


def test_installed_for_the_cluster_the_accounts_have_these_rights_and_no_others(own_api: ApiServer) -> None:
    installation.install_operator(own_api)
    trusted = "admissionregistration.k8s.io/mutatingwebhookconfigurations"
    everywhere = WORK | LABELS | GRANTS
    for namespace in ("models", "kube-system"):
        assert allowed(own_api, CONTROLLER, namespace=namespace) == everywhere
        assert allowed(own_api, WEBHOOK, namespace=namespace) == WATCHED | LABELS
    assert allowed(own_api, CONTROLLER, name="modeldata-operator") == everywhere | {
        ("get", trusted),
        ("patch", trusted),
    }
    assert allowed(own_api, CONTROLLER, name="another") == everywhere
    own = {"namespace": server.NAMESPACE}
    create = {("create", "coordination.k8s.io/leases")}
    assert allowed(own_api, CONTROLLER, **own, name=CONTROLLER) == everywhere | LEASES | CLOSING
    assert allowed(own_api, CONTROLLER, **own, name="another") == everywhere | create | CLOSING
    certificate = allowed(own_api, WEBHOOK, namespace=server.NAMESPACE, name="modeldata-webhook-tls")
    assert certificate == WATCHED | LABELS | {("get", "/secrets")}
    assert allowed(own_api, WEBHOOK, namespace=server.NAMESPACE, name="another") == WATCHED | LABELS


def test_installed_for_a_namespace_the_accounts_have_no_right_elsewhere(own_api: ApiServer) -> None:
    own_api.namespace("models")
    installation.install_operator(own_api, installation.NAMESPACED)
    trusted = "admissionregistration.k8s.io/mutatingwebhookconfigurations"
    assert allowed(own_api, CONTROLLER, namespace="models") == WORK
    assert allowed(own_api, WEBHOOK, namespace="models") == WATCHED
    own = WATCHED | SECRETS | PODS | REPORTS | CLOSING
    assert allowed(own_api, CONTROLLER, namespace=server.NAMESPACE, name=CONTROLLER) == own | LEASES
    create = {("create", "coordination.k8s.io/leases")}
    assert allowed(own_api, CONTROLLER, namespace=server.NAMESPACE, name="another") == own | create
    for namespace in ("others", "kube-system", ""):
        assert allowed(own_api, CONTROLLER, namespace=namespace) == set()
        assert allowed(own_api, WEBHOOK, namespace=namespace) == set()
    assert allowed(own_api, CONTROLLER, name="modeldata-operator") == {("get", trusted), ("patch", trusted)}
    assert allowed(own_api, WEBHOOK, name="modeldata-operator") == set()
