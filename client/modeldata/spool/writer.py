"""What one process has of the spool: a directory of segments, written by it alone."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pathlib
import threading
import typing

from ..observe import counters
from . import locks, records, segments, sharing

logger = logging.getLogger("modeldata")

SEGMENT_BYTES = 1024 * 1024
"""A segment is closed at this size. Only whole segments are deleted, so this is what a process holds too long."""


_BROKEN = -1
"""For a limit: what is behind the whole records of a segment is unknown."""
_WRITING = -2
"""For a limit: a record is being written."""

_write = os.write


class Writer:
    """Puts records into the spool. ``write`` may be called by any thread, and in signal handlers."""

    def __init__(
        self, spool: pathlib.Path, *, name: typing.Callable[[], str], full_at: int, tally: counters.Counters
    ) -> None:
        """Make nothing yet: the directory comes with the first row.

        Args:
            spool: the spool's directory.
            name: gives the name of a directory in it, another one each time.
            full_at: see the attribute.
            tally: counts what is accepted and dropped.

        """
        self._spool = spool
        self._name = name
        self._counters = tally
        self._full_at = full_at
        self._directory: pathlib.Path | None = None
        self._life: locks.Lock | None = None
        # Re-entrant: a signal handler may collect while its thread is in here.
        self._lock = threading.RLock()
        self._interrupting: list[tuple[records.Stream, bytes, int, bytes]] = []
        self._descriptor = -1
        self._sequence = 0
        self._before = self._size = 0
        """Bytes in the segments before, and in the present one."""
        self._limit = _BROKEN
        """A record that ends before it is written without a look at what else there is, if all of the segment up to
        ``_size`` is whole records, and nothing is behind it."""
        self._defined: set[int] = set()
        """Numbers of the streams that this segment defines."""

    @property
    def written(self) -> int:
        """Bytes so far."""
        return self._before + self._size

    @property
    def full_at(self) -> int:
        """How much this process may have written, in bytes, when the whole pod's spool is full."""
        return self._full_at

    @full_at.setter
    def full_at(self, value: int) -> None:
        with self._lock:
            self._full_at = value
            self._limit = min(self._limit, 0)  # the next row is looked at under the new bound

    def write(
        self,
        stream: records.Stream,
        line: bytes,
        rows: int,
        array: bytes = b"",
        *,
        most: int = records.PLAIN_BYTES,
        again: bool = False,
    ) -> bool:
        """Put a record into the spool; when this returns, it is there or counted as dropped.

        But for a signal handler that interrupts this very method: the interrupted call then writes both.

        Args:
            stream: its stream.
            line: see ``records``.
            rows: how many rows are in it.
            array: what lies behind the line.
            most: how long it may be.
            again: whether this is a second try in a new directory.

        Returns:
            False where it is longer than it may be: then nothing was done.

        """
        fits = True
        with self._lock:
            limit, size = self._limit, len(line)
            end = self._size + size
            try:
                # Until all is written: where a signal handler raises in between, the next row goes to a new segment.
                self._limit = _WRITING
                if end > limit or stream.number not in self._defined or array:
                    if limit == _WRITING:
                        self._interrupting.append((stream, line, rows, array))
                        return True
                    end, limit = self._write_with_a_look(stream, line, array, limit, most)
                # The way of nearly every row, within a request of the model: each line of it is felt.
                elif _write(self._descriptor, line) != size:
                    raise _no_space()
                self._size = end
                self._limit = limit
                self._counters.accepted += rows
            except OSError as error:
                self._limit = _BROKEN
                self._fail(error, stream, line, rows, array, again=again)
            except _TooLong:
                self._limit, fits = limit, False
            except _Full:
                self._limit = limit
                self._counters.drop(counters.Drop.SPOOL_FULL, "the spool holds as much as it may", rows)
            except BaseException:
                self._limit = _BROKEN
                raise
            while self._interrupting:
                self._write_interrupting(*self._interrupting.pop(0))
        return fits

    def has_room(self, size: int) -> bool:
        """Return whether the spool takes so many bytes more, as far as is known."""
        return self.written + size <= self._full_at

    def position(self) -> tuple[str, int] | None:
        """Return how far this process has written: the segment's key, the offset in it. None before the first row."""
        with self._lock:
            if self._directory is None:
                return None
            return f"{self._directory.name}/{segments.name(self._sequence)}", self._size

    def leave_if_removed(self) -> None:
        """Begin a new directory if somebody removed ours, or a file of it: what is written to a removed file is lost.

        Raises:
            OSError: it can't be told.

        """
        with self._lock:
            if self._directory is not None and self._limit != _WRITING and not self._is_there(self._directory):
                logger.warning("modeldata: the spool was removed, with the rows that waited in it: a new one is made")
                self._leave()

    def _write_interrupting(self, stream: records.Stream, line: bytes, rows: int, array: bytes) -> None:
        if not self.write(stream, line, rows, array, most=records.MOST_BYTES):
            self._counters.drop(counters.Drop.ROW_TOO_LARGE, "a large call in a signal handler", rows)

    def _write_with_a_look(
        self, stream: records.Stream, line: bytes, array: bytes, limit: int, most: int
    ) -> tuple[int, int]:
        """Write a record that needs more than a ``write()``; return where it ends, and the limit from then on.

        Raises:
            _TooLong: it is longer than it may be.
            _Full: the pod's spool has no room for it.
            OSError: it can't be written.

        """
        size = len(line) + len(array)
        if size > most:
            raise _TooLong
        if self.written + size > self._full_at:
            raise _Full
        if limit == _BROKEN or self._size >= SEGMENT_BYTES:
            self._open_next()
        data = line if stream.number in self._defined else stream.to_line() + line
        size = len(data) + len(array)
        if (os.writev(self._descriptor, (data, array)) if array else _write(self._descriptor, data)) != size:
            raise _no_space()
        self._defined.add(stream.number)
        return self._size + size, min(self._full_at - self._before, SEGMENT_BYTES)

    def _is_there(self, directory: pathlib.Path) -> bool:
        ours = [os.fstat(self._descriptor)] if self._descriptor >= 0 else []
        if self._life is not None:
            ours.append(self._life.status())
        return directory.exists() and all(each.st_nlink for each in ours)

    def _fail(
        self, error: OSError, stream: records.Stream, line: bytes, rows: int, array: bytes, *, again: bool
    ) -> None:
        if isinstance(error, FileNotFoundError) and not again:  # somebody removed our directory: a new one, then
            self._leave()
            self.write(stream, line, rows, array, most=records.MOST_BYTES, again=True)
            return
        if self._descriptor >= 0:
            # Cut off what was half written, so that a full disk does not cost a segment for each call.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                self._limit = 0
        self._counters.drop(counters.Drop.DISK, f"the spool can't be written: {error.strerror}", rows)

    def _open_next(self) -> None:
        if self._directory is None:
            self._open_directory()
        assert self._directory is not None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._sequence += 1
        path = self._directory / segments.name(self._sequence)
        try:
            self._descriptor = sharing.create(path, os.O_WRONLY | os.O_EXCL | os.O_APPEND)
        except OSError:
            self._sequence -= 1  # ``position`` must not name a segment that never came to be
            raise
        self._before += self._size
        self._size = 0
        self._defined = set()

    def _open_directory(self) -> None:
        # Made under a name that no shipper looks at, and shown when the lock is held: a directory without a lock is
        # one that a dead process left.
        name = self._name()
        hidden = self._spool / f".{name}"
        sharing.make(hidden)
        try:
            life = locks.take(hidden / locks.ALIVE)
            try:
                hidden.rename(self._spool / name)
            except OSError:
                life.release()
                raise
        except OSError:
            with contextlib.suppress(OSError):
                (hidden / locks.ALIVE).unlink(missing_ok=True)
                hidden.rmdir()
            raise
        self._directory, self._life, self._sequence = self._spool / name, life, 0

    def _leave(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._life is not None:
            self._life.release()
        self._directory, self._life, self._descriptor, self._limit = None, None, -1, _BROKEN


class _TooLong(Exception):  # noqa: N818 (a verdict)
    """The record must be cut."""


class _Full(Exception):  # noqa: N818 (a verdict)
    """The spool holds what it may."""


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
