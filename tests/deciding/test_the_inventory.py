"""The files of pods follow every change, and say the same as a look at every pod would."""

from __future__ import annotations

import random

import pytest

from modeldata_operator.api import names, namespaces
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.known import inventory, pods
from modeldata_operator.kube import store

CHURN = ObjectKey("models", "churn")
DEFAULT = ObjectKey("modeldata-system", "default")
OPTED_IN = {"annotations": {names.COLLECT_ANNOTATION: "true"}}
OPTED_OUT = {"annotations": {names.COLLECT_ANNOTATION: "false"}}


class World:
    def __init__(self) -> None:
        self.collections, self.deployments, self.pods = store.Store(), store.Store(), store.Store()
        self.namespaces = store.Store()
        self.inventory = inventory.Inventory(
            collections=self.collections,
            deployments=self.deployments,
            namespaces=self.namespaces,
            operator_namespace=DEFAULT.namespace,
        )
        self.marked = set()
        self.files = pods.PodInventory(self.inventory, self.pods, self.marked.add)

    def names(self, key):
        return sorted(item.pod.key.name for item in self.files.concerning(key))

    def news(self):
        found = set(self.marked)
        self.marked.clear()
        return found

    def by_looking_at_every_pod(self):
        found = {}
        for namespace in list(self.pods.namespaces()):
            for pod in self.pods.of(namespace):
                matched = self.inventory.match(pod, self.inventory.serving(namespace))
                for key in pods.concerned(matched):
                    found.setdefault(key, set()).add(pod.key)
        return found

    def by_the_files(self):
        return {key: {item.pod.key for item in self.files.concerning(key)} for key in self.files.concerned()}


@pytest.fixture
def world():
    return World()


def test_a_pod_is_filed_under_the_collection_that_serves_it(world, build):
    world.collections.put(build.collection())
    world.pods.put(build.pod())
    assert world.names(CHURN) == [build.pod().key.name]
    assert world.news() == {CHURN}


def test_a_pod_that_came_before_its_collection_is_filed_when_it_comes(world, build):
    world.pods.put(build.pod())
    assert not world.news()
    world.collections.put(build.collection())
    assert world.names(CHURN)
    assert world.news() == {CHURN}


def test_who_loses_a_pod_hears_of_it_as_who_wins_it(world, build):
    world.collections.put(build.collection())
    world.pods.put(build.pod())
    world.news()
    other = build.pod(metadata={"labels": {"app": "other"}})
    world.pods.put(other)
    assert world.news() == {CHURN}
    assert world.names(CHURN) == []
    older = {"name": "older", "creationTimestamp": "2025-01-01T00:00:00Z"}
    world.pods.put(build.pod())
    world.news()
    world.collections.put(build.collection(metadata=older))
    assert world.news() == {CHURN, ObjectKey("models", "older")}


def test_a_deleted_pod_is_counted_out(world, build):
    world.collections.put(build.collection())
    world.pods.put(build.pod())
    world.news()
    world.pods.drop(build.pod().key)
    assert world.news() == {CHURN}
    assert not list(world.files.concerned())


def test_an_annotation_of_the_deployment_moves_its_pods(world, build):
    world.collections.put(build.collection(metadata=DEFAULT_METADATA, spec=CROSSING))
    world.pods.put(build.pod())
    world.deployments.put(build.deployment())
    assert world.names(DEFAULT) == []
    world.deployments.put(build.deployment(metadata=OPTED_IN))
    assert world.names(DEFAULT) == [build.pod().key.name]
    assert world.news() == {DEFAULT}
    world.deployments.drop(build.deployment().key)
    assert world.names(DEFAULT) == []
    assert world.news() == {DEFAULT}


def label(world, name, **labels):
    world.namespaces.put(namespaces.namespace({"metadata": {"name": name, "labels": labels}}))


@pytest.mark.parametrize(
    ("selector", "labels", "served"),
    [
        (None, {"team": "retail"}, False),
        ({}, {"team": "retail"}, False),
        ({"matchLabels": {"team": "retail"}}, {"team": "retail"}, True),
        ({"matchLabels": {"team": "retail"}}, {"team": "other"}, False),
        ({"matchLabels": {"team": "retail"}}, None, False),
        ({"matchLabels": {"kubernetes.io/metadata.name": "models"}}, None, True),
        ({"matchLabels": {"kubernetes.io/metadata.name": "models"}}, {"kubernetes.io/metadata.name": "x"}, True),
        ({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}, {}, True),
    ],
)
def test_the_operators_default_serves_the_namespaces_that_it_selects_and_no_other(
    world, build, selector, labels, served
):
    world.collections.put(build.collection(metadata=DEFAULT_METADATA, spec={**CROSSING, "namespaceSelector": selector}))
    if labels is not None:
        label(world, "models", **labels)
    assert (world.inventory.serving("models").operator_default is not None) is served
    # Its own namespace is served whatever it selects.
    assert world.inventory.serving(DEFAULT.namespace).operator_default is not None


