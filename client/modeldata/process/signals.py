"""SIGTERM: what ends most servers, and what is sent meanwhile.

What reaches our hooks was measured per server: ``atexit`` never runs where a SIGTERM ends the process (a plain script,
uvicorn, its workers), nor in forked children of ``multiprocessing``; a SIGTERM handler chained to the server's own runs
in all of them. As far as a server can tell, none of it is there: it ends with the same code, at most
``ending.EXIT_SECONDS`` later.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
import types
import typing

from . import ending, running

if typing.TYPE_CHECKING:
    from . import pipeline

DRAIN_SECONDS = 600.0
"""How long after a SIGTERM that the server handles itself rows are sent at once: while it drains its requests."""

_POLL_SECONDS = 0.01
_APART_SECONDS = 0.5

_RESTARTING = ("asyncio", "gunicorn", "uvloop")
"""Packages whose SIGTERM handlers ask (``signal.siginterrupt``) that a request's system calls go on after a signal."""

_set_handler = signal.signal

wants_collect = True
"""Whether this process has not yet collected on its main thread."""

others: set[int] = set()
"""Threads that have collected and are not the main one: to ask for it once is enough, in each request of a server."""

_MOST_OTHERS = 1000


def chain_at_collect() -> None:
    """Hook into the end of this process at its first ``collect()``, as far as it can be done from this thread.

    Late, so that the server has installed its own SIGTERM handler and ours comes before it.
    """
    global wants_collect
    ending.hook_child()
    if threading.current_thread() is threading.main_thread():
        wants_collect = False
        chain_sigterm()
    else:
        if len(others) >= _MOST_OTHERS:
            others.clear()
        # By the number that ``current_thread`` goes by, gevent's greenlets' too.
        others.add(threading.get_ident())


def chain_sigterm() -> None:
    """Chain to the present SIGTERM handler, unless that is ours, if this is the main thread.

    Called for each collector too: where requests run in a thread pool, ``collect()`` is never on the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    previous = signal.getsignal(signal.SIGTERM)
    # None is a handler that is not Python's: it could not be called from ours.
    if previous is None or isinstance(previous, _Chained):
        return
    with contextlib.suppress(ValueError):  # a subinterpreter has no signals
        _set_handler(signal.SIGTERM, _Chained(previous))
        if str(getattr(previous, "__module__", None)).partition(".")[0] in _RESTARTING:
            signal.siginterrupt(signal.SIGTERM, False)  # setting a handler has switched it on


Handler = typing.Union[typing.Callable[[int, typing.Optional[types.FrameType]], typing.Any], int]


class _Chained:
    """A SIGTERM handler before another one."""

    def __init__(self, previous: Handler) -> None:
        self._previous = previous

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        # Only re-entrant locks may be taken here: the interrupted main thread may hold them.
        ours = running.existing()
        if ours is not None:
            ours.shipper.hurry(DRAIN_SECONDS)
        if callable(self._previous):
            if ours is not None:
                _stay()
            self._previous(number, frame)
        # The kernel keeps a signal without a handler from PID 1, whose model then goes on to serve; and so do we.
        elif self._previous == signal.SIG_DFL and os.getpid() != 1:
            try:
                if ours is not None:
                    _close_in_handler(ours)
            finally:
                _set_handler(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)


_set_next: typing.Callable[..., typing.Any] = signal.signal


def _stay() -> None:
    """Have a server that gives SIGTERM back to whoever had it before give it back to us.

    To end as the signal asks, uvicorn restores the handler from before its start, and raises the signal again. In its
    workers that is the default, which ends the process on the spot, with all that its last requests collected.
    """
    global _set_next
    if signal.signal is not _set_signal:
        _set_next = signal.signal
        signal.signal = _set_signal  # type: ignore[assignment]  # its types are private


def _set_signal(number: int, handler: Handler) -> object:
    if number == signal.SIGTERM and handler == signal.SIG_DFL:
        handler = _Chained(handler)
    return _set_next(number, handler)


def _close_in_handler(ours: pipeline.Pipeline) -> None:
    """Close, apart from what takes locks that the interrupted code may hold: starting a thread, and logging."""
    if not ours.shipper.running:
        _apart(ours.shipper.start)
    if not ours.drain(ending.seconds_left()):
        _apart(ours.say_what_waits)


def _apart(call: typing.Callable[[], object]) -> None:
    """Make a call in a thread of its own, and wait no longer than it should take."""
    done = []

    def run() -> None:
        call()
        done.append(True)

    _thread.start_new_thread(run, ())
    deadline = time.monotonic() + _APART_SECONDS
    while not done and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def forget_in_child() -> None:
    """Begin anew in a forked child, whose main thread is the one that forked."""
    global wants_collect
    wants_collect = True
    others.clear()
