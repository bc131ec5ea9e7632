"""Pods that the webhook missed are replaced one by one, and only they."""

from __future__ import annotations

import pytest

from modeldata_operator.api.reasons import Reason
from modeldata_operator.controller.replacing import Replacements
from modeldata_operator.controller.setbacks import DELAYS_OF, Setbacks
from modeldata_operator.decide import rollout, verification

from .conftest import compare
from .stage import Stage

OLD, LATER = ({"creationTimestamp": f"2026-11-20T1{hour}:00:00Z"} for hour in (2, 3))


@pytest.fixture
def stage(build):
    return Stage(build)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def missed(stage, *, pods=2, **deployment):
    """A Deployment of which one pod is injected, and the others were missed."""
    made = stage.deployment(spec={"replicas": pods}, status=full(pods), **deployment)
    stage.add(made, injected=True, metadata=OLD)
    for _ in range(pods - 1):
        stage.add(made, metadata=LATER)
    return made


def full(pods):
    return {"replicas": pods, "updatedReplicas": pods, "availableReplicas": pods, "observedGeneration": 1}


def test_only_the_missed_pods_are_replaced_and_one_at_a_time(stage):
    missed(stage, pods=3)
    verdict = stage.only()
    assert (verdict.reason, verdict.mark) == (Reason.WAITING_FOR_RESTART, None)
    assert verdict.evict.key.name == "scoring-5c6f-1"


def test_they_are_replaced_each_time_and_not_once_for_an_injection(stage):
    missed(stage, mark=stage.mark)
    assert stage.only().evict is not None


def test_all_pods_of_a_restarted_deployment_that_were_missed_later_are_replaced(stage):
    made = stage.deployment(mark=stage.mark)
    # They are of the template that the restart made, so the webhook was there when they were wished for.
    stage.add(made, mark=stage.mark)
    stage.add(made, mark=stage.mark)
    verdict = stage.only()
    assert (verdict.mark, verdict.evict.key.name) == (None, "scoring-5c6f-0")


def test_a_deployment_of_which_no_pod_is_injected_is_restarted_as_a_whole(stage):
    made = stage.deployment()
    stage.add(made, metadata=LATER)
    stage.add(made, metadata=LATER)
    verdict = stage.only()
    assert (verdict.mark is not None, verdict.evict) == (True, None)


def test_a_deployment_of_which_some_pods_were_there_before_is_restarted_as_a_whole(stage):
    made = stage.deployment()
    stage.add(made, injected=True, metadata=LATER)
    stage.add(made, metadata=OLD)
    verdict = stage.only()
    assert (verdict.mark is not None, verdict.evict) == (True, None)


def test_manual_evicts_nothing(stage):
    missed(stage)
    verdict = stage.only(spec={"rollout": "Manual"})
    assert (verdict.reason, verdict.evict) == (Reason.RESTART_NEEDED, None)


@pytest.mark.parametrize(
    "changes", [{"webhook_ready": False}, {"credentials_ready": False}, {"given": {"restarts": False}}]
)
def test_nothing_is_evicted_on_a_doubt(stage, changes):
    missed(stage)
    assert stage.only(**changes).evict is None


def test_nothing_is_evicted_of_an_unhealthy_deployment(stage):
    made = stage.deployment(status={"availableReplicas": 1})
    stage.add(made, injected=True, metadata=OLD)
    stage.add(made, metadata=LATER)
    verdict = stage.only()
    assert (verdict.reason, verdict.evict) == (Reason.WORKLOAD_UNAVAILABLE, None)


def test_the_others_wait_while_a_pod_is_being_replaced(stage):
    missed(stage)
    stage.add(stage.deployment("z"))
    name = stage.pods[0].restartable.name
    verdicts = stage.decide(given={"replacing": frozenset({name})})
    assert verdicts["scoring"].reason is Reason.REPLACING_PODS
    assert verdicts["z"].reason is Reason.WAITING_FOR_TURN