def test_a_namespace_that_loses_its_label_loses_the_operators_default_and_gets_it_back(world, build):
    by_team = {**CROSSING, "namespaceSelector": {"matchLabels": {"team": "retail"}}}
    world.collections.put(build.collection(metadata=DEFAULT_METADATA, spec=by_team))
    world.deployments.put(build.deployment(metadata=OPTED_IN))
    world.pods.put(build.pod())
    assert world.names(DEFAULT) == []
    label(world, "models", team="retail")
    assert world.names(DEFAULT) == [build.pod().key.name]
    assert DEFAULT in world.news()
    label(world, "models")
    assert world.names(DEFAULT) == []
    assert DEFAULT in world.news()
    label(world, "models", team="retail")
    world.collections.put(build.collection(metadata=DEFAULT_METADATA, spec={**CROSSING, "namespaceSelector": None}))
    assert world.names(DEFAULT) == []


def test_a_namespace_selector_of_any_other_collection_crosses_nothing(world, build):
    metadata = {"name": "default", "namespace": "staging"}
    world.collections.put(build.collection(metadata=metadata, spec=CROSSING))
    world.deployments.put(build.deployment(metadata=OPTED_IN))
    world.pods.put(build.pod())
    assert not list(world.files.concerned())


def test_a_rollout_wakes_whom_the_deployments_pods_concern_and_nobody_else(world, build):
    world.collections.put(build.collection())
    world.collections.put(
        build.collection(metadata={"name": "other"}, spec={"selector": {"matchLabels": {"app": "x"}}})
    )
    world.deployments.put(build.deployment())
    world.pods.put(build.pod())
    world.news()
    world.deployments.put(build.deployment(status={"readyReplicas": 1}))
    assert world.news() == {CHURN}


def test_a_status_of_a_collection_moves_no_pods(world, build):
    world.collections.put(build.collection())
    world.pods.put(build.pod())
    world.news()
    world.collections.put(build.collection(status={"observedGeneration": 3}))
    assert not world.news()


def test_what_is_known_and_the_same_is_told_to_nobody(build):
    told = []
    records = store.Store()
    records.subscribe(lambda *change: told.append(change))
    records.put(build.pod())
    records.put(build.pod())
    records.drop(ObjectKey("models", "unknown"))
    assert len(told) == 1
    assert len(records) == 1


@pytest.mark.parametrize("seed", range(20))
def test_after_any_history_the_files_say_what_looking_at_every_pod_would(world, build, seed):
    chance = random.Random(seed)
    metadata = [{}, OPTED_IN, OPTED_OUT, {"annotations": {**OPTED_IN["annotations"], names.CHOICE_ANNOTATION: "b"}}]

    def change():
        kind, name = chance.choice(["collection", "deployment", "namespace", "pod", "pod"]), chance.choice("abc")
        gone = chance.random() < 0.25
        match kind:
            case "collection":
                where = chance.choice([{"namespace": "models", "name": name}, DEFAULT_METADATA])
                across = {"namespaceSelector": chance.choice([None, {"matchLabels": {"team": chance.choice("xy")}}])}
                spec = {**CROSSING, **across} if where == DEFAULT_METADATA else {}
                created = f"20{chance.randint(10, 30)}-01-01T00:00:00Z"
                selector = chance.choice([None, {"matchLabels": {"app": chance.choice("xy")}}])
                made = build.collection(
                    metadata={**where, "creationTimestamp": created}, spec={**spec, "selector": selector}
                )
                store = world.collections
            case "namespace":
                label(world, "models", team=chance.choice("xy"))
                made, store = world.namespaces.get(ObjectKey("", "models")), world.namespaces
            case "deployment":
                made = build.deployment(
                    metadata={"name": name, **chance.choice(metadata)},
                    spec={"selector": {"matchLabels": {"app": chance.choice("xy")}}},
                )
                store = world.deployments
            case _:
                owner = {"kind": "ReplicaSet", "name": f"{name}-5c6f", "controller": True}
                made = build.pod(
                    metadata={
                        "name": f"pod-{chance.randint(1, 8)}",
                        "labels": {"app": chance.choice("xy")},
                        "ownerReferences": [owner],
                        **chance.choice(metadata),
                    }
                )
                store = world.pods
        before = world.by_the_files()
        world.news()
        if gone:
            store.drop(made.key)
        else:
            store.put(made)
        after = world.by_the_files()
        assert after == world.by_looking_at_every_pod()
        moved = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        assert moved <= world.news()

    for _ in range(150):
        change()
    for pod in list(world.pods.of("models")):
        world.pods.drop(pod.key)
    assert not list(world.files.concerned())
    assert not world.files._collections_of


CROSSING = {
    "selector": None,
    "storage": {"file": "PerPod"},
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "models"}},
}
DEFAULT_METADATA = {"name": DEFAULT.name, "namespace": DEFAULT.namespace}
