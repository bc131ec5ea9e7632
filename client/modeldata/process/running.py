"""The pipeline of this process, once it has one."""

from __future__ import annotations

import threading
import typing

from ..observe import counters

if typing.TYPE_CHECKING:
    from . import pipeline

mine: pipeline.Pipeline | None = None

making = threading.RLock()
"""Held by who makes it. Re-entrant: a signal handler may collect while its thread makes it."""


def existing() -> pipeline.Pipeline | None:
    """Return this process's pipeline if it has one."""
    return mine


def take(made: pipeline.Pipeline) -> None:
    """Take a pipeline that was just made for this process's."""
    global mine
    mine, counters.mine = made, made.counters


def forget_in_child() -> None:
    """Give a forked child a pipeline of its own, and a lock that nobody holds."""
    global mine, making
    mine, counters.mine, making = None, None, threading.RLock()
