"""Folders and files below one directory, found step by step: no symbolic link on the way leads elsewhere."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing

MOST_NAME_BYTES = 240
"""Of one part of a path: file systems take 255, and ``pending`` needs some of them. Blob Storage takes more."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # without blocking: what waits for the other end of a pipe


class NotOursError(OSError):
    """What has the name of a file is none that we may append to."""


def parts(name: str) -> list[str]:
    """Return a blob's name as the names of folders and, last, of the file.

    Raises:
        OSError: it would lead out of the directory.

    """
    found = [part for part in name.split("/") if part]
    if not found or any(part in (".", "..") or "\0" in part for part in found):
        raise OSError(errno.EINVAL, "no path below the directory")
    return [_short(part) for part in found]


def _short(part: str) -> str:
    encoded = os.fsencode(part)
    if len(encoded) <= MOST_NAME_BYTES:
        return part
    import hashlib  # as in delivery.files.shared

    ending = ".csv" if part.endswith(".csv") else ""
    kept = encoded[: MOST_NAME_BYTES - 9 - len(ending)].decode(errors="ignore")
    # With a digest: names that begin alike must not become one.
    return f"{kept}-{hashlib.sha256(encoded).hexdigest()[:8]}{ending}"


@contextlib.contextmanager
def deepest(root: int, names: typing.Sequence[str]) -> typing.Iterator[tuple[int, bool]]:
    """Open a folder; give its descriptor and True, or that of the last one on the way that is there, and False.

    Raises:
        OSError: something else stands in the way, or it may not be entered.

    """
    folder = os.dup(root)
    try:
        for name in names:
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            except FileNotFoundError:
                yield folder, False
                return
            os.close(folder)
            folder = inner
        yield folder, True
    finally:
        os.close(folder)


def make(root: int, names: typing.Sequence[str]) -> None:
    """Make a folder, and those above it, each for who may use the directory. One process at a time.

    Raises:
        OSError: as ``deepest``, or there is no room.

    """
    mode = stat.S_IMODE(os.fstat(root).st_mode) & 0o2777
    folder = os.dup(root)
    try:
        for name in names:
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            except FileNotFoundError:
                inner = _made(folder, name, mode)
            os.close(folder)
            folder = inner
    finally:
        os.close(folder)


_NEW = ".modeldata.new"


def _made(around: int, name: str, mode: int) -> int:
    # Under another name until others may use it: one that was killed in between would leave it to its own user alone.
    try:
        os.mkdir(_NEW, dir_fd=around)
    except FileExistsError:  # left by such a one
        os.rmdir(_NEW, dir_fd=around)
        os.mkdir(_NEW, dir_fd=around)
    os.chmod(_NEW, mode, dir_fd=around)
    os.rename(_NEW, name, src_dir_fd=around, dst_dir_fd=around)
    return os.open(name, _FOLDER, dir_fd=around)


def open_file(folder: int, name: str, flags: int) -> int:
    """Open a file that is there; return its descriptor.

    Raises:
        FileNotFoundError: it is not there.
        NotOursError: it is no file, or another user's.
        OSError: it can't be opened at this time.

    """
    try:
        descriptor = os.open(name, flags | _FILE, dir_fd=folder)
    except OSError as error:
        foreign = error.errno in (errno.EACCES, errno.EPERM) and may_write(folder)
        if foreign or error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ETXTBSY):
            raise NotOursError(error.errno, error.strerror) from None
        raise
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        code = errno.EISDIR if stat.S_ISDIR(kind) else errno.ENXIO
        raise NotOursError(code, os.strerror(code))
    return descriptor


def may_write(folder: int) -> bool:
    """Return whether this process may make files in a folder."""
    return os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True)
