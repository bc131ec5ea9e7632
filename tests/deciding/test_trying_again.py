from __future__ import annotations

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.controller import reconciler
from modeldata_operator.controller.refusals import LONGEST_WAIT, Refusals
from modeldata_operator.kube.failures import ApiError


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def refusals(now):
    return Refusals(waits=(1.0, 3.0, 10.0), clock=lambda: now[0])


def test_each_thing_is_tried_again_by_itself_and_ever_more_rarely(refusals, now):
    for wait in (1.0, 3.0, 10.0, 10.0):
        refusals.failed("a", ApiError(500, "away"))
        assert refusals.resting("a")
        assert not refusals.resting("b")
        assert refusals.next_due == wait
        now[0] += wait
        assert not refusals.resting("a")
        # What is due is not waited for: it is tried in this very look.
        assert refusals.next_due is None


def test_somebodys_no_is_told_at_once_and_what_may_pass_after_some_tries(refusals):
    assert refusals.failed("a", ApiError(403, "a policy")).standing
    assert [refusals.failed("b", TimeoutError()).standing for _ in range(3)] == [False, False, True]
    assert refusals.known["a"].message == "403: a policy"
    assert refusals.known["b"].message == "the API server did not answer in time"


def test_a_success_ends_it(refusals):
    refusals.failed("a", ApiError(403, "a policy"))
    refusals.succeeded("a")
    assert not refusals.resting("a")
    assert refusals.failed("a", ApiError(500, "away")).tries == 1


def test_the_api_servers_own_wait_is_kept_within_reason(refusals):
    refusals.failed("a", ApiError(429, "busy", retry_after=30.0))
    assert refusals.next_due == 30.0
    refusals.succeeded("a")
    refusals.failed("a", ApiError(429, "busy", retry_after=86400.0))
    assert refusals.next_due == LONGEST_WAIT


def test_what_is_not_wanted_any_more_is_forgotten(refusals):
    for key in "ab":
        refusals.failed(key, ApiError(403, "a policy"))
    refusals.keep({"b"})
    assert set(refusals.known) == {"b"}


class Calls:
    """Calls that take a second each, one after the other."""

    def __init__(self, now) -> None:
        self.now, self.made = now, []

    def named(self, name, outcome=True):
        async def call():
            self.made.append(name)
            self.now[0] += 1.0
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return call


async def test_one_reconcile_ends_and_leaves_the_rest_to_the_next(refusals, now, monkeypatch):
    monkeypatch.setattr(reconciler, "CALLS_AT_ONCE", 1)
    calls = Calls(now)
    work = reconciler._Work(ObjectKey("models", "churn"), refusals, until=2.5, clock=lambda: now[0])
    taken = await work.all({(name, ""): calls.named(name) for name in "abcde"})
    assert (taken, calls.made, work.left) == (3, ["a", "b", "c"], 2)


async def test_one_pods_failure_is_no_other_pods_and_is_not_tried_again_at_once(refusals, now):
    calls = Calls(now)
    wanted = {
        ("a", ""): calls.named("a", ApiError(403, "a policy")),
        ("b", ""): calls.named("b", RuntimeError("a mistake")),
        ("c", ""): calls.named("c", False),
        ("d", ""): calls.named("d"),
    }
    work = reconciler._Work(ObjectKey("models", "churn"), refusals, until=1000.0, clock=lambda: now[0])
    assert await work.all(wanted) == 1
    assert [str(failure) for failure in work.failures] == ["403: a policy", "a mistake"]
    assert set(refusals.known) == {("a", ""), ("b", ""), ("c", "")}
    now[0] = min(refusal.again for refusal in refusals.known.values()) - 0.5
    calls.made.clear()
    await work.all(wanted)
    assert calls.made == ["d"]
