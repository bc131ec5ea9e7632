"""A model starts, whatever is wrong with us: the one promise that goes before collecting anything."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml

# One of Azure's names, which the operator dials; no account is called so.
NOBODYS = "https://nobodysaccount0000000000.blob.core.windows.net"
INSTALL = pathlib.Path(__file__).parents[3] / "manifests/install.yaml"
WEBHOOK, CONTROLLER = "modeldata-operator-webhook", "modeldata-operator-controller"
SELECTED = {"matchLabels": {"app": "churn"}}

# Takes connections and never answers them.
SILENT = """
import socket
server = socket.create_server(("", 8443))
held = []
while True:
    held.append(server.accept())
"""


def test_a_model_starts_while_the_operator_is_not_running(world):
    world.account()
    world.collection(selector=SELECTED)
    with world.without(WEBHOOK, CONTROLLER):
        world.deployment()
        assert not world.injected(world.pod())


@pytest.fixture
def silent_webhook(world):
    """Our own webhook configuration, as it is installed, but in front of something that never answers."""
    world.deployment("silent", app="silent", pod=world.pod_spec(SILENT))
    port = {"port": 443, "targetPort": 8443}
    world.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "silent"},
            "spec": {"selector": {"app": "silent"}, "ports": [port]},
        }
    )
    manifests = yaml.safe_load_all(INSTALL.read_text(encoding="utf-8"))
    configuration = next(item for item in manifests if item["kind"] == "MutatingWebhookConfiguration")
    name = f"silent-{world.namespace}"
    configuration["metadata"] = {"name": name}
    (entry,) = configuration["webhooks"]
    entry["name"] = "silent.modeldata.dev"
    entry["clientConfig"]["service"] |= {"namespace": world.namespace, "name": "silent"}
    entry["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    world.cluster.kubectl("apply", "-f", "-", input=json.dumps(configuration))
    yield entry
    world.cluster.kubectl("delete", "mutatingwebhookconfiguration", name)


def test_a_model_starts_while_the_webhook_hangs(world, silent_webhook):
    world.account()
    world.collection(selector=SELECTED)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late", "labels": {"app": "late"}}}
    create = ("create", "-f", "-")
    manifest = json.dumps({**pod, "spec": world.pod_spec()})
    # The API server only learns of a webhook a moment after it was made.
    world.eventually(lambda: world.timed(lambda: world.kubectl(*create, "--dry-run=server", input=manifest)) > 1)
    # A slow machine adds its own time; but no webhook gets more than 30 s in Kubernetes.
    seconds = world.timed(lambda: world.kubectl(*create, input=manifest))
    assert silent_webhook["timeoutSeconds"] - 1 < seconds < 30
    world.kubectl("wait", "--for=condition=Ready", "pod/late", "--timeout=60s")


def test_no_pod_is_missed_while_the_webhook_is_replaced(world):
    world.account()
    world.collection(selector=SELECTED)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial", "labels": {"app": "churn"}}}
    manifest = json.dumps({**pod, "spec": world.pod_spec()})
    injected = "jsonpath={.metadata.annotations.modeldata\\.dev/injected}"

    def create() -> str:
        return world.kubectl("create", "-f", "-", "--dry-run=server", "-o", injected, input=manifest)

    world.eventually(create)
    found = []
    system = ("-n", "modeldata-system")
    names = ["-l", f"app.kubernetes.io/name={WEBHOOK}", "-o", "jsonpath={.items[*].metadata.name}"]
    before = set(world.cluster.kubectl(*system, "get", "pods", *names).split())
    world.cluster.kubectl(*system, "rollout", "restart", f"deploy/{WEBHOOK}")

    def replaced() -> bool:
        found.append(create())
        now = set(world.cluster.kubectl(*system, "get", "pods", *names).split())
        return len(found) > 20 and len(now) == 2 and not now & before

    world.eventually(replaced, seconds=150)
    assert all(found)


def test_a_model_starts_while_the_accounts_secret_is_missing(world):
    world.collection(selector=SELECTED)
    world.deployment()
    assert world.injected(world.pod())
    world.reaches("CredentialsReady", "False", "SecretNotFound")
    assert world.settings()[0]["enabled"] is True
    # It heals by itself.
    world.account()
    world.reaches("Ready", "True", "Collecting", seconds=60)
    world.eventually(lambda: world.read(world.pod(), "credential/sas") == world.sas())


@pytest.mark.parametrize(
    ("spec", "kind", "reason"),
    [
        ({"containers": ["nobody"]}, "PodsInjected", "ContainerNotFound"),
        (
            {"storage": {"endpoint": NOBODYS, "credential": {"secretRef": {"name": "account"}}}},
            "CredentialsReady",
            "StorageUnreachable",
        ),
        (
            {"storage": {"endpoint": "https://nowhere.invalid", "credential": {"secretRef": {"name": "nonsense"}}}},
            "CredentialsReady",
            "SecretInvalid",
        ),
    ],
)
def test_a_model_starts_while_the_collection_is_nonsense(world, spec, kind, reason):
    world.account()
    nonsense = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nonsense"}, "stringData": {"a": "b"}}
    world.apply(nonsense)
    everything = {"matchExpressions": [{"key": "no-such-label", "operator": "DoesNotExist"}]}
    world.collection(**{"selector": everything, **spec})
    world.deployment()
    world.eventually(lambda: world.reason(kind)[1] == reason)
    assert world.reason("Ready") == ("False", reason)


def test_a_model_starts_where_its_own_volumes_are_in_the_way(world):
    world.account()
    world.collection(selector=SELECTED)
    pod = world.pod_spec()
    pod["volumes"] = [{"name": "mine", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "mine", "mountPath": "/var/run/modeldata/spool"}]
    world.deployment(pod=pod)
    assert not world.injected(world.pod())
    world.reaches("PodsInjected", "False", "PathTaken")
