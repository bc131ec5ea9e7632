"""A directory for what is read, while it is read: rows are pseudonymous data, and stay nowhere."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pathlib
import shutil
import tempfile
import time
import weakref

_PREFIX = "modeldata-reading-"
_MINUTE = 60.0
"""So long a directory is left alone that has no lock: it may just have been made."""


class Scratch:
    """A directory of ours alone (mode 0700). It is removed when it is closed, forgotten, or the process ends.

    What a killed process left behind, the next one removes: a lock tells whether somebody still reads.
    """

    def __init__(self, parent: str | os.PathLike[str] | None = None) -> None:
        within = pathlib.Path(parent or tempfile.gettempdir())
        _sweep(within)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))
        handle = os.open(self.path, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        self.close = weakref.finalize(self, _remove, self.path, handle, os.getpid())
        self._numbers = itertools.count(1)

    def new(self, suffix: str) -> pathlib.Path:
        """Return a path at which no file is yet."""
        return self.path / f"{next(self._numbers)}{suffix}"


def _remove(path: pathlib.Path, handle: int, process: int) -> None:
    if os.getpid() == process:  # a forked child ends before its parent has read all
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _sweep(within: pathlib.Path) -> None:
    for path in within.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                status = os.fstat(handle)
                if status.st_uid == os.getuid() and time.time() - status.st_ctime > _MINUTE:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)
