"""Pods that sign in to Azure themselves, before a real API server, where Azure's own webhook may run too."""

from __future__ import annotations

import base64
import collections
import copy
import json
import pathlib
import typing
import uuid

import pytest
import yaml

from modeldata_operator.api import resources, workloads
from modeldata_operator.decide import injection

from ..conftest import AZURITE_KEY, Eventually, poll
from .azure_webhook import AzureWebhook
from .conftest import Running, healthy, operators
from .server import NAMESPACE, REPOSITORY, ApiServer, Refused, install

CLIENT = "01234567-89ab-cdef-0123-456789abcdef"
TENANT = "76543210-89ab-cdef-0123-456789abcdef"
THEIRS = "aaaaaaaa-89ab-cdef-0123-456789abcdef"
COLLECTIONS = "/apis/modeldata.dev/v1alpha1/namespaces/{}/datacollections"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
IDENTITY = {"workloadIdentity": {"clientId": CLIENT, "tenantId": TENANT}}
ACCOUNT = {"secretRef": {"name": "account"}}
NAMES = {"before": "azure-wi-webhook", "after": "zz-azure-wi-webhook"}
"""Webhooks are called in the order of their configurations' names."""


class Operated(typing.NamedTuple):
    api: ApiServer
    webhook: Running


@pytest.fixture(scope="module")
def operated() -> typing.Iterator[Operated]:
    """An API server with both of the operator's processes, the webhook as the manifest registers it."""
    server = ApiServer()
    try:
        server.start()
        install(server)
        with operators() as start:
            webhook = start("webhook", server.kubeconfig)
            _register(server, webhook.webhook_port)
            _deployment(server, NAMESPACE, "modeldata-operator-webhook")
            controller = start("controller", server.kubeconfig)
            poll(lambda: healthy(controller.health_port) and healthy(webhook.health_port), seconds=120)
            poll(lambda: server.get(f"{CONFIGURATIONS}/modeldata-operator")["webhooks"][0]["clientConfig"]["caBundle"])
            yield Operated(server, webhook)
    finally:
        server.close()


@pytest.fixture
def models(operated: Operated) -> str:
    """A namespace of this test's own, with Pod Security ``restricted`` and an account's Secret."""
    name = f"models-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    operated.api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    data = {"accountName": "account", "accountKey": AZURITE_KEY}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    operated.api.create(f"/api/v1/namespaces/{name}/secrets", {"metadata": {"name": "account"}, "data": encoded})
    return name


@pytest.fixture
def azure(operated: Operated, tmp_path: pathlib.Path) -> typing.Iterator[typing.Callable[..., AzureWebhook]]:
    """Run Azure's stand-in under a configuration of this name."""
    running: list[tuple[str, AzureWebhook]] = []

    def run(name: str, *, release: str, client: str = "") -> AzureWebhook:
        made = AzureWebhook(tmp_path, release=release, client=client, tenant=TENANT)
        running.append((name, made))
        operated.api.create(CONFIGURATIONS, made.configuration(name))

        def called() -> bool:  # the API server takes a moment to hear of a configuration
            body = _pod("probe", labels={"azure.workload.identity/use": "true"})
            operated.api.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", body)
            return made.calls > 0

        poll(called)
        made.calls = 0
        return made

    yield run
    for name, made in running:
        operated.api.delete(f"{CONFIGURATIONS}/{name}")
        made.close()


