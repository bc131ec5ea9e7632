"""The pipeline of this process: whether there is one, and when it is made."""

from __future__ import annotations

import os
import pathlib
import threading

from ..observe import counters
from . import pipeline

DIRECTORY_VARIABLE = "MODELDATA_DIR"

mine: pipeline.Pipeline | None = None
"""This process's pipeline, once it is made."""

_making = threading.RLock()  # re-entrant: a signal handler may collect while its thread is in ``current``


def current() -> pipeline.Pipeline | None:
    """Return this process's pipeline, made and started if need be; None where nothing is configured."""
    global mine
    if mine is not None:
        return mine
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return None
    with _making:
        if mine is None:
            made = pipeline.Pipeline(pathlib.Path(directory))
            if mine is None:  # else a signal handler has made it meanwhile
                mine, counters.mine = made, made.counters
                mine.shipper.start()
        return mine


def forget_in_child() -> None:
    """Give a forked child a pipeline of its own, and a lock that nobody holds."""
    global mine, _making
    mine, counters.mine, _making = None, None, threading.RLock()


def existing() -> pipeline.Pipeline | None:
    """Return this process's pipeline if it has one."""
    return mine
