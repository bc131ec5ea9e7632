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

_chained_in = 0


def install() -> None:
    """Hook into the exit of this process, and of those it forks."""
    atexit.register(_at_exit)
    # An import under way in another thread would stay under way for ever in the child.
    os.register_at_fork(
        before=storage.import_gate.acquire,
        after_in_parent=storage.import_gate.release,
        after_in_child=_after_fork,
    )


def chain_sigterm() -> None:
    """Chain to this process's SIGTERM handler, once, if this is its main thread.

    Late, so that the server has installed its own handler and ours comes before it.
    """
    global _chained_in
    if _chained_in == os.getpid() or threading.current_thread() is not threading.main_thread():
        return
    _chained_in = os.getpid()
    previous = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: types.FrameType | None) -> None:
        _on_sigterm(previous, number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)


Handler = typing.Union[typing.Callable[[int, typing.Optional[types.FrameType]], typing.Any], int, None]


def _on_sigterm(previous: Handler, number: int, frame: types.FrameType | None) -> None:
    # No lock may be taken here: the interrupted main thread may hold it.
    ours = pipeline.existing()
    if ours is not None:
        ours.shipper.hurry = True
    if callable(previous):
        previous(number, frame)
    elif previous == signal.SIG_DFL:
        if ours is not None:
            ours.close(EXIT_SECONDS)
        if os.getpid() == 1:
            os._exit(128 + number)  # the kernel ignores a default-handled signal that PID 1 sends to itself
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _after_fork() -> None:
    storage.import_gate.release()
    pipeline.forget_in_child()


def _at_exit() -> None:
    ours = pipeline.existing()
    if ours is not None:
        ours.close(EXIT_SECONDS)
