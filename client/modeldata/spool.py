"""The spool: rows on the pod's disk until they are in Blob Storage.

``spool/<pod uid>-<pid>-<random>/<sequence>.seg``, one directory for each process, written by it alone; whoever ships
reads all of them. A segment is a sequence of frames::

    kind  u8      S: a stream with the number by which rows of this segment refer to it; R: rows
    length u32    of the body
    crc32 u32     of kind and body
    body

so that a torn tail (a process killed in the middle of a write) is seen and left out. One ``write()`` a call: when it
has returned, the rows outlive the process. They are not synced to disk: a power cut may take the last seconds.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import pathlib
import shutil
import struct
import threading
import typing
import zlib

import orjson

from . import rows

SEGMENT_BYTES = 1024 * 1024
"""A segment is closed at this size. Only whole segments are deleted, so this is what a process holds too long."""

_FRAME = struct.Struct("<cII")
_NUMBER = struct.Struct("<I")
_ROWS = struct.Struct("<IQIIBBBHB")
_STREAM_KIND, _ROWS_KIND, _DAMAGED_KIND = b"S", b"R", b"?"


@dataclasses.dataclass(frozen=True)
class Stream:
    """What decides the file and the header of rows, beside their day and the settings."""

    model: str
    designation: str
    names: tuple[str, ...] = ()
    version: str = ""
    workspace: str = ""
    webservice: str = ""

    def to_json(self) -> bytes:
        """Return the stream as the spool holds it."""
        return orjson.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: bytes) -> Stream:
        """Read what ``to_json`` wrote."""
        fields = orjson.loads(text)
        fields["names"] = tuple(fields["names"])
        return Stream(**fields)


class Record(typing.NamedTuple):
    """The rows of one call, with what is equal for all of them."""

    stream: Stream
    microseconds: int
    """When, since the epoch, UTC."""
    request: str
    correlation: str
    first_row: int
    """The number of the first row within its request, where a call was cut into several records."""
    batch: bool
    """Whether the request's rows are numbered, so that inputs and predictions join row by row."""
    table: rows.Table


class Writer:
    """One process's directory in the spool. ``write`` may be called by any thread."""

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
        # Re-entrant: a signal handler may ask for the position while this thread writes.
        self._lock = threading.RLock()
        self._descriptor = -1
        self._sequence = 0
        self._size = 0
        self._intact = False
        """Whether all of the segment up to ``_size`` is whole frames, and nothing is behind it."""
        self._streams: dict[Stream, int] = {}
        self.written = 0
        """Bytes since this writer was made."""

    def write(self, record: Record) -> int:
        """Append one record; return the bytes it took.

        Raises:
            OSError: the disk is full, read-only or gone. Nothing of the record stays in the segment then.

        """
        with self._lock:
            if not self._intact or self._size >= SEGMENT_BYTES:
                self._open_next()
            number = self._streams.get(record.stream, len(self._streams))
            data = _encode(record, number, define=record.stream not in self._streams)
            self._intact = False  # a signal handler may raise anywhere: the next row then goes to a new segment
            try:
                if os.write(self._descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                # Cut off what was half written, so that a full disk does not cost a segment for each call.
                os.ftruncate(self._descriptor, self._size)
                self._intact = True
                raise
            self._size += len(data)
            self._streams[record.stream] = number
            self._intact = True
            self.written += len(data)
            return len(data)

    def position(self) -> tuple[str, int]:
        """Return how far this process has written: the segment's key and the offset in it."""
        with self._lock:
            return f"{self.directory.name}/{self._sequence:09d}.seg", self._size

    def close(self) -> None:
        """Give the directory up: whoever ships takes it over."""
        with self._lock:
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
        self._streams = {}
        self._intact = True


def _encode(record: Record, stream: int, *, define: bool) -> bytes:
    table = record.table
    request, correlation, dtype = record.request.encode(), record.correlation.encode(), table.dtype.encode()
    if correlation == request:
        correlation = b""
    head = _ROWS.pack(
        stream,
        record.microseconds,
        table.rows,
        record.first_row,
        (table.encoding << 1) | record.batch,
        len(request),
        len(dtype),
        len(correlation),
        0,
    )
    width = table.width.to_bytes(4, "little") if dtype else b""
    rows_frame = frame(_ROWS_KIND, b"".join((head, request, correlation, dtype, width, table.payload)))
    return frame(_STREAM_KIND, _NUMBER.pack(stream) + record.stream.to_json()) + rows_frame if define else rows_frame


def frame(kind: bytes, body: bytes) -> bytes:
    """Return the framed bytes of one record."""
    return _FRAME.pack(kind, len(body), zlib.crc32(body, kind[0])) + body


class Segment:
    """One segment as its reader sees it; keeps the streams that its rows refer to."""

    def __init__(self, key: str, path: pathlib.Path) -> None:
        self.key = key
        self.path = path
        self._streams: dict[int, Stream] = {}
        self._known = 0

    def read(self, start: int) -> typing.Iterator[tuple[Record | None, int]]:
        """Yield the whole records from an offset on, each with the offset behind it; None for a damaged one.

        Ends at the first frame that is not (or not yet) whole. Offsets are those that an earlier ``read`` yielded.
        """
        with self.path.open("rb") as file:
            if self._known < start:
                # Read anew after a restart: the streams defined before the offset are needed.
                file.seek(self._known)
                for kind, body, end in _frames(file, self._known, start):
                    self._learn(kind, body, end)
            file.seek(start)
            for kind, body, end in _frames(file, start, None):
                self._learn(kind, body, end)
                if kind != _STREAM_KIND:
                    yield self._record(body) if kind == _ROWS_KIND else None, end

    def _learn(self, kind: bytes, body: bytes, end: int) -> None:
        if kind == _STREAM_KIND and end > self._known:
            self._streams[_NUMBER.unpack_from(body)[0]] = Stream.from_json(body[_NUMBER.size :])
        self._known = max(self._known, end)

    def _record(self, body: bytes) -> Record | None:
        stream, microseconds, count, first_row, flags, request_length, dtype_length, correlation_length, _ = (
            _ROWS.unpack_from(body)
        )
        offset = _ROWS.size
        request = body[offset : (offset := offset + request_length)].decode()
        correlation = body[offset : (offset := offset + correlation_length)].decode() or request
        dtype = body[offset : (offset := offset + dtype_length)].decode()
        width = int.from_bytes(body[offset : (offset := offset + 4)], "little") if dtype else 0
        known = self._streams.get(stream)
        if known is None:  # its definition is damaged
            return None
        table = rows.Table(known.names, count, rows.Encoding(flags >> 1), body[offset:], dtype, width)
        return Record(known, microseconds, request, correlation, first_row, bool(flags & 1), table)


def _frames(file: typing.BinaryIO, offset: int, end: int | None) -> typing.Iterator[tuple[bytes, bytes, int]]:
    size = os.fstat(file.fileno()).st_size
    while end is None or offset < end:
        head = file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            return
        kind, length, checksum = _FRAME.unpack(head)
        behind = offset + _FRAME.size + length
        if kind not in (_STREAM_KIND, _ROWS_KIND) or behind > size:
            return
        body = file.read(length)
        if zlib.crc32(body, kind[0]) != checksum:
            if behind == size:
                return  # still being written, or torn
            kind = _DAMAGED_KIND  # with frames behind it, it was whole once
        offset = behind
        yield kind, body, offset


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
