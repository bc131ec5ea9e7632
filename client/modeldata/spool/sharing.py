"""Who may read and write what lies in the spool: whoever may write into the spool.

A pod's containers may run as different users, and one process ships for all of them. In a pod the spool is an emptyDir,
which all its containers may write into, and nobody else. Anywhere else it belongs to one user, and so does what is in
it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import typing

_GROUP, _OTHERS = 0o020, 0o002


def share(path: pathlib.Path) -> None:
    """Open a file or directory, just made, to those who may write into the directory it was made in."""
    with contextlib.suppress(OSError):  # made by somebody else, who has done it, or a file system without such rights
        around = path.parent.stat().st_mode
        mode = path.stat().st_mode & 0o777
        each = 0o7 if path.is_dir() else 0o6
        mode |= each << 3 if around & _GROUP else 0
        mode |= each if around & _OTHERS else 0
        path.chmod(mode)


def make(directory: pathlib.Path) -> None:
    """Make a directory, and those above it, if they are not there.

    Raises:
        OSError: it can't be made.

    """
    if directory.exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Under another name until it is shared: what another thread made in it before would stay this user's own.
    aside = directory.with_name(f".new-{os.getpid()}-{os.urandom(4).hex()}")
    aside.mkdir()
    share(aside)
    try:
        aside.rename(directory)
    except OSError as error:
        aside.rmdir()
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # made by somebody else meanwhile
            raise


def create(path: pathlib.Path, flags: int) -> int:
    """Open a file for writing, made for its user alone if it is not there and then shared; return the descriptor.

    Args:
        path: the file.
        flags: as ``os.open`` takes them; ``O_CREAT`` and ``O_CLOEXEC`` are added.

    Raises:
        OSError: it can't be made or written.

    """
    flags |= os.O_CREAT | os.O_CLOEXEC
    if path.exists():
        return os.open(path, flags, 0o600)
    descriptor = os.open(path, flags, 0o600)
    share(path)
    return descriptor


def replace(path: pathlib.Path, parts: typing.Iterable[bytes]) -> None:
    """Write a file anew in one step, for who reads it: it is as before, or whole.

    Raises:
        OSError: it can't be written, and is as before.

    """
    new = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(create(new, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.writelines(parts)
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
