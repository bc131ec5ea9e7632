"""The pipeline of this process, once it has one."""

from __future__ import annotations

import os
import typing

from ..observe import counters
from ..threads import forking

if typing.TYPE_CHECKING:
    from . import pipeline

mine: pipeline.Pipeline | None = None

making = forking.Lock()
"""Held by who makes it, or forgets a parent's. Re-entrant: a signal handler may collect while its thread makes it."""


def existing() -> pipeline.Pipeline | None:
    """Return this process's pipeline if it has one.

    Not its parent's, which a child has where it was forked in C and no hook of Python's ran: its locks may be held by
    threads that the child does not have, and whoever waited for one would wait for ever.
    """
    return mine if mine is not None and mine.pid == os.getpid() else None


def take(made: pipeline.Pipeline) -> None:
    """Take a pipeline that was just made for this process's."""
    global mine
    mine, counters.mine = made, made.counters


def forget_in_child() -> None:
    """Give a forked child a pipeline of its own."""
    global mine
    mine, counters.mine = None, None
