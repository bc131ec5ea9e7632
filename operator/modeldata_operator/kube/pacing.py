"""Whose write to the API server is next: a bucket of tokens, turns between those who write, and being left alone."""

import asyncio
import contextlib
import enum
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator

from ..observe import metrics
from .bucket import Bucket

A_SECOND, BURST = 400.0, 400
"""Writes a second, and at once after a rest. Above what an API server on two cores takes of one client (some 300
patches a second were measured): nobody is slowed there, and a runaway is held down elsewhere."""

AT_ONCE = 32
"""Writes under way of one flow. Enough to use an API server well."""

SLOW_AT_ONCE, SLOW_SECONDS = 2, 0.5
"""A flow has the fewer under way, down to two, the more of its writes take so long: then more at once only wait, there
and in the way of others. An API server without time to spare must still answer the renewal of our Lease within two
seconds; and a webhook of one namespace may hang. With 32 under way an API server on two cores takes a tenth of one."""

ALL_AT_ONCE = 256
"""Writes under way together: connections are memory, here and there."""

PATIENCE = 2.0
"""Seconds that a write waits where the API server asked to be left alone; for longer it fails, and is tried later by
whoever wanted it. So no reconcile stands still meanwhile."""

LONGEST_PAUSE = 120.0


class Urgency(enum.IntEnum):
    """What goes before what."""

    SWITCH = 0
    """What starts or ends collecting, or is privacy."""
    CHANGE = 1
    RENEWAL = 2
    """What is not missed for a while: another SAS long before the old one ends, repeats, Events."""


class HeldError(Exception):
    """The API server asked to be left alone for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the API server asked to be left alone for {seconds:.0f} s")
        self.seconds = seconds


class Pace:
    """Gives turns to writes. A flow is who shares the way: a collection, or what is written into one namespace.

    The most urgent goes first; among equals, the flow that has the fewest under way, and then the one whose last turn
    is the longest ago. So 10,000 writes of one flow put another's two off by one write's time.
    """

    def __init__(
        self, *, a_second: float = A_SECOND, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._bucket = Bucket(burst, a_second, clock())
        # Dictionaries keep an order: a flow that had its turn goes to the end.
        self._waiting: dict[Urgency, dict[str, deque[asyncio.Future[None]]]] = {urgency: {} for urgency in Urgency}
        self._under_way: Counter[str] = Counter()
        self._most: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._all_told = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def turn(self, flow: str, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a turn; it is over with the block.

        Raises:
            HeldError: the API server asked to be left alone for longer than a write waits.

        """
        self._hold(flow)
        turn = asyncio.get_running_loop().create_future()
        self._waiting[urgency].setdefault(flow, deque()).append(turn)
        self._give()
        if not turn.done():
            metrics.WRITES_HELD.inc()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._take_back(flow)
            raise
        began = self._clock()
        try:
            yield
        except TimeoutError:
            self._most[flow] = SLOW_AT_ONCE
            raise
        else:
            self._learn(flow, self._clock() - began)
        finally:
            self._take_back(flow)

    def leave_alone(self, flow: str, seconds: float) -> None:
        """Take in that a write of a flow was answered with Retry-After.

        That flow waits; once a second one is told so meanwhile, it is not about one's objects, and all wait.
        """
        now = self._clock()
        until = now + min(seconds, LONGEST_PAUSE)
        self._told = {each: moment for each, moment in self._told.items() if moment > now}
        if any(each != flow for each in self._told):
            self._all_told = max(self._all_told, until)
        self._told[flow] = max(until, self._told.get(flow, until))
        for waiting in self._waiting.values():
            for each in [each for each in waiting if self._told_for(each) > PATIENCE]:
                for turn in waiting.pop(each):
                    if not turn.done():
                        turn.set_exception(HeldError(self._told_for(each)))
        self._give()

    def _learn(self, flow: str, took: float) -> None:
        """Let a flow have fewer writes under way if one has taken long, else one more."""
        most = self._most.get(flow, AT_ONCE)
        most = max(SLOW_AT_ONCE, most * 3 // 4) if took > SLOW_SECONDS else most + 1
        if most < AT_ONCE:
            self._most[flow] = most
        else:
            self._most.pop(flow, None)

    def _told_for(self, flow: str) -> float:
        return max(self._told.get(flow, float("-inf")), self._all_told) - self._clock()

    def _hold(self, flow: str) -> None:
        left = self._told_for(flow)
        if left > PATIENCE:
            metrics.WRITES_HELD.inc()
            raise HeldError(left)

    def _take_back(self, flow: str) -> None:
        self._under_way[flow] -= 1
        if not self._under_way[flow]:
            del self._under_way[flow]
        self._give()

    def _give(self) -> None:
        """Give turns to whoever may have one, and come again when the next may be due."""
        self._bucket.fill(self._clock())
        while self._bucket.has_one and self._under_way.total() < ALL_AT_ONCE:
            found = self._next()
            if found is None:
                break
            waiting, flow = found
            turns = waiting.pop(flow)
            turn = turns.popleft()
            if turns:
                waiting[flow] = turns
            if turn.done():
                continue  # whoever wanted it has given up
            self._bucket.take()
            self._under_way[flow] += 1
            turn.set_result(None)
        self._come_again()

    def _next(self) -> tuple[dict[str, deque[asyncio.Future[None]]], str] | None:
        for waiting in self._waiting.values():
            best = None
            for flow in self._ready(waiting):
                if best is None or self._under_way[flow] < self._under_way[best]:
                    best = flow
                if not self._under_way[best]:
                    break
            if best is not None:
                return waiting, best
        return None

    def _ready(self, waiting: dict[str, deque[asyncio.Future[None]]]) -> Iterator[str]:
        for flow, turns in waiting.items():
            if turns and self._under_way[flow] < self._most.get(flow, AT_ONCE) and self._told_for(flow) <= 0:
                yield flow

    def _come_again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        flows = [flow for waiting in self._waiting.values() for flow, turns in waiting.items() if turns]
        if not flows:
            return
        # Whoever waits for another's end needs no timer: that end gives the turn.
        pauses = [left for flow in flows if (left := self._told_for(flow)) > 0]
        if not self._bucket.has_one:
            pauses.append(self._bucket.seconds_left)
        if pauses:
            self._timer = asyncio.get_running_loop().call_later(min(pauses), self._give)
