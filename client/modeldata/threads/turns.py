"""The shipper's thread gives way: it shares the interpreter's lock with the model's requests.

A thread that wants the lock waits for up to 5 ms (``sys.getswitchinterval``) while another computes; a request in the
middle of an encoding would have to, again and again. A thread that sleeps gives it up at once.
"""

from __future__ import annotations

import contextlib
import sys
import time
import typing

WORK_SECONDS = 0.0005
"""How long the shipper computes before it gives way: what a request may wait for it."""

ALONE_SECONDS = 0.002
"""The same, where nobody wanted the lock while the shipper rested: a request that comes then waits once for so long."""

REST_SECONDS = 0.000001
"""Asked of the kernel, which makes some 60 us of it; ``sleep(0)`` would take the lock back before anyone woke up."""

USED_SECONDS = 0.0001
"""A rest that took longer was used: the lock was somebody else's when it was over, or the processor was."""

PAUSE_SECONDS = 0.05
"""After so long without a rest the shipper has done something else, and knows nothing of who wants the lock."""

SWITCH_SECONDS = 0.001
"""The same, while what computes can't be made to rest: an import (measured: 2 to 4 ms at a time instead of 5 to 9)."""

_HALF_A_MICROSECOND = 0.0000005
"""CPython cuts an interval to whole microseconds: what it says itself would often become one less."""

_began = 0.0
_work = WORK_SECONDS


def give_way() -> None:
    """Rest for a moment if it is time to. Called by the threads that ship, between small pieces of work."""
    global _began, _work
    now = time.perf_counter()
    if now - _began >= _work:
        time.sleep(REST_SECONDS)
        rested = time.perf_counter()
        alone = rested - now < USED_SECONDS and now - _began < PAUSE_SECONDS
        _work = min(2 * _work, ALONE_SECONDS) if alone else WORK_SECONDS
        _began = rested


@contextlib.contextmanager
def short() -> typing.Iterator[None]:
    """Have this process's threads take the lock from each other sooner, for as long as it takes: less than a second.

    The interval is the process's. Where somebody else sets it meanwhile, it stays as he has set it.
    """
    before = sys.getswitchinterval()
    if before <= SWITCH_SECONDS:
        yield
        return
    sys.setswitchinterval(SWITCH_SECONDS)
    ours = sys.getswitchinterval()
    try:
        yield
    finally:
        if sys.getswitchinterval() == ours:
            sys.setswitchinterval(before + _HALF_A_MICROSECOND)
