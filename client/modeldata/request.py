"""Which rows belong together: everything one request collects shares one request id."""

from __future__ import annotations

import contextvars
import os
import random
import time


class Request:
    """One call of a model, as its collectors see it."""

    __slots__ = ("correlation", "designations", "id", "input_rows")

    def __init__(self, request_id: str, correlation: str) -> None:
        self.id = request_id
        self.correlation = correlation
        self.designations: set[str] = set()
        self.input_rows = 0
        """How many rows its inputs had: tells a batch of predictions from one row of them."""


_current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("modeldata_request", default=None)

# A generator of our own: the module's one is the model's. Scripts seed it (two pods of one seed would make equal ids),
# and drawing from it would change what a model draws.
_noise = random.Random()


def enter(designation: str, user_correlation_id: str) -> Request:
    """Return the request that a collector of this designation is in.

    A context (a thread, an asyncio task) that collects a designation again is in its next request: model servers reuse
    threads, and ``run()`` collects each designation once.
    """
    request = _current.get()
    if request is None or designation in request.designations:
        new = new_id()
        request = Request(new, user_correlation_id or new)
        _current.set(request)
    elif user_correlation_id:
        request.correlation = user_correlation_id
    request.designations.add(designation)
    return request


def leave() -> None:
    """Forget the request that this context is in: what comes next belongs to another."""
    if _current.get() is not None:
        _current.set(None)


def _after_fork() -> None:
    _noise.seed()  # else parent and child draw the same ids
    leave()


os.register_at_fork(after_in_child=_after_fork)


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): sorts by time, so that the rows of a file do."""
    milliseconds = time.time_ns() // 1_000_000
    noise = _noise.getrandbits(74)
    value = (milliseconds << 80) | (0x7 << 76) | ((noise >> 62) << 64) | (0x2 << 62) | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
