"""A directory for what is read, while it is read: rows are pseudonymous data, and stay nowhere."""

from __future__ import annotations

import itertools
import os
import pathlib
import tempfile
import weakref

from .. import scratch

_MINUTE = 60.0
"""So long what nobody reads any more is left alone: it may just have been made."""


class Scratch:
    """A directory of ours alone. It is removed when it is closed, forgotten, or the process ends."""

    def __init__(self, parent: str | os.PathLike[str] | None = None) -> None:
        held = scratch.make(pathlib.Path(parent or tempfile.gettempdir()), "modeldata-reading-", spared=_MINUTE)
        self.path = held.path
        self.close = weakref.finalize(self, _remove, held, os.getpid())
        self._numbers = itertools.count(1)

    def new(self, suffix: str) -> pathlib.Path:
        """Return a path at which no file is yet."""
        return self.path / f"{next(self._numbers)}{suffix}"


def _remove(held: scratch.Held, process: int) -> None:
    if os.getpid() == process:  # a forked child ends before its parent has read all
        held.remove()