@pytest.mark.parametrize("release", ["1.5", "later"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_beside_azures_webhook_in_either_order_a_pod_gets_everything_once(
    operated: Operated, models: str, azure: typing.Callable[..., AzureWebhook], order: str, release: str
) -> None:
    made = _collect(operated.api, models, IDENTITY)
    theirs = azure(NAMES[order], release=release, client=THEIRS)
    labels = {"app": "churn", "azure.workload.identity/use": "true"}
    stored = poll(lambda: _injected(operated.api, models, _pod("scoring", labels=labels)))
    assert theirs.calls
    _assert_ours(stored)
    _assert_azures(stored)
    said = json.loads(stored["metadata"]["annotations"]["modeldata.dev/settings"])["storage"]["credential"]
    assert said["workloadIdentity"]["clientId"] == CLIENT
    again = copy.deepcopy(stored)
    plan = injection.plan(made, workloads.pod(again))
    assert isinstance(plan, injection.Plan)
    assert plan.hash == stored["metadata"]["annotations"]["modeldata.dev/injected"]
    injection.inject(again, plan, stored["metadata"]["annotations"]["modeldata.dev/settings"])
    assert again == stored


@pytest.mark.parametrize("order", ["before", "after"])
def test_azures_webhook_is_not_called_for_a_pod_that_did_not_ask_for_it(
    operated: Operated, models: str, azure: typing.Callable[..., AzureWebhook], order: str
) -> None:
    _collect(operated.api, models, IDENTITY)
    theirs = azure(NAMES[order], release="later", client=THEIRS)
    stored = poll(lambda: _injected(operated.api, models, _pod("scoring", labels={"app": "churn"})))
    assert theirs.calls == 0
    _assert_ours(stored)
    assert "azure.workload.identity" not in json.dumps(stored["metadata"])
    assert "AZURE_" not in json.dumps(stored["spec"])


def test_no_sas_is_made_and_the_status_says_what_can_be_known(
    operated: Operated, models: str, eventually: Eventually
) -> None:
    _collect(operated.api, models, IDENTITY)
    condition = eventually(lambda: _condition(operated.api, models, "WorkloadIdentity"))
    assert condition["status"] == "True"
    assert CLIENT in condition["message"]
    assert "only they can tell" in condition["message"]
    assert list(_handed_out(operated.api, models)) == ["hash-key"]


def test_a_switch_from_key_to_identity_takes_the_sas_back_when_no_pod_lives_by_it(
    operated: Operated, models: str, eventually: Eventually
) -> None:
    _collect(operated.api, models, ACCOUNT)
    first = eventually(lambda: _handed_out(operated.api, models))
    before = eventually(lambda: _injected(operated.api, models, _pod("old", labels={"app": "churn"})))
    assert not workloads.pod(before).has_token
    wanted = {"spec": {"storage": {"credential": {"secretRef": None, **IDENTITY}}}}
    operated.api.merge(f"{COLLECTIONS.format(models)}/churn", wanted)
    condition = eventually(lambda: _condition(operated.api, models, "WorkloadIdentity"))
    assert "keep to their SAS until" in condition["message"]
    assert _handed_out(operated.api, models) == first

    def waits_for_a_restart() -> bool:
        found = _conditions(operated.api, models)["PodsInjected"]
        return found["reason"] == "RestartNeeded" and "old" in found["message"]

    eventually(waits_for_a_restart)
    assert "credential" not in _settings(operated.api, models, "old")
    after = eventually(lambda: _injected(operated.api, models, _pod("new", labels={"app": "churn"})))
    assert workloads.pod(after).has_token
    operated.api.delete(f"/api/v1/namespaces/{models}/pods/old")
    # What hashes are made with stays.
    eventually(lambda: _handed_out(operated.api, models) == {"hash-key": first["hash-key"]})

    def settled() -> bool:
        status = operated.api.get(f"{COLLECTIONS.format(models)}/churn")["status"]
        return "expiresAt" not in status["credential"] and status["pods"] == {"matched": 1, "injected": 1, "current": 1}

    eventually(settled)
    # And back: a pod with a token needs no restart for a SAS.
    back = {"spec": {"storage": {"credential": {"workloadIdentity": None, **ACCOUNT}}}}
    operated.api.merge(f"{COLLECTIONS.format(models)}/churn", back)
    eventually(lambda: "sas" in _handed_out(operated.api, models))
    assert _handed_out(operated.api, models)["hash-key"] == first["hash-key"]

    def lives_by_its_sas() -> bool:
        pods = operated.api.get(f"{COLLECTIONS.format(models)}/churn")["status"]["pods"]
        return "credential" not in _settings(operated.api, models, "new") and pods["current"] == 1

    eventually(lives_by_its_sas)


def test_another_identity_reaches_a_running_pod_without_a_restart(
    operated: Operated, models: str, eventually: Eventually
) -> None:
    _collect(operated.api, models, IDENTITY)
    eventually(lambda: _injected(operated.api, models, _pod("scoring", labels={"app": "churn"})))
    operated.api.merge(
        f"{COLLECTIONS.format(models)}/churn",
        {"spec": {"storage": {"credential": {"workloadIdentity": {"clientId": THEIRS}}}}},
    )

    def obeyed() -> bool:
        credential = _settings(operated.api, models, "scoring")["credential"]
        pods = operated.api.get(f"{COLLECTIONS.format(models)}/churn")["status"]["pods"]
        return credential["workloadIdentity"]["clientId"] == THEIRS and pods["current"] == pods["injected"] == 1

    eventually(obeyed)


def test_the_sample_gives_pods_of_its_service_account_a_token(operated: Operated, models: str) -> None:
    sample = REPOSITORY / "manifests/samples/workload-identity.yaml"
    operated.api.kubectl("--namespace", models, "apply", "-f", str(sample))
    pod = _pod("scoring", labels={"app": "churn"})
    pod["spec"]["serviceAccountName"] = "churn"
    poll(lambda: _injected(operated.api, models, pod))
    assert workloads.pod(operated.api.get(f"/api/v1/namespaces/{models}/pods/scoring")).has_token


def _register(server: ApiServer, port: int) -> None:
    """Register the webhook as the manifest does; its Service leads to a process on this machine."""
    documents = list(yaml.safe_load_all((REPOSITORY / "manifests/install.yaml").read_text()))
    (configuration,) = [each for each in documents if each["kind"] == "MutatingWebhookConfiguration"]
    service = configuration["webhooks"][0]["clientConfig"]["service"]
    service["port"] = port
    server.create(
        f"/api/v1/namespaces/{service['namespace']}/services",
        {"metadata": {"name": service["name"]}, "spec": {"type": "ExternalName", "externalName": "127.0.0.1"}},
    )
    server.create(CONFIGURATIONS, configuration)


def _deployment(server: ApiServer, namespace: str, name: str) -> None:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    server.create(
        path, {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    )
    # Nothing here makes its pod, and nobody is told to restart anything while no webhook is ready.
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    server.merge(f"{path}/{name}/status", {"status": {"observedGeneration": 1, **counts}})


def _collect(server: ApiServer, namespace: str, credential: dict[str, typing.Any]) -> resources.DataCollection:
    body = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": "churn"},
        "spec": {
            "selector": {"matchLabels": {"app": "churn"}},
            "containers": ["scoring"],
            "storage": {"endpoint": "https://account.blob.core.windows.net", "credential": credential},
        },
    }
    made = resources.collection(server.create(COLLECTIONS.format(namespace), body))
    assert isinstance(made, resources.DataCollection)
    return made


def _pod(name: str, *, labels: dict[str, str]) -> dict[str, typing.Any]:
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    containers = [{"name": each, "image": "model", "securityContext": security} for each in ("scoring", "proxy")]
    # The name that the ServiceAccount plugin sets, which this server runs without.
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"serviceAccountName": "default", "containers": containers},
    }


