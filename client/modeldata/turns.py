"""The shipper's thread gives way: it shares the interpreter's lock with the model's requests.

A thread that wants the lock waits for up to 5 ms (``sys.getswitchinterval``) while another computes; a request in the
middle of an encoding would have to, again and again. A thread that sleeps gives it up at once.
"""

from __future__ import annotations

import time

WORK_SECONDS = 0.0005
"""How long the shipper computes before it gives way: what a request may wait for it."""

REST_SECONDS = 0.000001
"""Asked of the kernel, which makes some 60 us of it; ``sleep(0)`` would take the lock back before anyone woke up."""

_began = 0.0


def give_way() -> None:
    """Rest for a moment if it is time to. Called by the shipper's thread alone, between small pieces of work."""
    global _began
    if time.perf_counter() - _began >= WORK_SECONDS:
        time.sleep(REST_SECONDS)
        _began = time.perf_counter()
