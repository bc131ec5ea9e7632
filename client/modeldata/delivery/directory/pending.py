"""One append to a file, so that a process killed in the middle leaves nothing that stays cut.

Before a file is touched, position and bytes are written beside it, to ``.<file>.pending``; behind the append that is
removed. Whoever appends to the file next finds there what a killed process did not finish, and finishes it first. So
the end of a file is a row's end whenever somebody looks for where to append, and what has been seen of it stays. All of
this is done by one process at a time (``locks.STORAGE``).

Killed while it writes beside the file: that has a wrong checksum, and the file was not touched. Before or in the middle
of the append: the next one completes it. Behind it: it is all there.
"""

from __future__ import annotations

import contextlib
import os
import typing
import zlib

from . import folders


class UncertainError(OSError):
    """A part of the bytes is in the file, or may be, and could not be taken out again."""


class Pending(typing.NamedTuple):
    """An append under way, or one that was killed."""

    position: int
    data: bytes


def append(folder: int, name: str, file: int, data: bytes, position: int) -> None:
    """Append to a file that ends at a position; return when it is on the disk.

    Args:
        folder: descriptor of the folder that the file is in.
        name: the file's.
        file: its descriptor.
        data: the bytes.
        position: where it ends: what was left unfinished has been finished (``finish``).

    Raises:
        UncertainError: see there; ``finish`` gets on with it.
        OSError: nothing was appended.

    """
    try:
        _note(folder, name, file, Pending(position, data))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(_beside(name), dir_fd=folder)
        raise
    try:
        _write(file, data, position)
    except OSError as error:
        try:
            os.ftruncate(file, position)
        except OSError:
            raise UncertainError(error.errno, error.strerror) from None
        forget(folder, name)
        raise
    try:
        os.fdatasync(file)
    except OSError as error:
        raise UncertainError(error.errno, error.strerror) from None
    with contextlib.suppress(OSError):  # it is all there: what is left says nothing new
        forget(folder, name)


def finish(folder: int, name: str, file: int) -> None:
    """Finish the append that a killed process left, if there is one.

    Raises:
        OSError: it can't be finished at this time.

    """
    try:
        found = read(folder, name)
    except FileNotFoundError:
        return
    if found is not None:
        there = os.fstat(file).st_size - found.position
        # Anything else stands there: somebody has removed the file, cut it, or written to it without asking us.
        if 0 <= there < len(found.data) and os.pread(file, there, found.position) == found.data[:there]:
            _write(file, found.data[there:], found.position + there)
            os.fdatasync(file)
    forget(folder, name)


def forget(folder: int, name: str) -> None:
    """Remove what is written down beside a file.

    Raises:
        OSError: it can't be removed.

    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_beside(name), dir_fd=folder)


def read(folder: int, name: str) -> Pending | None:
    """Return the append under way to a file, or left unfinished; None if the file was not touched for it.

    Raises:
        FileNotFoundError: there is none.
        OSError: it can't be read.

    """
    with os.fdopen(folders.open_file(folder, _beside(name), os.O_RDONLY), "rb") as beside:
        head, data = beside.readline(64), beside.read()
    words = head.split()
    if len(words) != 3 or not all(word.isalnum() for word in words):
        return None
    try:
        checksum, position, length = int(words[0], 16), int(words[1]), int(words[2])
    except ValueError:
        return None
    whole = len(data) == length and zlib.crc32(data, position & 0xFFFFFFFF) == checksum
    return Pending(position, data) if whole else None


def _note(folder: int, name: str, file: int, what: Pending) -> None:
    checksum = zlib.crc32(what.data, what.position & 0xFFFFFFFF)
    head = b"%08x %d %d\n" % (checksum, what.position, len(what.data))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    beside = os.open(_beside(name), flags, 0o600, dir_fd=folder)
    try:
        with contextlib.suppress(OSError):  # another user's, who has done it
            os.fchmod(beside, os.fstat(file).st_mode & 0o666)
        _write(beside, head + what.data, 0)
    finally:
        os.close(beside)


def _beside(name: str) -> str:
    return f".{name}.pending"


def _write(descriptor: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
