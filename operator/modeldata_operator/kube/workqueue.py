"""Keys that wait to be reconciled: each at most once, never by two workers at a time."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

K = TypeVar("K")


class Workqueue(Generic[K]):
    """A set with the order of a queue. A key added while it is worked on is worked on once more afterwards."""

    def __init__(self) -> None:
        self._waiting: deque[K] = deque()
        self._dirty: set[K] = set()
        self._active: set[K] = set()
        self._arrived = asyncio.Event()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._resting: dict[K, asyncio.TimerHandle] = {}
        self._hurried: set[K] = set()

    def __len__(self) -> int:
        """Count the keys that are to be worked on, now or once they have rested."""
        return len(self._dirty)

    def add(self, key: K) -> None:
        """Ask for a key to be worked on now."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._active:
            self._waiting.append(key)
            self._arrived.set()

    def hurry(self, key: K) -> None:
        """Ask for a key to be worked on before others, and without a rest."""
        self.add(key)
        if key in self._resting:
            self.done(key)
        elif key in self._active:
            self._hurried.add(key)
        if key in self._waiting:
            self._waiting.remove(key)
            self._waiting.appendleft(key)

    def add_later(self, key: K, delay: float) -> None:
        """Ask for a key to be worked on after a delay, unless an earlier such wish is pending."""
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None:
            if pending.when() <= loop.time() + delay:
                return
            pending.cancel()
        self._timers[key] = loop.call_later(delay, self._fire, key)

    async def get(self) -> K:
        """Wait for the next key; done() must follow.

        Others have a turn each time: at a resync thousands of keys wait, and most of them cost nothing but time.
        """
        await asyncio.sleep(0)
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._waiting.popleft()
        self._dirty.discard(key)
        self._active.add(key)
        return key

    def done(self, key: K, *, rest: float = 0.0) -> None:
        """Give a key back; if it is wanted again, then not before it has rested."""
        if rest > 0 and key not in self._hurried:
            self._resting[key] = asyncio.get_running_loop().call_later(rest, self.done, key)
            return
        timer = self._resting.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._hurried.discard(key)
        self._active.discard(key)
        if key in self._dirty:
            self._waiting.append(key)
            self._arrived.set()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)


def sooner(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two wishes to be looked at again, in seconds; None is no wish."""
    return min((each for each in (one, other) if each is not None), default=None)
