from __future__ import annotations

import random

import pytest

from modeldata_operator.api.lease import Lease, lease
from modeldata_operator.decide import leadership
from modeldata_operator.decide.leadership import ACTS_SECONDS, LEASE_SECONDS, Sighting


def record(version: int, holder: str = "other", *, seconds: float = LEASE_SECONDS) -> Lease:
    return Lease(str(version), holder, seconds, 0, "")


def free(sighting: Sighting, now: float) -> float:
    return leadership.free_in(sighting, me="me", now=now)


@pytest.mark.parametrize("found", [None, record(1, ""), record(1, "me")], ids=["none", "given back", "mine"])
def test_what_nobody_else_holds_is_taken_at_once(found):
    assert free(leadership.sighted(None, found, now=5.0), 5.0) == 0


def test_what_another_holds_is_waited_for_from_when_it_was_first_seen_so():
    sighting = leadership.sighted(None, record(1), now=100.0)
    sighting = leadership.sighted(sighting, record(1), now=105.0)
    assert free(sighting, 105.0) == LEASE_SECONDS - 5
    assert free(sighting, 100.0 + LEASE_SECONDS) == 0


def test_any_change_of_it_begins_the_wait_anew():
    sighting = leadership.sighted(None, record(1), now=100.0)
    sighting = leadership.sighted(sighting, record(2), now=109.0)
    assert free(sighting, 109.0) == LEASE_SECONDS


def test_as_long_as_its_holder_says_it_is_waited():
    assert free(leadership.sighted(None, record(1, seconds=30), now=0.0), 0.0) == 30
    assert free(leadership.sighted(None, record(1, seconds=0), now=0.0), 0.0) == LEASE_SECONDS


def test_that_it_was_deleted_does_not_say_that_its_holder_has_stopped():
    sighting = leadership.sighted(None, record(1), now=100.0)
    sighting = leadership.sighted(sighting, None, now=103.0)
    assert free(sighting, 103.0) == LEASE_SECONDS - 3
    # Made anew by its holder, even under an old version, it is another.
    sighting = leadership.sighted(sighting, record(1), now=104.0)
    assert free(sighting, 104.0) == LEASE_SECONDS


def test_a_holder_has_stopped_a_while_before_its_lease_is_free():
    sighting = leadership.sighted(None, record(1), now=100.0)
    assert not leadership.stopped(sighting, me="me", now=100.0 + ACTS_SECONDS - 0.1)
    assert leadership.stopped(sighting, me="me", now=100.0 + ACTS_SECONDS)
    for found in (None, record(1, ""), record(1, "me"), record(1, seconds=LEASE_SECONDS + 5)):
        assert not leadership.stopped(leadership.sighted(None, found, now=100.0), me="me", now=200.0)


def test_one_that_makes_no_sense_is_held_by_nobody():
    read = lease(
        {"metadata": {"resourceVersion": "7"}, "spec": {"leaseDurationSeconds": "ten", "leaseTransitions": None}}
    )
    assert read == Lease("7", "", 0.0, 0, "")
    assert lease({"metadata": {"resourceVersion": "7"}}).holder == ""


@pytest.mark.parametrize("seed", range(50))
def test_whenever_renewals_are_sent_taken_and_seen_no_two_act_at_once(seed):
    """Renewals are taken late and answered late or never; clocks differ by weeks and run unequally, by 1 %."""
    chance = random.Random(seed)

    def of_holder(true: float) -> float:
        return 1e6 + true * 0.995

    def of_other(true: float) -> float:
        return -1e6 + true * 1.005

    renewals, sent = [], 0.0
    for _ in range(30):
        taken = sent + chance.uniform(0, 2)
        answered = taken + chance.uniform(0, 2) if chance.random() < 0.6 else float("inf")
        renewals.append((sent, taken, answered))
        sent += chance.uniform(0.5, 14)
    look, sighting = 0.0, None
    while True:
        look += chance.uniform(0.2, 1.5)
        version = sum(taken <= look for _, taken, _ in renewals)
        if not version:
            continue
        sighting = leadership.sighted(sighting, record(version), now=of_other(look))
        if free(sighting, of_other(look)) == 0:
            break
    known = [sent for sent, taken, answered in renewals if answered <= look or taken <= look]
    assert of_holder(look) > max(leadership.acts_until(of_holder(sent)) for sent in known)


def test_the_holder_stops_well_before():
    assert ACTS_SECONDS + 3 <= LEASE_SECONDS
