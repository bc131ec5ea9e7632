"""The fleet of tests/delivery, whose day is closed all the time: closers killed, two at once, and a reader that looks.

At the end all raw files are gone, and what is closed is what was collected.
"""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import random
import threading
import typing

from modeldata_analytics import NotFoundError, Store, catalog
from modeldata_analytics.days import template
from modeldata_analytics.storage import StorageError

from ..conftest import Azurite
from ..delivery import fleet
from . import azure_proxy, closers

PATH = template.Template(fleet.PATH)
AHEAD = datetime.timedelta(days=2)
"""Closers take it for so much later, so that today is over."""


class ClosingFleet(fleet.Fleet):
    """Pods as in the fleet; their days are closed meanwhile."""

    def __init__(
        self, azurite: pathlib.Path, key: str, directory: pathlib.Path, *, seed: int, course: fleet.Course
    ) -> None:
        super().__init__(azurite, key, directory, seed=seed, course=course)
        self._draw = random.Random(f"{seed}/closing")
        self._stack = contextlib.ExitStack()
        storage = Azurite(self.server.endpoint, account_key=key)
        self._proxies = [azure_proxy.AzureProxy(storage, random.Random(number)) for number in range(2)]
        now = datetime.datetime.now(datetime.UTC) + AHEAD
        scratch = directory / "scratch"
        scratch.mkdir()
        self._closers = []
        for proxy in self._proxies:
            self._stack.callback(proxy.close)
            closer = closers.Closers(
                scratch, address=f"{proxy.endpoint}/modeldata", credential=key, path=PATH.text, now=now.isoformat()
            )
            self._stack.callback(closer.close)
            self._closers.append(closer)
        self._store = catalog.open_store(f"{self.server.endpoint}/modeldata", key)
        self._tables = Store(f"{self.server.endpoint}/modeldata", key, path=fleet.PATH, memory="300MB", scratch=scratch)
        self._readers: dict[template.Day, closers.Reader] = {}
        self.codes: list[int] = []
        """Of each closer: 0 where it has closed all, -9 where it was killed."""
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._close, self._read)]
        for thread in self._threads:
            thread.start()

    @property
    def reads(self) -> int:
        return sum(reader.reads for reader in self._readers.values())

    @property
    def wrong(self) -> list[str]:
        """What readers saw that they must not."""
        return [f"{day.folder}: {each}" for day, reader in self._readers.items() for each in reader.wrong]

    @property
    def killed(self) -> int:
        """Closers that were."""
        return self.codes.count(-9)

    def files(self) -> dict[str, str]:
        """Close all, delete the raw files, and return what is closed."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        for proxy in self._proxies:
            proxy.before = lambda method, path: None
        long_after = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=40)).isoformat()
        for _ in range(2):  # a run deletes what one before it has closed
            assert self._closers[0].run(now=long_after, delete_after=30 * 24) == 0
        self._look()
        there = {blob.name: blob.size for blob in self.container.list_blobs()}
        left = [name for name, size in there.items() if name.startswith("fleet/") and name.endswith(".csv") and size]
        assert not left, left
        return {
            name: self.container.download_blob(name).readall().decode() for name in there if name.startswith("closed/")
        }

    def close(self) -> None:
        self._over.set()
        self._stack.close()
        super().close()

    def _close(self) -> None:
        while not self._over.is_set():
            number = self._draw.randrange(2)
            first, second = self._closers[number], self._closers[1 - number]
            self._proxies[number].before = _at(self._draw.randrange(4, 60), first.kill)
            both = self._draw.random() < 0.3
            with contextlib.suppress(ValueError):  # closed meanwhile
                first.start()
                if both:
                    second.start()
                self.codes.append(first.end())
                if both:
                    self.codes.append(second.end())

    def _read(self) -> None:
        while not self._over.wait(0.1):
            with contextlib.suppress(StorageError):  # it is being restarted
                self._look()

    def _look(self) -> None:
        for day in catalog.find(self._store, PATH, template.Wanted()):
            reader = self._readers.setdefault(day, closers.Reader(self._store, day))
            reader.look()
            with contextlib.suppress(NotFoundError):  # its first row is on its way
                table = self._tables.model("m").table(day.date, day.date, (day.stream.designation,))
                reader.see("table", table["$RequestId"].tolist())


def _at(number: int, act: typing.Callable[[], None]) -> azure_proxy.Told:
    left = [number]

    def told(method: str, path: str) -> None:
        left[0] -= 1
        if not left[0]:
            with contextlib.suppress(ProcessLookupError):
                act()

    return told
