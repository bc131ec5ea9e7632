"""Thousands of pods are decided on in breaths, so that nobody else waits for the end of it, and each only once."""

from __future__ import annotations

import asyncio

import pytest

from modeldata_operator.api import names, workloads
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import CredentialStatus
from modeldata_operator.controller import comparing
from modeldata_operator.decide import injection, verification
from modeldata_operator.known import inventory, pods
from modeldata_operator.kube import breathing, store, workqueue

from .conftest import at_once

MANY = 20 * breathing.BREATH
CHURN = ObjectKey("models", "churn")


class Turns:
    """Counts how often somebody else had a turn."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aenter__(self) -> Turns:
        self._task = asyncio.create_task(self._take())
        await asyncio.sleep(0)
        self.taken = 0
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _take(self) -> None:
        while True:
            self.taken += 1
            await asyncio.sleep(0)


class Known:
    """A collection and its pods, as the watches know them."""

    def __init__(self, build) -> None:
        self.build = build
        self.collections, self.deployments, self.pods = store.Store(), store.Store(), store.Store()
        self.inventory = inventory.Inventory(
            collections=self.collections,
            deployments=self.deployments,
            namespaces=store.Store(),
            operator_namespace="modeldata-system",
        )
        self.marked = set()
        self.files = pods.PodInventory(self.inventory, self.pods, self.marked.add)
        self.collection = build.collection()

    def pod(self, number, **metadata):
        manifest = self.build.pod_manifest(metadata={"name": f"pod-{number}", "uid": f"uid-{number}", **metadata})
        plan = injection.plan(self.collection, workloads.pod(manifest))
        injection.inject(manifest, plan, "{}")
        return workloads.pod(manifest)

    def served(self):
        return at_once(verification.sort_out(CHURN, self.collection, self.files.concerning(CHURN))).served


@pytest.fixture
def known(build):
    return Known(build)


@pytest.fixture
def compared(monkeypatch):
    """The pods that are compared with what they should carry, one by one."""
    found, compare = [], verification.state

    def state(collection, item, *, rotation):
        found.append(item.pod.key.name)
        return compare(collection, item, rotation=rotation)

    monkeypatch.setattr(verification, "state", state)
    return found


def settled(known, number):
    """A pod that has the present settings."""
    pod = known.pod(number)
    settings = verification.document.settings(known.collection, pod, None, rotation=0)
    manifest = known.build.pod_manifest(metadata={"name": f"pod-{number}", "uid": f"uid-{number}"})
    injection.inject(manifest, injection.plan(known.collection, pod), settings)
    return workloads.pod(manifest)


async def test_a_comparison_of_many_pods_gives_the_loop_back_after_each_breath(known, compared):
    known.collections.put(known.collection)
    for number in range(MANY):
        known.pods.put(settled(known, number))
    served = known.served()
    async with Turns() as turns:
        found = await comparing.Comparer().compare(known.collection, served, credential=CredentialStatus())
    assert (found.matched, found.current) == (MANY, MANY)
    assert turns.taken >= MANY // breathing.BREATH


async def test_a_pod_that_changed_costs_one_comparison_and_a_change_of_the_collection_all(known, compared):
    known.collections.put(known.collection)
    for number in range(MANY):
        known.pods.put(settled(known, number))
    comparer = comparing.Comparer()
    await comparer.compare(known.collection, known.served(), credential=CredentialStatus())
    assert len(compared) == MANY

    compared.clear()
    known.pods.put(known.pod(7))
    found = await comparer.compare(known.collection, known.served(), credential=CredentialStatus())
    assert compared == ["pod-7"]
    assert [push.pod.key.name for push in found.pushes] == ["pod-7"]

    # What the operator itself wrote is no change.
    compared.clear()
    known.pods.put(settled(known, 7))
    known.collection = known.build.collection(status={"observedGeneration": 3})
    known.collections.put(known.collection)
    await comparer.compare(known.collection, known.served(), credential=CredentialStatus())
    assert compared == ["pod-7"]

    for change in ({"rotation": 1}, {"sampling": {"percent": 5}}):
        compared.clear()
        rotation = change.pop("rotation", 0)
        known.collection = known.build.collection(spec=change)
        await comparer.compare(known.collection, known.served(), credential=CredentialStatus(rotation=rotation))
        assert len(compared) == MANY


async def test_who_serves_a_pod_is_decided_anew_only_when_something_decides_otherwise(known, monkeypatch):
    known.collections.put(known.collection)
    known.deployments.put(known.build.deployment())
    for number in range(MANY):
        known.pods.put(known.pod(number))
    chosen, choose = [], inventory.selection.choose

    def count(pod, deployment, collections):
        chosen.append(pod.key.name)
        return choose(pod, deployment, collections)

    monkeypatch.setattr(inventory.selection, "choose", count)
    known.collections.put(known.build.collection(status={"observedGeneration": 3}))
    known.deployments.put(known.build.deployment(status={"readyReplicas": 1}))
    found = list(known.files.concerning(CHURN))
    assert chosen == []
    # With the Deployment as it is now.
    assert {item.deployment.ready_replicas for item in found} == {1}
    known.collections.put(known.build.collection(metadata={"name": "other"}))
    assert len(list(known.files.concerning(CHURN))) == MANY
    assert len(chosen) == MANY


async def test_many_pods_are_filed_in_breaths_and_nothing_is_decided_before(known):
    for number in range(MANY):
        known.pods.put(known.build.pod(metadata={"name": f"pod-{number}", "uid": f"uid-{number}"}))
    filing = asyncio.create_task(known.files.file())
    try:
        async with Turns() as turns:
            known.collections.put(known.collection)
            known.pods.drop(ObjectKey("models", "pod-3"))
            known.pods.put(known.build.pod(metadata={"name": "new", "uid": "new"}))
            await known.files.filed(ObjectKey("elsewhere", "churn"))
            assert len(list(known.files.concerning(CHURN))) == 1
            await known.files.filed(CHURN)
            assert turns.taken >= MANY // breathing.BREATH
        assert len(list(known.files.concerning(CHURN))) == MANY
        assert known.marked == {CHURN}

        known.deployments.put(known.build.deployment(metadata={"annotations": {names.COLLECT_ANNOTATION: "false"}}))
        await known.files.filed(CHURN)
        assert known.served() == []
    finally:
        filing.cancel()
        await asyncio.gather(filing, return_exceptions=True)


def test_whoever_reads_the_files_step_by_step_is_not_ended_by_what_changes_meanwhile(known):
    known.collections.put(known.collection)
    for number in range(4):
        known.pods.put(known.pod(number))
    going = known.files.concerning(CHURN)
    assert next(going).pod.key.name == "pod-0"
    known.pods.drop(ObjectKey("models", "pod-1"))
    known.pods.put(known.pod(9))
    assert [item.pod.key.name for item in going] == ["pod-1", "pod-2", "pod-3"]
    assert {item.pod.key.name for item in known.files.concerning(CHURN)} == {"pod-0", "pod-2", "pod-3", "pod-9"}


async def test_whoever_works_through_a_queue_gives_the_loop_back_with_each_key():
    queue: workqueue.Workqueue[int] = workqueue.Workqueue(int)
    for number in range(MANY):
        queue.add(number)
    async with Turns() as turns:
        for _ in range(MANY):
            queue.done(await queue.get())
    assert turns.taken >= MANY
