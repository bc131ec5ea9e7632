"""A closer killed at any of its requests, raced by another one, or without its answers: each row is there once."""

from __future__ import annotations

import contextlib
import pathlib
import random
import threading
import typing

import pytest

from modeldata_analytics.catalog import open_store

from ..conftest import Azurite
from . import azure_proxy, closers, stores
from .stores import FOLDER, LEADING, Filled, row, written

pytestmark = pytest.mark.azurite

HEADER = (*LEADING, "v")
FIRST = [row(number, str(number)) for number in range(5)]
LATE = [row(number, "x") for number in range(5, 8)]
LOOKING = 4
"""Requests that only look for folders: the steps begin behind them."""


class Stage:
    """A container, and closers that close it through proxies of their own."""

    def __init__(self, azurite: Azurite, scratch: pathlib.Path, count: int) -> None:
        self._azurite = azurite
        self._stack = contextlib.ExitStack()
        self.proxies, self.closers = list[azure_proxy.AzureProxy](), list[closers.Closers]()
        for _ in range(count):
            proxy = azure_proxy.AzureProxy(azurite, random.Random(0))
            self._stack.callback(proxy.close)
            closer = closers.Closers(scratch, credential=azurite.account_key)
            self._stack.callback(closer.close)
            self.proxies.append(proxy)
            self.closers.append(closer)
        self.anew()

    def anew(self) -> None:
        """Have a container with a day in it."""
        container = stores.container(self._azurite)
        store = open_store(f"{self._azurite.endpoint}/{container.container_name}", self._azurite.account_key)
        self.filled = Filled(store, container=container)
        self.filled.append("data.csv", written([HEADER, *FIRST]))
        day = stores.PATH.day(FOLDER)
        assert day is not None
        self.reader = closers.Reader(store, day)
        self.addresses = [f"{proxy.endpoint}/{container.container_name}" for proxy in self.proxies]

    def start(self, number: int, **what: typing.Any) -> closers.Closers:
        self.closers[number].start(address=self.addresses[number], **what)
        return self.closers[number]

    def check(self, rows: list[stores.Row]) -> None:
        """Compare all that is closed with what was collected."""
        self.reader.look()
        assert self.reader.wrong == []
        header, found = self.filled.closed()
        assert (header, found) == (HEADER, sorted(rows, key=lambda each: str(each[2])))
        keys = [key for part in self.filled.parts() for key in part["$RequestId"].to_pylist()]
        assert sorted(keys) == [each[2] for each in found]
        assert self.filled.manifest()["next"] is None

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def stage(local_azurite: Azurite, scratch: pathlib.Path, request: pytest.FixtureRequest) -> typing.Iterator[Stage]:
    made = Stage(local_azurite, scratch, count=request.param)
    yield made
    made.close()


one, two = (pytest.mark.parametrize("stage", [count], indirect=True, ids=[""]) for count in (1, 2))


class Counter:
    """Does something at the n-th request of a closer."""

    def __init__(self, number: int, act: typing.Callable[[], None]) -> None:
        self._left, self._act = number, act
        self._lock = threading.Lock()
        self.acted = False

    def __call__(self, method: str, path: str) -> None:
        with self._lock:
            self._left -= 1
            now, self.acted = self._left == 0, self.acted or self._left <= 0
        if now:
            self._act()


@one
def test_killed_at_each_request(stage: Stage) -> None:
    """Behind each one, once as the day is closed and once as late rows are; a third closer has time to finish."""
    (proxy,), number, reached = stage.proxies, LOOKING, True
    while reached:
        number, reached = number + 1, False
        stage.anew()
        for late in (False, True):
            if late:
                stage.filled.append("data.1.csv", written([HEADER, *LATE]))
            proxy.after = counter = Counter(number, stage.closers[0].kill)
            code = stage.start(0).end()
            assert code == (-9 if counter.acted else 0)
            reached |= counter.acted
            stage.reader.look()
        proxy.after = lambda method, path: None
        assert stage.start(0).end() == 0
        stage.check(FIRST + LATE)
    assert number > LOOKING + 10


@two
def test_a_slow_one_and_a_quick_one(stage: Stage) -> None:
    """One stands still before its n-th request, while another one closes the day and what comes late."""
    number, reached = LOOKING, True
    while reached:
        number += 1
        stage.anew()
        stands, goes_on = threading.Event(), threading.Event()

        def stand(stands: threading.Event = stands, goes_on: threading.Event = goes_on) -> None:
            stands.set()
            goes_on.wait(60)

        stage.proxies[0].before = counter = Counter(number, stand)
        slow = stage.start(0)
        waiting = threading.Thread(target=_wait, args=(slow, stands))
        waiting.start()
        assert stands.wait(60)
        reached = counter.acted
        assert stage.start(1).end() == 0
        stage.reader.look()
        if number % 2:
            stage.filled.append("data.csv", written(LATE))
            assert stage.start(1).end() == 0
            stage.reader.look()
        goes_on.set()
        waiting.join()
        stage.reader.look()
        stage.proxies[0].before = lambda method, path: None
        assert stage.start(1).end() == 0
        stage.check(FIRST + LATE if number % 2 else FIRST)
    assert number > LOOKING + 10


def _wait(closer: closers.Closers, ended: threading.Event) -> None:
    closer.end()
    ended.set()


@two
def test_two_at_the_same_moment(stage: Stage) -> None:
    for _ in range(3):
        stage.anew()
        both = [stage.start(number) for number in (0, 1)]
        assert {closer.end() for closer in both} <= {0, 1}
        stage.reader.look()
        assert stage.start(0).end() == 0
        stage.check(FIRST)


@one
def test_answers_that_are_lost(stage: Stage) -> None:
    """Each write is applied and not answered, so that it is tried again, and refused: it was ours."""
    (proxy,), lost = stage.proxies, list[str]()

    def loses(method: str, path: str) -> bool:
        name = path.partition("?")[0].rpartition("/")[2]
        # The manifest is written twice: as the pass begins, and as it ends.
        if method != "PUT" or lost.count(name) == (1 + ("part-0001.parquet" in lost) if "_closed" in name else 1):
            return False
        lost.append(name)
        return True

    proxy.loses = loses
    assert stage.start(0).end() == 0
    assert sorted(lost) == ["_closed.json", "_closed.json", "data.csv", "part-0001.parquet"]
    stage.check(FIRST)
