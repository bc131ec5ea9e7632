"""The same for each of many namespaces, some side by side, and none for long."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

NAMESPACES_AT_ONCE = 8
"""So that one namespace whose Secrets are answered for slowly keeps few others waiting."""

LOOK_SECONDS = 20.0
"""After so long no further namespace is begun with: where nobody answers, a call takes ten seconds, and the collection
waits meanwhile. Those that were left out come first at the next look."""

T = TypeVar("T")


async def in_each(calls: Mapping[str, Callable[[], Coroutine[Any, Any, T]]], *, until: float, late: T) -> dict[str, T]:
    """Make a call in each namespace, some side by side; what is not begun in time counts as late."""
    slots, clock = asyncio.Semaphore(NAMESPACES_AT_ONCE), asyncio.get_running_loop().time

    async def one(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with slots:
            return late if clock() > until else await call()

    results = await asyncio.gather(*map(one, calls.values()))
    return dict(zip(calls, results, strict=True))
