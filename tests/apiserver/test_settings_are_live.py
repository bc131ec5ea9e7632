"""Every change of a DataCollection reaches running pods as their settings, and never more than their volumes bear."""

from __future__ import annotations

import copy
import json
import typing

import pytest

from modeldata_operator.api import resources, workloads
from modeldata_operator.decide import document, injection

from ..conftest import Eventually
from .conftest import Running, Start
from .server import ApiServer, Refused

Manifest = dict[str, typing.Any]
MIB = 1024**2


class World:
    """A collection and its one running pod."""

    controller: Running

    def __init__(self, api: ApiServer, namespace: str, eventually: Eventually) -> None:
        self.api, self.namespace, self.eventually = api, namespace, eventually
        self.path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections"
        self.pods = f"/api/v1/namespaces/{namespace}/pods"

    def collection(self) -> Manifest:
        credential = {"secretRef": {"name": "account"}}
        spec = {
            "selector": {"matchLabels": {"app": "churn"}},
            "storage": {"endpoint": "https://account.blob.core.windows.net", "credential": credential},
        }
        kind = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection"}
        created: Manifest = self.api.create(self.path, {**kind, "metadata": {"name": "churn"}, "spec": spec})
        return created

    def account(self) -> None:
        values = {"accountName": "account", "accountKey": "eA=="}
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        self.api.create(path, {"metadata": {"name": "account"}, "stringData": values})

    def pod(self, name: str = "scoring", *, limits: Manifest | None = None, **labels: str) -> None:
        """Create a pod as the webhook would have injected it."""
        collection = resources.collection(self.api.get(f"{self.path}/churn"))
        assert isinstance(collection, resources.DataCollection)
        container = {"name": "scoring", "image": "model", "resources": {"limits": limits or {}}}
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": "churn", **labels}},
            "spec": {"containers": [container]},
        }
        pod = workloads.pod(manifest)
        plan = injection.plan(collection, pod)
        assert isinstance(plan, injection.Plan)
        injection.inject(manifest, plan, document.settings(collection, pod, None, rotation=0))
        self.api.create(self.pods, manifest)

    def spec(self, **changes: typing.Any) -> None:
        self.api.merge(f"{self.path}/churn", {"spec": changes})

    def settings(self, name: str = "scoring") -> Manifest:
        pod = self.api.get(f"{self.pods}/{name}")
        told: Manifest = json.loads(pod["metadata"]["annotations"]["modeldata.dev/settings"])
        return told

    def condition(self, kind: str) -> Manifest:
        conditions = self.api.get(f"{self.path}/churn").get("status", {}).get("conditions", ())
        return next((each for each in conditions if each["type"] == kind), {})

    def message(self, kind: str) -> str:
        return str(self.condition(kind).get("message", ""))


@pytest.fixture
def world(api: ApiServer, namespace: str, start_operator: Start, eventually: Eventually) -> World:
    made = World(api, namespace, eventually)
    made.collection()
    made.controller = start_operator("controller", api.kubeconfig)
    return made


def test_every_change_reaches_the_running_pod(world: World) -> None:
    world.pod()
    before = world.settings()
    uid = world.api.get(f"{world.pods}/scoring")["metadata"]["uid"]
    endpoint = "https://other.blob.core.windows.net"
    wanted = copy.deepcopy(before)
    for change, path, told in (
        ({"sampling": {"percent": 5}}, ("sampling", "percent"), 5),
        (
            {"redact": [{"feature": "ssn", "action": "Drop"}, {"feature": "email", "action": "Hash"}]},
            ("redact",),
            [{"feature": "ssn", "action": "Drop"}, {"feature": "email", "action": "Hash"}],
        ),
        ({"columns": "AzureML"}, ("columns",), "AzureML"),
        ({"flushInterval": "1m"}, ("flushInterval",), "1m"),
        ({"storage": {"file": "PerPod"}}, ("storage", "file"), "PerPod"),
        ({"storage": {"endpoint": endpoint}}, ("storage", "endpoint"), endpoint),
        ({"webservice": "ranker"}, ("identity", "webservice"), "ranker"),
        ({"workspace": {"name": "retail"}}, ("identity", "workspace"), "retail"),
        ({"spool": {"size": "64Mi"}}, ("spool", "bytes"), 64 * MIB),
        ({"enabled": False}, ("enabled",), False),
    ):
        world.spec(**change)
        *parents, last = path
        place = wanted
        for parent in parents:
            place = place[parent]
        place[last] = told
        wanted["generation"] += 1
        world.eventually(lambda: world.settings() == wanted)
    pod = world.api.get(f"{world.pods}/scoring")
    assert pod["metadata"]["uid"] == uid


