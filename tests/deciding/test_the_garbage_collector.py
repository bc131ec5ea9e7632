"""What the watches know is not looked through again and again, and what goes in circles is found all the same."""

import asyncio
import collections.abc
import contextlib
import gc
import weakref

import pytest

from modeldata_operator.kube import watching


class Circle:
    def __init__(self) -> None:
        self.itself = self


@contextlib.asynccontextmanager
async def watches() -> collections.abc.AsyncIterator[None]:
    made = watching.Watches(cluster=None)  # type: ignore[arg-type]  # it watches nothing
    running = made.start()
    await made.wait()
    yield
    running.cancel()
    await asyncio.wait([running])


async def test_once_all_is_known_it_is_out_of_the_collectors_sight() -> None:
    async with watches():
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0


async def test_circles_that_were_out_of_sight_are_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOKED_THROUGH_SECONDS", 0.01)
    circle, found = Circle(), asyncio.Event()
    weakref.finalize(circle, found.set)
    async with watches(), asyncio.timeout(30):
        del circle
        await found.wait()
