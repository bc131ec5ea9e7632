"""Giving the event loop back in the middle of what takes long, so that nobody waits for the end of it."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

BREATH = 50
"""Steps at a stretch. The longest are an object's parsing and a pod's comparison, a tenth of a millisecond each: five
milliseconds, of which a few others may have as many before one's turn comes again."""


async def in_breaths(steps: Generator[None, None, T]) -> T:
    """Take all steps of a decision, and return it."""
    while True:
        for _ in range(BREATH):
            try:
                next(steps)
            except StopIteration as end:
                decided: T = end.value
                return decided
        await asyncio.sleep(0)


async def each(items: Iterable[T]) -> AsyncIterator[T]:
    """Go through many items."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % BREATH == 0:
            await asyncio.sleep(0)