def test_a_running_pods_spool_grows_no_further_than_its_volume_bears(world: World) -> None:
    world.pod()
    world.eventually(lambda: world.settings()["spool"]["bytes"] == 256 * MIB)
    world.spec(spool={"size": "64Mi"})
    world.eventually(lambda: world.settings()["spool"]["bytes"] == 64 * MIB)
    world.spec(spool={"size": "10Gi"})
    world.eventually(lambda: world.settings()["spool"]["bytes"] == 256 * MIB)
    world.eventually(lambda: "room for a smaller spool" in world.message("PodsInjected"))
    world.spec(spool={"size": "200Mi"})
    world.eventually(lambda: world.settings()["spool"]["bytes"] == 200 * MIB)
    world.eventually(lambda: world.message("PodsInjected") == "all 1 pods are injected")


def test_a_pod_that_may_write_little_gets_a_quarter_of_that(world: World) -> None:
    world.pod(limits={"ephemeral-storage": "40Mi"})
    world.eventually(lambda: world.settings()["spool"]["bytes"] == 10 * MIB)
    world.spec(spool={"size": "1Gi"})
    world.eventually(lambda: world.settings()["generation"] == 2)
    assert world.settings()["spool"]["bytes"] == 10 * MIB
    assert "smaller spool" not in world.message("PodsInjected")


@pytest.fixture
def frozen(api: ApiServer, world: World) -> typing.Iterator[typing.Callable[[bool], None]]:
    """Somebody else's policy, which lets nobody change pods that are labelled so; and what takes it back."""
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    name, root = f"frozen-{world.namespace}", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "!('frozen' in object.metadata.labels)", "message": "frozen pods stay"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}

    def freeze(on: bool) -> None:
        path = f"{root}ybindings"
        if on:
            body = {**kind, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding}
            api.create(path, body)
        else:
            api.delete(f"{path}/{name}")

    api.create(f"{root}ies", {**kind, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec})
    yield freeze
    api.delete(f"{root}ies/{name}")


def test_pods_that_may_not_be_written_to_are_told_and_hold_nothing_up(
    world: World, frozen: typing.Callable[[bool], None]
) -> None:
    world.account()
    world.spec(storage={"endpoint": "http://127.0.0.1:9"})
    world.pod()
    world.pod("kept", frozen="yes")
    world.eventually(lambda: world.condition("Ready").get("observedGeneration") == 2)
    frozen(True)

    def refused() -> bool:
        try:
            world.api.merge(f"{world.pods}/kept", {"metadata": {"annotations": {"tried": "1"}}})
        except Refused as refusal:
            return refusal.status == 422
        return False

    world.eventually(refused)  # the API server compiles a policy a moment after it was made
    world.spec(sampling={"percent": 5})
    world.eventually(lambda: world.settings()["sampling"]["percent"] == 5)
    world.eventually(lambda: world.condition("Stalled").get("reason") == "SettingsRefused")
    assert "frozen pods stay" in world.message("Stalled")
    status = world.api.get(f"{world.path}/churn")["status"]
    assert status["observedGeneration"] == 3
    assert status["pods"] == {"matched": 2, "injected": 2, "current": 1}
    events = world.api.get(f"/api/v1/namespaces/{world.namespace}/events")["items"]
    assert [each["reason"] for each in events].count("SettingsRefused") == 1
    assert world.settings("kept")["sampling"]["percent"] == 100
    # Nobody's mistake has a traceback.
    assert "reconcile failed" in world.controller.said()
    assert "Traceback" not in world.controller.said()

    frozen(False)
    world.eventually(lambda: world.settings("kept")["sampling"]["percent"] == 5)
    world.eventually(lambda: world.condition("Stalled").get("status") == "False")
