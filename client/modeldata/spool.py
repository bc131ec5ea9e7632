"""The spool: rows on the pod's disk until they are in Blob Storage.

``spool/<pod uid>-<pid>-<random>/<sequence>.seg``, one directory for each process, written by it alone; whoever ships
reads all of them. A segment is a sequence of lines (see ``record``). One ``write()`` a call: when it has returned, the
rows outlive the process. They are not synced to disk: a power cut may take the last seconds.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import pathlib
import shutil
import typing

from . import record

SEGMENT_BYTES = 1024 * 1024
"""A segment is closed at this size. Only whole segments are deleted, so this is what a process holds too long."""


class Writer:
    """One process's directory in the spool. Its methods are called under a lock of the caller's."""

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self.directory = directory / name
        # Made under a name that no shipper looks at, and shown when the lock is held: a directory without a lock is
        # one that a dead process left. The POSIX lock goes with the process; a forked child does not inherit it.
        hidden = directory / f".{name}"
        hidden.mkdir(parents=True)
        try:
            self._life = (hidden / "alive").open("wb")
            fcntl.lockf(self._life, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.directory)
        except OSError:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        self._descriptor = -1
        self._sequence = 0
        self._size = 0
        self.written = 0
        """Bytes since this writer was made."""
        self._intact = False
        """Whether all of the segment up to ``_size`` is whole frames, and nothing is behind it."""
        self._defined: set[int] = set()
        """Numbers of the streams that this segment defines."""

    def write(self, stream: record.Stream, line: bytes) -> None:
        """Append a record's line (see ``record``).

        Raises:
            OSError: the disk is full, read-only or gone. Nothing of the record stays in the segment then.

        """
        if not self._intact or self._size >= SEGMENT_BYTES:
            self._open_next()
        known = stream.number in self._defined
        if not known:
            line = stream.to_line() + line
        size = len(line)
        self._intact = False  # a signal handler may raise anywhere: the next row then goes to a new segment
        try:
            if os.write(self._descriptor, line) != size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            # Cut off what was half written, so that a full disk does not cost a segment for each call.
            os.ftruncate(self._descriptor, self._size)
            self._intact = True
            raise
        self._size += size
        self.written += size
        if not known:
            self._defined.add(stream.number)
        self._intact = True

    def position(self) -> tuple[str, int]:
        """Return how far this process has written: the segment's key and the offset in it."""
        return f"{self.directory.name}/{self._sequence:09d}.seg", self._size

    def close(self) -> None:
        """Give the directory up: whoever ships takes it over."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._life.close()

    def _open_next(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._sequence += 1
        path = self.directory / f"{self._sequence:09d}.seg"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._defined = set()
        self._intact = True


class Segment:
    """One segment as its reader sees it."""

    def __init__(self, key: str, path: pathlib.Path) -> None:
        self.key = key
        self.path = path
        self._reader = record.Reader()
        self._known = 0
        """Up to where the reader has seen the segment's streams."""

    def read(self, start: int) -> typing.Iterator[tuple[record.Record | None, int]]:
        """Yield the whole records from an offset on, each with the offset behind it; None for a damaged one.

        Ends at the first one that is not (or not yet) whole. Offsets are those that an earlier ``read`` yielded.
        """
        first = min(start, self._known)  # after a restart, the streams defined before are needed
        with self.path.open("rb") as file:
            file.seek(first)
            content = file.read()
        for found, end in self._reader.read(content):
            self._known = max(self._known, first + end)
            if first + end > start:
                yield found, first + end


@dataclasses.dataclass(frozen=True)
class Found:
    """A segment in the spool, with what its place in its directory says about it."""

    key: str
    path: pathlib.Path
    size: int
    complete: bool
    """Nothing will be added any more: its writer went on to the next segment, or is dead."""


def scan(spool: pathlib.Path, own: str) -> list[Found]:
    """Return every segment, oldest first within each process.

    Args:
        spool: the spool's directory.
        own: name of this process's own directory, which it can't test by its lock.

    """
    found = []
    # os instead of pathlib: this runs twice a second in each process, and costs a third of it.
    for name in sorted(os.listdir(spool)):  # noqa: PTH208
        if name.startswith("."):
            continue
        directory = spool / name
        dead = name != own and not _alive(directory)
        try:
            segments = sorted(each for each in os.listdir(directory) if each.endswith(".seg"))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):
            continue
        for segment in segments:
            path = directory / segment
            try:
                size = os.stat(path).st_size  # noqa: PTH116
            except FileNotFoundError:
                continue
            found.append(Found(f"{name}/{segment}", path, size, complete=dead or segment is not segments[-1]))
        if dead and not segments:
            shutil.rmtree(directory, ignore_errors=True)
    return found


def _alive(directory: pathlib.Path) -> bool:
    try:
        with (directory / "alive").open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
