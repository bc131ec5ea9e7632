"""Fork, signals and exit: the moments when rows are lost if nobody looks."""

from __future__ import annotations

import atexit
import os

from ..requests import context, ids
from ..threads import forking
from . import ending, running, signals


def install() -> None:
    """Hook into the exit of this process, and of those it forks."""
    atexit.register(ending.at_exit)
    # An import under way in another thread would stay under way for ever in the child.
    os.register_at_fork(
        before=forking.gate.acquire,
        after_in_parent=forking.gate.release,
        after_in_child=_after_fork,
    )
    # A collector may come to be in a thread of a server's pool, where no handler can be set.
    if os.environ.get(running.DIRECTORY_VARIABLE):
        signals.chain_sigterm()


def _after_fork() -> None:
    forking.gate.release()
    ids.draw()  # else parent and child make the same ids
    context.forget()
    ending.forget_in_child()
    signals.forget_in_child()
    running.forget_in_child()
