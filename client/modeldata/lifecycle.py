"""Fork, signals and exit: the moments when rows are lost if nobody looks.

What reaches these hooks was measured per server: ``atexit`` never runs under uvicorn, at a plain SIGTERM, or in PID 1;
a SIGTERM handler chained at the first ``collect()`` on the main thread runs in all of them.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import types
import typing

from . import pipeline, storage

EXIT_SECONDS = 5.0
"""What a process that ends gives to the rows still on their way; the kubelet gives it 30 s."""

DRAIN_SECONDS = 600.0
"""How long after a SIGTERM that the server handles itself rows are sent at once: while it drains its requests."""

wants_collect = True
"""Whether this process has not yet collected on its main thread."""


def install() -> None:
    """Hook into the exit of this process, and of those it forks."""
    atexit.register(_at_exit)
    # An import under way in another thread would stay under way for ever in the child.
    os.register_at_fork(
        before=storage.import_gate.acquire,
        after_in_parent=storage.import_gate.release,
        after_in_child=_after_fork,
    )


def chain_at_collect() -> None:
    """Chain to the SIGTERM handler at this process's first ``collect()`` on its main thread.

    Late, so that the server has installed its own handler and ours comes before it.
    """
    global wants_collect
    if threading.current_thread() is threading.main_thread():
        wants_collect = False
        chain_sigterm()


def chain_sigterm() -> None:
    """Chain to the present SIGTERM handler, unless that is ours, if this is the main thread.

    Called for each collector too: where requests run in a thread pool, ``collect()`` is never on the main thread, and
    uvicorn ends by raising the signal again under the handler that was there before its own.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    previous = signal.getsignal(signal.SIGTERM)
    # None is a handler that is not Python's: it could not be called from ours.
    if previous is not None and not isinstance(previous, _Chained):
        signal.signal(signal.SIGTERM, _Chained(previous))


Handler = typing.Union[typing.Callable[[int, typing.Optional[types.FrameType]], typing.Any], int]


class _Chained:
    """A SIGTERM handler before another one."""

    def __init__(self, previous: Handler) -> None:
        self._previous = previous

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        # Only re-entrant locks may be taken here: the interrupted main thread may hold them.
        ours = pipeline.existing()
        if callable(self._previous):
            if ours is not None:
                ours.shipper.hurry(DRAIN_SECONDS)
            self._previous(number, frame)
        elif self._previous == signal.SIG_DFL:
            if ours is not None:
                ours.close(EXIT_SECONDS)
            if os.getpid() == 1:
                os._exit(128 + number)  # the kernel ignores a default-handled signal that PID 1 sends to itself
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _after_fork() -> None:
    global wants_collect
    wants_collect = True
    storage.import_gate.release()
    pipeline.forget_in_child()


def _at_exit() -> None:
    ours = pipeline.existing()
    if ours is not None:
        ours.close(EXIT_SECONDS)
