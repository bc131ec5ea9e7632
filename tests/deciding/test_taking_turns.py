"""Writes to the API server take turns: nobody's thousands keep another's two waiting, and Retry-After is kept."""

from __future__ import annotations

import asyncio

import pytest

from modeldata_operator.kube import pacing
from modeldata_operator.kube.pacing import HeldError, Pace, Urgency


class Writers:
    """Those who want to write, and what they have begun with. A write ends when it is told to."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.begun: list[str] = []
        self.ends: list[asyncio.Event] = []
        self.failed: list[Exception] = []
        self.news = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def want(self, flow: str, *, number: int = 1, urgency: Urgency = Urgency.CHANGE, outcome: Exception | None = None):
        self.tasks += [asyncio.create_task(self._write(flow, urgency, outcome)) for _ in range(number)]

    async def _write(self, flow, urgency, outcome):
        try:
            async with self.pace.turn(flow, urgency):
                self.begun.append(flow)
                self.news.set()
                self.ends.append(end := asyncio.Event())
                await end.wait()
                if outcome is not None:
                    raise outcome
        except (HeldError, TimeoutError) as error:
            self.failed.append(error)

    async def until(self, begun):
        while len(self.begun) < begun:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 30)

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)

    async def end_one(self):
        self.ends.pop(0).set()
        await self.settle()


@pytest.fixture
async def writers():
    now = [0.0]
    made = Writers(Pace(a_second=0.001, burst=1000, clock=lambda: now[0]))
    made.now = now
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_thousands_of_one_flow_let_another_flow_by_at_once(writers):
    writers.want("large", number=500)
    await writers.settle()
    assert writers.begun == ["large"] * pacing.AT_ONCE
    writers.want("small", number=2)
    await writers.settle()
    assert writers.begun[pacing.AT_ONCE :] == ["small", "small"]
    # What is left of the large one goes on as its own end.
    await writers.end_one()
    assert writers.begun[-1] == "large"


async def test_where_all_places_are_taken_the_one_with_the_fewest_is_next(writers, monkeypatch):
    monkeypatch.setattr(pacing, "ALL_AT_ONCE", 8)
    writers.want("large", number=100)
    await writers.settle()
    writers.want("small", number=2)
    for _ in range(3):
        await writers.end_one()
    assert writers.begun == ["large"] * 8 + ["small", "small", "large"]


async def test_equals_take_turns(writers, monkeypatch):
    monkeypatch.setattr(pacing, "ALL_AT_ONCE", 1)
    writers.want("first")
    for flow in "abc":
        writers.want(flow, number=2)
    await writers.settle()
    for _ in range(6):
        await writers.end_one()
    assert writers.begun == ["first", "a", "b", "c", "a", "b", "c"]


async def test_what_is_urgent_goes_before_what_came_earlier(writers, monkeypatch):
    monkeypatch.setattr(pacing, "ALL_AT_ONCE", 1)
    writers.want("busy")
    writers.want("renewal", urgency=Urgency.RENEWAL, number=3)
    await writers.settle()
    writers.want("switch", urgency=Urgency.SWITCH)
    await writers.settle()
    await writers.end_one()
    assert writers.begun == ["busy", "switch"]


async def test_no_more_are_written_than_the_bucket_has(writers):
    writers.pace = Pace(a_second=10.0, burst=3, clock=lambda: writers.now[0])
    writers.want("a", number=10)
    await writers.settle()
    assert len(writers.begun) == 3
    writers.now[0] = 0.25
    # The bucket comes again by itself, after a tenth of a second of the loop's own clock.
    await writers.until(5)
    writers.now[0] = 100.0
    await writers.until(8)
    await writers.settle()
    assert len(writers.begun) == 8


async def test_a_flow_that_is_not_answered_keeps_few_places(writers):
    writers.want("slow", outcome=TimeoutError(), number=100)
    await writers.settle()
    for _ in range(pacing.AT_ONCE):
        await writers.end_one()
    assert len(writers.begun) == pacing.AT_ONCE + pacing.SLOW_AT_ONCE
    writers.want("other", number=3)
    await writers.settle()
    assert writers.begun[-3:] == ["other"] * 3


async def test_who_is_told_to_wait_waits_and_nobody_else(writers):
    writers.want("told", number=40)
    await writers.settle()
    writers.pace.leave_alone("told", 30.0)
    await writers.settle()
    # Those that wait for their turn hear of it at once, and those that come later too: they are tried later.
    assert len(writers.failed) == 40 - pacing.AT_ONCE
    writers.want("told")
    writers.want("other")
    await writers.settle()
    assert writers.begun[-1] == "other"
    assert isinstance(writers.failed[-1], HeldError)
    writers.now[0] = 30.5
    for _ in range(pacing.AT_ONCE):
        await writers.end_one()
    writers.want("told")
    await writers.settle()
    assert writers.begun[-1] == "told"


async def test_once_a_second_flow_is_told_to_wait_all_do(writers):
    writers.pace.leave_alone("one", 30.0)
    writers.pace.leave_alone("two", 10.0)
    writers.want("three")
    await writers.settle()
    assert writers.begun == []
    assert len(writers.failed) == 1
    writers.now[0] = 10.5
    writers.want("three")
    await writers.settle()
    assert writers.begun == ["three"]


async def test_a_short_wait_is_waited_for(writers):
    writers.pace.leave_alone("a", 0.05)
    writers.want("a")
    await writers.settle()
    assert writers.begun == []
    writers.now[0] = 0.06
    await writers.until(1)
    assert writers.failed == []


async def test_whoever_gives_up_leaves_no_place_taken(writers, monkeypatch):
    monkeypatch.setattr(pacing, "ALL_AT_ONCE", 1)
    writers.want("a", number=3)
    await writers.settle()
    writers.tasks[1].cancel()
    writers.tasks[0].cancel()
    await writers.settle()
    assert writers.begun == ["a", "a"]
    assert writers.tasks[1].cancelled()


async def test_a_flow_whose_writes_take_long_has_fewer_under_way_until_they_do_not(writers):
    writers.want("a", number=400)
    await writers.settle()
    writers.now[0] += 2 * pacing.SLOW_SECONDS
    for _ in range(pacing.AT_ONCE):
        await writers.end_one()
    # What was under way has ended, late, and so few have followed.
    assert len(writers.ends) == pacing.SLOW_AT_ONCE
    for _ in range(pacing.AT_ONCE):
        await writers.end_one()
    assert len(writers.ends) == pacing.AT_ONCE
