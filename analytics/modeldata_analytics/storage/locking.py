"""Locks on files, against others of this machine. Where there are none (Windows), no client appends to a directory."""

from __future__ import annotations

import collections.abc
import contextlib
import errno
import os
import pathlib
import struct
import typing

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
"""Otherwise each lock is had at once, and says nothing."""

APPENDING = ".modeldata.lock"
"""The file in a directory whose lock the client holds while it changes something there (``modeldata.spool.locks``)."""

_LOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid


def exclusive(file: typing.BinaryIO, *, wait: bool) -> None:
    """Lock a file until it is closed. Raises ``OSError`` where another one has it, and is not waited for."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextlib.contextmanager
def against_appends(root: pathlib.Path) -> collections.abc.Iterator[None]:
    """Hold the client's lock on a directory; it is not made here, as its owner and its mode are the client's."""
    try:
        file = (root / APPENDING).open("r+b")
    except FileNotFoundError:
        yield  # nobody has ever appended here
        return
    with file:
        _as_the_client(file)
        yield


def _as_the_client(file: typing.BinaryIO) -> None:
    """Take the lock that the client takes: of the open file, or, where the kernel has none, both of the others."""
    if fcntl is None:
        return
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLKW, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
