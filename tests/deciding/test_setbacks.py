"""What was tried in vain is tried again later, and ever later; at once where something has changed."""

from __future__ import annotations

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.owners import WorkloadName
from modeldata_operator.api.reasons import Reason
from modeldata_operator.controller.setbacks import DELAYS, Setbacks
from modeldata_operator.decide.rollout import Setback

A, B = (WorkloadName("Deployment", ObjectKey("models", name)) for name in "ab")
UNREACHABLE = Setback(Reason.WEBHOOK_UNREACHABLE, "not injected")
REFUSED = Setback(Reason.RESTART_REFUSED, "no")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def setbacks(clock):
    return Setbacks(clock)


@pytest.fixture
def collection(build):
    return build.collection()


def test_each_try_in_vain_puts_the_next_off_longer(setbacks, clock, collection):
    for delay in (*DELAYS, DELAYS[-1]):
        assert setbacks.add(collection, A, UNREACHABLE) == delay
        clock.now += delay - 0.1
        assert setbacks.current(collection) == {A: UNREACHABLE}
        clock.now += 0.1
        assert setbacks.current(collection) == {}


def test_another_reason_begins_anew(setbacks, collection):
    for _ in DELAYS:
        setbacks.add(collection, A, UNREACHABLE)
    assert setbacks.add(collection, A, REFUSED) == DELAYS[0]


def test_at_most_about_one_try_a_minute(setbacks, clock, collection):
    tries = 0
    while clock.now < 600:
        clock.now += setbacks.add(collection, A, UNREACHABLE)
        tries += 1
    assert tries <= 10


def test_one_workloads_setback_is_not_anothers(setbacks, collection):
    setbacks.add(collection, A, UNREACHABLE)
    assert B not in setbacks.current(collection)


def test_a_changed_webhook_has_it_tried_at_once_and_soon_again(setbacks, collection):
    for _ in DELAYS:
        setbacks.add(collection, A, UNREACHABLE)
    setbacks.add(collection, B, REFUSED)
    setbacks.hasten(Reason.WEBHOOK_UNREACHABLE)
    assert setbacks.current(collection) == {B: REFUSED}
    assert setbacks.add(collection, A, UNREACHABLE) == DELAYS[0]


def test_a_changed_collection_has_it_tried_at_once(setbacks, collection, build):
    setbacks.add(collection, A, REFUSED)
    assert setbacks.current(build.collection(metadata={"generation": 4})) == {}


def test_what_lacks_nothing_any_more_is_forgotten(setbacks, collection):
    setbacks.add(collection, A, UNREACHABLE)
    setbacks.add(collection, B, REFUSED)
    setbacks.keep(collection.key, [B])
    assert not setbacks.has(collection.key, A)
    assert setbacks.has(collection.key, B)


@pytest.mark.parametrize("generation", [3, 2])
def test_another_process_goes_by_what_the_last_one_told(setbacks, build, generation):
    entry = {"kind": "Deployment", "namespace": "models", "name": "a", "reason": "WebhookUnreachable", "message": "m"}
    collection = build.collection(status={"observedGeneration": generation, "workloads": [entry]})
    setbacks.recall(collection)
    assert list(setbacks.current(collection)) == ([A] if generation == 3 else [])


def test_nothing_is_waited_for_that_is_due_already(setbacks, clock, collection):
    setbacks.add(collection, A, UNREACHABLE)
    assert setbacks.soonest(collection) == DELAYS[0]
    clock.now += DELAYS[0]
    assert setbacks.soonest(collection) is None
