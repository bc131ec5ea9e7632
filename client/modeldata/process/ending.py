"""The end of a process: what is left is sent, for some seconds."""

from __future__ import annotations

import sys
import time

from . import running

EXIT_SECONDS = 5.0
"""What a process that ends gives to the rows still on their way; the kubelet gives it 30 s."""

_LAST = -1000
"""The exit priority of our finalizer in ``multiprocessing``: after all others, that may collect."""

_child_hooked = False
_ends_at: float | None = None
"""The time (monotonic) when this process shall have ended, from the first hook that says that it ends."""


def at_exit() -> None:
    """Send what is left, unless that was done before."""
    ours = running.existing()
    # The second hook of a process that is closed finds a shipper again only if more was collected.
    if ours is not None and (_ends_at is None or ours.shipper.running):
        ours.close(seconds_left())


def hook_child() -> None:
    """In a child of ``multiprocessing``, where ``atexit`` may not run, hook into its own exit; once.

    In the child itself, and not before: what its parent registered is forgotten at its start.
    """
    global _child_hooked
    if _child_hooked:
        return
    _child_hooked = True
    # A child has imported them wholly; elsewhere another thread may be in the middle of that.
    parent = getattr(sys.modules.get("multiprocessing.process"), "parent_process", None)
    finalize = getattr(sys.modules.get("multiprocessing.util"), "Finalize", None)
    if parent is not None and finalize is not None and parent() is not None:
        finalize(None, at_exit, exitpriority=_LAST)


def seconds_left() -> float:
    """Return what is left of ``EXIT_SECONDS``, however many hooks of one process share it."""
    global _ends_at
    now = time.monotonic()
    if _ends_at is None:
        _ends_at = now + EXIT_SECONDS
    return max(0.0, _ends_at - now)


def forget_in_child() -> None:
    """Begin anew in a forked child."""
    global _child_hooked, _ends_at
    _child_hooked, _ends_at = False, None
