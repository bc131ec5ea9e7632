"""Locks on files: who writes a directory of the spool, and who ships.

POSIX locks: they go with the process that holds them, however it ends, and a forked child does not inherit them.
Closing any descriptor of a file gives up all locks that the process holds on it.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import struct
import typing

_LOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


def take(file: typing.IO[bytes]) -> None:
    """Take the lock on a file that is open for writing; it is held until the file is closed.

    Raises:
        OSError: another process holds it.

    """
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_taken(path: pathlib.Path) -> bool:
    """Return whether another process holds a lock on a file, without taking it, even for a moment."""
    try:
        with path.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except FileNotFoundError:
        return False
    kind: int = _LOCK.unpack(answer)[0]
    return kind != fcntl.F_UNLCK
