"""What one tenant writes on its objects changes nothing for another: marks count only where they may stand."""

from __future__ import annotations

import json

import pytest

from modeldata_operator.access import credentials
from modeldata_operator.api import names, observed, resources, workloads
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import commands, document, rollout
from modeldata_operator.decide.selection import Collections, Matched, choose
from modeldata_operator.known import inventory, pods
from modeldata_operator.kube import kinds, store, watching

from .conftest import compare

CHURN = ObjectKey("models", "churn")
DEFAULT = ObjectKey("modeldata-system", "default")


class World:
    def __init__(self):
        self.collections, self.deployments, self.pods = store.Store(), store.Store(), store.Store()
        self.inventory = inventory.Inventory(
            collections=self.collections,
            deployments=self.deployments,
            namespaces=store.Store(),
            operator_namespace=DEFAULT.namespace,
        )
        self.files = pods.PodInventory(self.inventory, self.pods, lambda _: None)


@pytest.fixture
def world(build):
    made = World()
    made.collections.put(build.collection())
    return made


def injected(build, *, labels, **metadata):
    """A pod that looks as if it had been injected, with whatever labels its owner chose."""
    manifest = build.pod_manifest(
        metadata={
            "labels": {"app": "none", **labels},
            "annotations": {names.INJECTED_ANNOTATION: "0" * 16, names.SETTINGS_ANNOTATION: '{"enabled": true}'},
            **metadata,
        },
        spec={"volumes": [{"name": names.SETTINGS_VOLUME}, {"name": names.SPOOL_VOLUME}]},
    )
    return workloads.pod(manifest)


@pytest.mark.parametrize(
    ("collection", "counts"),
    [
        (CHURN, False),
        (ObjectKey("models", "never-made"), False),
        (ObjectKey("modeldata-system", "another"), False),
        # The operator's default may have served this namespace, and has to switch its pods off.
        (DEFAULT, True),
    ],
)
def test_a_pod_that_claims_a_collection_of_another_namespace_has_nothing_to_do_with_it(
    world, build, collection, counts
):
    labels = {names.COLLECTION_LABEL: collection.name, names.COLLECTION_NAMESPACE_LABEL: collection.namespace}
    pod = injected(build, labels=labels, namespace="attacker")
    assert pod.injection is not None
    assert pod.injection.collection == collection
    world.pods.put(pod)
    assert list(world.files.concerned()) == ([collection] if counts else [])
    assert len(list(world.files.concerning(collection))) == counts


def test_in_its_own_namespace_a_left_injection_counts(world, build):
    world.pods.put(injected(build, labels={names.COLLECTION_LABEL: "churn"}))
    assert list(world.files.concerned()) == [CHURN]


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        ({"app": "other", names.TEMPLATE_HASH_LABEL: "5c6f"}, "scoring-5c6f"),
        ({"app": "churn", names.TEMPLATE_HASH_LABEL: "6f"}, "scoring-5c6f"),
        ({"app": "churn", names.TEMPLATE_HASH_LABEL: ""}, "scoring"),
        ({"app": "churn", names.TEMPLATE_HASH_LABEL: "5c6f"}, "x-scoring-5c6f"),
        ({"app": "churn", names.TEMPLATE_HASH_LABEL: "scoring"}, "-scoring"),
    ],
)
def test_a_pod_that_only_calls_itself_a_deployments_is_not_filed_under_it(world, build, labels, owner):
    world.deployments.put(build.deployment())
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "u", "controller": True}
    world.pods.put(build.pod(metadata={"labels": labels, "ownerReferences": [reference]}))
    assert list(world.files.of_deployment(build.deployment())) == []
    (pod,) = world.pods.of("models")
    assert world.inventory.deployment_of(pod) is None


def test_a_pod_of_another_namespace_is_never_a_deployments(world, build):
    world.deployments.put(build.deployment())
    world.pods.put(build.pod(metadata={"namespace": "attacker"}))
    assert list(world.files.of_deployment(build.deployment())) == []


