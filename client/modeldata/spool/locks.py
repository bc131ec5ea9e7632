"""Locks on files: who writes a directory of the spool, who ships, and who appends where storage is a directory. This
module owns all of them.

Two copies of this package may be in one process (a reload, a second import under another name, subinterpreters of
mod_wsgi and uWSGI), and each has a pipeline of its own. A POSIX lock belongs to the process, so each copy would get the
other's, and closing any descriptor of the file would give it up. So these are locks of the open file description
(``F_OFD_SETLK``, Linux 3.15): two copies stand to each other as two processes do. POSIX locks, as earlier versions of
this package take them, conflict with them as with their own kind.

Where the kernel has no such locks (gVisor), ``flock`` does between those who know it, and a POSIX lock on the same file
between them and earlier versions. That is said once.

Either kind goes with the last process that has the description, and a forked child has it too: ``forget_in_child``
gives it up there. A child in which no hook of Python's runs keeps it until it collects or ends; its parent's rows wait
as long.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import re
import struct

from . import sharing

logger = logging.getLogger("modeldata")

ALIVE = "alive"
"""The file in each directory of the spool whose lock its process holds."""

SHIPPER = "lock"
"""The file in ``.shipper`` whose lock is held by who ships."""

STORAGE = ".modeldata.lock"
"""The file in a directory that rows go to whose lock is held by who changes something in it, while that lasts."""

_LOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""

_EXCLUSIVE = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_NONE = _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)
_TAKEN = (errno.EAGAIN, errno.EACCES)
_DESCRIPTORS = "/proc/self/fd"
_OURS = re.compile(rf"/(?:{ALIVE}|\.shipper/{SHIPPER}|{re.escape(STORAGE)})(?: \(deleted\))?$")
"""What a descriptor of ours is."""
_MARK_BYTES = 21
_MARK = re.compile(rb"\d+ *\n")
"""What is in it: the number of the process that took the lock."""

_has_descriptions_locks = hasattr(fcntl, "F_OFD_SETLK")
_said = False


class TakenError(OSError):
    """Somebody else holds the lock: another process, or another copy of this package in this one."""


class Lock:
    """A lock that is held until it is released.

    Without a finalizer: in a forked child the number may be another file's by then.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def status(self) -> os.stat_result:
        """Return the status of the file."""
        return os.fstat(self._descriptor)

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._descriptor)

    def end(self) -> None:
        """Give the lock up at once, also where a child was forked meanwhile and has the descriptor still.

        Not for a lock that a child must not end, as it may hold one that its parent goes on with.
        """
        with contextlib.suppress(OSError):
            if _has_descriptions_locks:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _NONE)
            else:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def take(path: pathlib.Path) -> Lock:
    """Take the lock on a file, which is made if it is not there.

    Raises:
        TakenError: somebody else holds it.
        OSError: the file can't be opened for writing, or its file system has no locks.

    """
    descriptor = sharing.create(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        _take(descriptor)
        # For a forked child: whose it is. What an earlier holder wrote is as long.
        os.pwrite(descriptor, str(os.getpid()).encode().ljust(_MARK_BYTES - 1) + b"\n", 0)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _TAKEN:
            raise TakenError(error.errno, error.strerror) from None
        raise
    return Lock(descriptor)


def is_taken(path: pathlib.Path) -> bool:
    """Return whether somebody holds a lock on a file; where there are locks of descriptions, without taking it.

    Raises:
        OSError: the file can't be opened.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if _has_descriptions_locks:
            try:
                return _is_locked(descriptor, fcntl.F_OFD_GETLK)
            except OSError as error:
                _fall_back(error)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return _is_locked(descriptor, fcntl.F_GETLK)
    finally:
        os.close(descriptor)


def forget_in_child() -> None:
    """Give up, in a forked child, what its parent holds, whichever copy of this package took it there."""
    ours = os.getpid()
    with contextlib.suppress(OSError):  # no /proc
        for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 (a child may have thousands)
            with contextlib.suppress(OSError):  # the listing's own
                if _OURS.search(os.readlink(f"{_DESCRIPTORS}/{name}")) is None:  # noqa: PTH115 (as above)
                    continue
                mark = os.pread(int(name), _MARK_BYTES, 0)
                if _MARK.fullmatch(mark) and int(mark) != ours:
                    os.close(int(name))


def _take(descriptor: int) -> None:
    if _has_descriptions_locks:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _EXCLUSIVE)
            return
        except OSError as error:
            _fall_back(error)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked(descriptor: int, question: int) -> bool:
    kind: int = _LOCK.unpack(fcntl.fcntl(descriptor, question, _EXCLUSIVE))[0]
    return kind != fcntl.F_UNLCK


def _fall_back(error: OSError) -> None:
    """Go on without locks of descriptions if it is the kernel that has none.

    Raises:
        OSError: the given one, if it is another.

    """
    global _has_descriptions_locks, _said
    if error.errno != errno.EINVAL:
        raise error
    _has_descriptions_locks = False
    if not _said:
        _said = True
        logger.warning(
            "modeldata: this kernel has no locks of open file descriptions: the spool is locked by flock instead, and"
            " two copies of this package in one process must not be of versions before and after 0.1"
        )
