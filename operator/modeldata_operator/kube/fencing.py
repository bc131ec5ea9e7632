"""Until when a leader's writes may leave this process.

The time is looked at when a request is made, limits how long it may take, and is looked at once more when its bytes go
to the connection: a process that was frozen in between does not know how long.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import aiohttp


class LeaseOver(TimeoutError):  # noqa: N818 (the time is over, which is no mistake)
    """A process that does not lead any more has sent nothing."""


def clock() -> float:
    """Return seconds that go on while the machine is suspended, as those of the other machines do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Lets the writes of one time of leading through, until that is over. It is never opened again."""

    def __init__(self, until: float, *, clock: Callable[[], float] = clock) -> None:
        self._until = until
        self._clock = clock
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self._until - self._clock()

    def extend(self, until: float) -> None:
        """Stay open for longer, unless it has been closed."""
        if self.left > 0:
            self._until = max(self._until, until)

    def close(self) -> None:
        """Let nothing more through. What is under way goes on for as long as it was given."""
        self._until = float("-inf")

    @contextlib.contextmanager
    def writing(self) -> Iterator[float]:
        """Send a write; the value is how many seconds it may take.

        Raises:
            LeaseOver: it may not be sent.

        """
        left = self.left
        if left <= 0:
            raise LeaseOver("this process does not lead any more")
        token = _passed.set(self)
        self._under_way += 1
        self._quiet.clear()
        try:
            yield left
        finally:
            _passed.reset(token)
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def quiet(self, *, seconds: float) -> bool:
        """Wait until nothing is under way; False if that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        return self._quiet.is_set()


_passed: ContextVar[Fence | None] = ContextVar("passed", default=None)


def trace() -> aiohttp.TraceConfig:
    """Have a session look at the fence just before it writes a request to its connection."""
    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(_look)
    return config


async def _look(*_: Any) -> None:
    fence = _passed.get()
    if fence is not None and fence.left <= 0:
        raise LeaseOver("this process does not lead any more")