@pytest.mark.parametrize(
    "name", ["x; rm -rf /", "$(reboot)", "a\nb", "UPPER", "-x", "x" * 254, "\u0430", "a b", "../x", "`id`"]
)
def test_an_owner_that_no_object_can_be_is_in_no_command_that_people_copy(build, name):
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "u", "controller": True}
    pod = build.pod(metadata={"ownerReferences": [reference]})
    assert pod.owner is None
    command = commands.restart(pod.workload(None), None, pod.key.name)
    assert name not in command
    kind = {**reference, "kind": name, "name": "x"}
    assert build.pod(metadata={"ownerReferences": [kind]}).owner is None or name == "UPPER"


# Rollouts.


def served(build, namespace, *, mark=None, complete=True, hash_="5c6f"):
    """A pod of a namespace that the operator's default serves, with its Deployment, both not injected."""
    template = {"metadata": {"annotations": {names.RESTARTED_FOR_ANNOTATION: mark}}} if mark else {}
    reason = "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"
    deployment = build.deployment(
        metadata={"namespace": namespace, "annotations": {names.COLLECT_ANNOTATION: "true"}},
        spec={"template": template},
        status={"availableReplicas": 2, "conditions": [{"type": "Progressing", "status": "True", "reason": reason}]},
    )
    pod = build.pod(metadata={"namespace": namespace})
    default = operators_default(build)
    return Matched(pod, deployment, choose(pod, deployment, Collections.of([], default)))


def operators_default(build, **changes):
    storage = {"file": "PerPod"}
    spec = {"selector": None, "storage": storage, "namespaceSelector": {"matchLabels": {"collect": "yes"}}}
    return build.collection(metadata={"namespace": DEFAULT.namespace, "name": DEFAULT.name}, spec=spec, **changes)


def decide(build, matched, *, elsewhere=(), **changes):
    default = operators_default(build, **changes)
    states = compare(default, matched).states
    given = rollout.Circumstances(credentials_ready=True, webhook_ready=True, now=0.0)
    found = rollout.decide(default, states, elsewhere=elsewhere, given=given)
    return {verdict.workload.key.namespace: verdict.reason for verdict in found}


def test_a_deployment_that_never_becomes_available_keeps_no_other_namespace_waiting(build):
    mark = f"{DEFAULT}/{'0' * 16}"
    found = decide(build, [served(build, "attacker", mark=mark, complete=False), served(build, "models")])
    assert found == {"attacker": Reason.ROLLOUT_RUNNING, "models": Reason.WAITING_FOR_RESTART}


def test_a_restart_in_vain_keeps_no_other_namespace_waiting(build):
    vain = served(build, "attacker")
    wanted = compare(operators_default(build), [vain]).states[0].hash
    found = decide(build, [served(build, "attacker", mark=f"{DEFAULT}/{wanted}"), served(build, "models")])
    assert found == {"attacker": Reason.RESTARTED_IN_VAIN, "models": Reason.WAITING_FOR_RESTART}


def test_a_stopped_rollout_is_stopped_in_its_namespace_alone(build):
    workload = {"kind": "Deployment", "namespace": "attacker", "name": "scoring", "reason": "RolloutStopped"}
    status = {"observedGeneration": 3, "workloads": [workload]}
    found = decide(build, [served(build, "attacker"), served(build, "models")], status=status)
    assert found == {"attacker": Reason.ROLLOUT_STOPPED, "models": Reason.WAITING_FOR_RESTART}


def test_a_deployment_without_pods_holds_up_its_own_namespace_alone(build):
    mark = f"{DEFAULT}/{'0' * 16}"
    gone = served(build, "attacker", mark=mark, complete=False).deployment
    found = decide(build, [served(build, "models")], elsewhere=[gone])
    assert found == {"attacker": Reason.ROLLOUT_RUNNING, "models": Reason.WAITING_FOR_RESTART}


# What is read of annotations, Secrets and a status.


