"""Directories for files on their way, of this user alone; what runs that were killed have left, the next one removes.

A lock tells whether somebody still uses one. Where there are no locks (Windows), nothing that was left is removed.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
import time
import typing

from .storage import locking

_LOCK = "lock"


class Held(typing.NamedTuple):
    """A directory (mode 0700) that others leave alone until it is removed, or the process ends."""

    path: pathlib.Path
    lock: typing.BinaryIO

    def remove(self) -> None:
        """Remove it, with all that is in it."""
        self.lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def make(within: pathlib.Path, prefix: str, *, spared: float = 0.0) -> Held:
    """Make a directory, and remove those of its prefix that nobody uses and that are ``spared`` seconds old.

    Raises ``OSError``.
    """
    for left in within.glob(f"{prefix}*") if locking.HAS_LOCKS else ():
        _sweep(left, spared)
    while True:
        path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        lock = (path / _LOCK).open("ab")
        locking.exclusive(lock, wait=True)
        if (path / _LOCK).exists():
            return Held(path, lock)
        lock.close()  # it was taken for one that was left, in the moment before it was locked


def _sweep(left: pathlib.Path, spared: float) -> None:
    with contextlib.suppress(OSError):
        status = left.lstat()
        if status.st_uid != os.getuid() or time.time() - status.st_ctime < spared:
            return
        # One without a lock's file may have been made this moment; it is empty, so it costs nothing.
        with (left / _LOCK).open("rb") as lock:
            locking.exclusive(lock, wait=False)
            shutil.rmtree(left, ignore_errors=True)
