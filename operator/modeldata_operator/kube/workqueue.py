"""Keys that wait to be reconciled: each at most once, never by two workers at a time, each tenant's in its turn."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K")


class Workqueue(Generic[K]):
    """A set with the order of a queue. A key added while it is worked on is worked on once more afterwards.

    Tenants take turns: whoever has thousands of keys, or changes them all the time, holds up nobody else's.
    """

    def __init__(self, tenant: Callable[[K], Hashable]) -> None:
        """Begin empty.

        Args:
            tenant: whose a key is, such as its namespace.

        """
        self._urgent: _Line[K] = _Line(tenant)
        self._waiting: _Line[K] = _Line(tenant)
        self._urgent_last = False
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
            self._wait(key)

    def hurry(self, key: K) -> None:
        """Ask for a key to be worked on before others, and without a rest."""
        self.add(key)
        if key in self._resting:
            self.done(key)
        elif key in self._active:
            self._hurried.add(key)
        if self._waiting.remove(key):
            self._urgent.add(key)

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
        while not (self._urgent or self._waiting):
            self._arrived.clear()
            await self._arrived.wait()
        # Who is in a hurry goes first, but not all the time: somebody always is, where a tenant wants it so.
        self._urgent_last = bool(self._urgent) and not (self._urgent_last and self._waiting)
        key = (self._urgent if self._urgent_last else self._waiting).take()
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
        urgent = key in self._hurried
        self._hurried.discard(key)
        self._active.discard(key)
        if key in self._dirty:
            self._wait(key, urgent=urgent)

    def _wait(self, key: K, *, urgent: bool = False) -> None:
        (self._urgent if urgent else self._waiting).add(key)
        self._arrived.set()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)


class _Line(Generic[K]):
    """Keys in the order in which they came, one of each tenant at a time. A dict keeps an order, and finds at once."""

    def __init__(self, tenant: Callable[[K], Hashable]) -> None:
        self._tenant = tenant
        self._keys: dict[Hashable, dict[K, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def add(self, key: K) -> None:
        self._keys.setdefault(self._tenant(key), {})[key] = None

    def remove(self, key: K) -> bool:
        """Take a key out of the line, if it is there."""
        tenant = self._tenant(key)
        theirs = self._keys.get(tenant, {})
        if key not in theirs:
            return False
        del theirs[key]
        if not theirs:
            del self._keys[tenant]
        return True

    def take(self) -> K:
        """Take the next key; its tenant's others wait behind everybody else's first."""
        tenant = next(iter(self._keys))
        theirs = self._keys.pop(tenant)
        key = next(iter(theirs))
        del theirs[key]
        if theirs:
            self._keys[tenant] = theirs
        return key


def sooner(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two wishes to be looked at again, in seconds; None is no wish."""
    return min((each for each in (one, other) if each is not None), default=None)