def _injected(server: ApiServer, namespace: str, pod: dict[str, typing.Any]) -> dict[str, typing.Any] | None:
    """Make a pod; one that came before the webhook heard of the collection is taken away again."""
    stored: dict[str, typing.Any] = server.create(f"/api/v1/namespaces/{namespace}/pods", pod)
    if "modeldata.dev/injected" in stored["metadata"].get("annotations", {}):
        return stored
    server.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}")
    return None


def _assert_ours(pod: dict[str, typing.Any]) -> None:
    """What is ours is in the collected container, and nothing of anybody's is there twice."""
    volumes = collections.Counter(volume["name"] for volume in pod["spec"]["volumes"])
    assert {"modeldata-identity-token", "modeldata-credential"} <= set(volumes)
    assert set(volumes.values()) == {1}
    scoring, proxy = pod["spec"]["containers"]
    mounts = collections.Counter(mount["mountPath"] for mount in scoring["volumeMounts"])
    assert {"/var/run/modeldata/identity", "/var/run/modeldata/credential"} <= set(mounts)
    assert set(mounts.values()) == {1}
    names = collections.Counter(variable["name"] for variable in scoring["env"])
    assert "MODELDATA_DIR" in names
    assert set(names.values()) == {1}
    assert "modeldata" not in json.dumps(proxy)


def _assert_azures(pod: dict[str, typing.Any]) -> None:
    """What Azure's webhook sets is in every container, as it set it."""
    for container in pod["spec"]["containers"]:
        values = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        assert values["AZURE_CLIENT_ID"] == THEIRS
        directory = values["AZURE_FEDERATED_TOKEN_FILE"].split("/azure-identity-token")[0].removesuffix("/token")
        assert directory in {mount["mountPath"] for mount in container["volumeMounts"]}


def _conditions(server: ApiServer, namespace: str) -> dict[str, dict[str, typing.Any]]:
    status = server.get(f"{COLLECTIONS.format(namespace)}/churn").get("status", {})
    return {condition["type"]: condition for condition in status.get("conditions", ())}


def _condition(server: ApiServer, namespace: str, reason: str) -> dict[str, typing.Any] | None:
    found = _conditions(server, namespace).get("CredentialsReady", {})
    return found if found.get("reason") == reason else None


def _settings(server: ApiServer, namespace: str, pod: str) -> dict[str, typing.Any]:
    annotations = server.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["metadata"]["annotations"]
    storage: dict[str, typing.Any] = json.loads(annotations["modeldata.dev/settings"])["storage"]
    return storage


def _handed_out(server: ApiServer, namespace: str) -> dict[str, str]:
    """Return what is in the pods' Secret, as it stands there; empty if there is none."""
    try:
        secret = server.get(f"/api/v1/namespaces/{namespace}/secrets/modeldata-churn")
    except Refused as refused:
        if refused.status != 404:
            raise
        return {}
    data: dict[str, str] = secret["data"]
    return data