def test_that_a_pod_is_being_replaced_is_said_while_there_is_no_other_in_its_place(stage):
    # Also to another process, which finds it in the status.
    stage.add(stage.deployment(), injected=True)
    name = stage.pods[0].restartable.name
    assert stage.only(given={"replacing": frozenset({name})}).reason is Reason.REPLACING_PODS


class Healing:
    """What is remembered between an eviction and its end."""

    def __init__(self, stage):
        self.stage = stage
        self.clock = Clock()
        self.setbacks = Setbacks(self.clock)
        self.replacements = Replacements(self.setbacks, self.clock)

    def states(self):
        return compare(self.stage.collection, self.stage.pods).states

    def evict(self):
        (state,) = self.states()
        self.replacements.add(self.stage.collection.key, state, state.missing[0].uid)
        gone = state.missing[0].uid
        self.stage.pods = [item for item in self.stage.pods if item.pod.uid != gone]

    def waits(self):
        return bool(self.replacements.under_way(self.stage.collection, self.states()))

    def setback(self):
        return list(self.setbacks.current(self.stage.collection).values())


@pytest.fixture
def healing(stage):
    return Healing(stage)


def successor(stage, made, number, *, injected):
    stage.add(made, injected=injected, metadata={"uid": f"next-{number}", "name": f"next-{number}", **LATER})


def test_the_next_pod_waits_until_the_last_ones_successor_is_injected_and_available(stage, healing):
    made = missed(stage, pods=3)
    healing.evict()
    assert healing.waits()
    successor(stage, made, 1, injected=True)
    assert not healing.waits()
    assert healing.setback() == []


def test_the_next_pod_waits_while_the_workload_is_not_available(stage, healing):
    missed(stage, pods=3)
    healing.evict()
    unavailable = stage.deployment(spec={"replicas": 3}, status={**full(3), "availableReplicas": 2})
    for number, item in enumerate(stage.pods):
        stage.pods[number] = verification.Matched(item.pod, unavailable, item.choice)
    successor(stage, unavailable, 1, injected=True)
    assert healing.waits()


def test_a_successor_that_was_not_injected_either_ends_it_for_ever_longer(stage, healing):
    made = missed(stage)
    delays = []
    for number in range(len(DELAYS_OF[Reason.WEBHOOK_MISSED])):
        healing.evict()
        assert healing.waits()
        successor(stage, made, number, injected=False)
        assert not healing.waits()
        (setback,) = healing.setback()
        assert setback.reason is Reason.WEBHOOK_MISSED
        delays.append(healing.setbacks.soonest(stage.collection))
        assert stage.only(given={"setbacks": healing.setbacks.current(stage.collection)}).evict is None
        healing.clock.now += delays[-1]
        assert stage.only(given={"setbacks": healing.setbacks.current(stage.collection)}).evict is not None
    assert delays == list(DELAYS_OF[Reason.WEBHOOK_MISSED])


def test_a_workload_without_a_pod_for_a_moment_is_waited_for_but_not_for_ever(stage, healing):
    made = stage.deployment(mark=stage.mark, spec={"replicas": 1}, status=full(1))
    stage.add(made, mark=stage.mark)
    healing.evict()
    assert stage.pods == []
    assert healing.waits()
    healing.clock.now += rollout.PROGRESS_SECONDS
    assert not healing.waits()


def test_another_process_waits_for_the_same_successor(stage, build):
    made = missed(stage)
    entry = {"kind": "Deployment", "namespace": "models", "name": "scoring", "reason": "ReplacingPods"}
    stage.collection = build.collection(status={"observedGeneration": 3, "workloads": [entry]})
    unavailable = stage.deployment(status={"availableReplicas": 1})
    stage.pods = [verification.Matched(item.pod, unavailable, item.choice) for item in stage.pods]
    healing = Healing(stage)
    assert healing.waits()
    stage.pods = [verification.Matched(item.pod, made, item.choice) for item in stage.pods]
    assert not healing.waits()
