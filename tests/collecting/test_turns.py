"""When the shipper gives way to the model's requests; a clock of the test's, as the rules are about microseconds."""

from __future__ import annotations

import sys
import typing

import pytest

from modeldata.threads import turns

UNUSED, USED = 0.00006, 0.0003
STEP = 0.0001


class Clock:
    """Stands for ``time``: tells how long was worked between two rests."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.rest = UNUSED
        self.works: list[float] = []
        self._since = self.now

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.works.append(self.now - self._since)
        self.now += self.rest
        self._since = self.now

    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.now += STEP
            turns.give_way()


def is_about(work: float, seconds: float) -> bool:
    """Return whether it ended with the first step after so many seconds."""
    return seconds - 1e-6 <= work < seconds + 1.5 * STEP


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "time", made)
    monkeypatch.setattr(turns, "_began", 0.0)
    monkeypatch.setattr(turns, "_work", turns.WORK_SECONDS)
    turns.give_way()
    return made


def test_a_shipper_whose_rests_are_used_works_shortly(clock: Clock) -> None:
    clock.rest = USED
    clock.work(100)
    assert len(clock.works) > 10
    assert all(is_about(work, turns.WORK_SECONDS) for work in clock.works[1:])


def test_a_shipper_whose_rests_nobody_uses_works_longer_but_never_so_long_that_a_request_would_feel_it(
    clock: Clock,
) -> None:
    clock.work(300)
    assert all(map(is_about, clock.works[1:4], [0.0005, 0.001, 0.002]))
    assert all(is_about(work, turns.ALONE_SECONDS) for work in clock.works[3:])


def test_one_rest_that_is_used_makes_it_work_shortly_again(clock: Clock) -> None:
    clock.work(100)
    before, clock.rest = len(clock.works), USED
    clock.work(30)
    assert is_about(clock.works[before], turns.ALONE_SECONDS)
    assert is_about(clock.works[before + 1], turns.WORK_SECONDS)


def test_after_a_pause_it_works_shortly_until_it_knows_that_it_is_alone(clock: Clock) -> None:
    clock.work(100)
    clock.now += 5.0
    before = len(clock.works)
    clock.work(10)
    assert is_about(clock.works[before + 1], turns.WORK_SECONDS)


@pytest.fixture
def interval() -> typing.Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.007)  # which CPython then calls 6.999 ms, and if that is set, 6.998
    yield sys.getswitchinterval()
    sys.setswitchinterval(before + 0.0000005)


def test_turns_are_short_within_and_as_they_were_afterwards(interval: float) -> None:
    with turns.short():
        assert sys.getswitchinterval() == turns.SWITCH_SECONDS
        with turns.short():
            pass
        assert sys.getswitchinterval() == turns.SWITCH_SECONDS
    assert sys.getswitchinterval() == interval


@pytest.mark.usefixtures("interval")
def test_what_the_model_sets_itself_stays() -> None:
    with turns.short():
        sys.setswitchinterval(0.002)
    assert sys.getswitchinterval() == pytest.approx(0.002)
    sys.setswitchinterval(0.0005)
    with turns.short():
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