@pytest.mark.parametrize(
    "text",
    [
        "models/churn/" + "0" * 300_000,
        "/".join(["x"] * 100_000),
        "models/churn/0/" + "9" * 5_000,
        "models/churn/0/\u0669\u0669",
        "[" * 100_000,
        "\x00",
    ],
    ids=["hash", "parts", "revision", "digits", "brackets", "zero"],
)
@pytest.mark.parametrize(
    "annotation",
    [
        names.COLLECT_ANNOTATION,
        names.CHOICE_ANNOTATION,
        names.MODEL_VERSION_ANNOTATION,
        names.RESTARTED_FOR_ANNOTATION,
        names.SETTINGS_ANNOTATION,
        names.REVISION_ANNOTATION,
        names.INJECTED_ANNOTATION,
    ],
)
def test_no_annotation_however_odd_ends_a_watch_or_fills_the_memory(build, annotation, text):
    pods_seen, deployments_seen = store.Store(), store.Store()
    pod = injected(build, labels={names.COLLECTION_LABEL: "churn"})
    manifest = build.pod_manifest(metadata={"annotations": {annotation: text}})
    manifest["spec"]["volumes"] = [{"name": names.SETTINGS_VOLUME}, {"name": names.SPOOL_VOLUME}]
    manifest["metadata"]["labels"][names.COLLECTION_LABEL] = "churn"
    manifest["metadata"]["annotations"].setdefault(names.INJECTED_ANNOTATION, "x")
    watching.Watch(None, kinds.PODS, pods_seen)._take(manifest)
    (seen,) = pods_seen.of("models")
    assert seen.injection is not None
    assert len(seen.injection.hash) <= 300
    assert all(len(value) <= 300 for value in seen.annotations.values())
    assert document.settings(build.collection(), seen, None, rotation=0)
    metadata = {"name": "scoring", "namespace": "models", "uid": "u", "annotations": {annotation: text}}
    template = {"metadata": {"annotations": {annotation: text}}}
    body = {"metadata": metadata, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    watching.Watch(None, kinds.DEPLOYMENTS, deployments_seen)._take(body)
    assert len(list(deployments_seen.of("models"))) == 1
    assert pod.injection is not None


@pytest.mark.parametrize("text", [str(10**300), "9" * 5_000, "-1", "1e9", "\u0661", "", "x", str(2**31)])
def test_a_rotation_that_nobody_wrote_counts_as_none(text):
    secret = {"metadata": {"annotations": {names.ROTATION_ANNOTATION: text}}}
    assert credentials.held(secret, labels={}).rotation in (0, 1)


@pytest.mark.parametrize("rotation", [10**300, -1, float("inf"), "x", True, None, [], 2**31])
def test_a_rotation_in_a_status_that_the_operator_did_not_write_counts_as_none(build, rotation):
    status = observed.status({"credential": {"rotation": rotation, "namespaces": ["a"]}})
    assert status.credential.rotation in (0, 1)


def test_the_settings_of_a_pod_that_was_tampered_with_can_still_be_switched_off():
    for present in ("[" * 10_000, json.dumps({"generation": 10**300}), json.dumps({"pad": "x" * 200_000})):
        assert json.loads(document.switched_off(present, "models/churn"))["enabled"] is False


def test_a_collection_of_the_operators_namespace_that_is_not_the_default_crosses_nothing(world, build):
    another = build.collection(
        metadata={"namespace": DEFAULT.namespace, "name": "another"},
        spec={"storage": {"file": "PerPod"}, "namespaceSelector": {"matchLabels": {"a": "b"}}},
    )
    assert isinstance(another, resources.DataCollection)
    world.collections.put(another)
    assert not world.inventory.may_serve(another.key, "models")
    assert world.inventory.serving("models").operator_default is None


@pytest.mark.parametrize(
    ("storage", "apart"),
    [
        ({"container": "modeldata-{namespace}"}, True),
        ({"file": "PerPod"}, True),
        ({}, False),
        ({"file": "PerPod", "credential": {"secretRef": None, "sasTokenSecretRef": {"name": "a"}}}, False),
        ({"file": "PerPod", "credential": {"secretRef": None, "operatorIdentity": {}}}, True),
    ],
)
def test_the_operators_default_serves_only_what_keeps_namespaces_apart(build, storage, apart):
    # The CRD refuses it as well; this is what got past, as by a definition of before.
    spec = {"storage": storage, "namespaceSelector": {"matchLabels": {"a": "b"}}}
    parsed = resources.collection(build.collection_manifest(spec=spec))
    assert isinstance(parsed, resources.DataCollection) is apart
    if not apart:
        assert "namespaceSelector" in parsed.problem
