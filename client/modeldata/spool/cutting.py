"""Segments with a record larger than one holds in memory, cut into records of the usual size where they lie.

Versions of this package before cut calls by rows alone, so one record of theirs may have hundreds of MiB: whoever read
it whole was killed for its memory, and so was the next. What is before an offset stays as it is, so what is known of
the segment stays true; what is cut is read by every version.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import typing
import zlib

import orjson

from ..tables import pieces
from ..threads import turns
from . import sharing

LARGE_BYTES = 12 * 1024 * 1024
"""A segment of this version is smaller: 1 MiB, and the longest record."""

_READ_BYTES = 64 * 1024
"""Read and searched in one call that holds the interpreter."""
_HEAD_BYTES = 4096

_TEXT = rb'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(rb"(\[\d+,\d+,%b,%b,)(-?\d+),\d+,\[" % (_TEXT, _TEXT))
_IN_TEXT = re.compile(rb'["\\]')
_IN_ROW = re.compile(rb'["\[\]{}]')
_BETWEEN_ROWS = re.compile(rb'["\[\]{},]')
_DAMAGED = b"[damaged]\n"
"""A line that no reader understands: it counts as damaged, once."""


class Stopped(Exception):  # noqa: N818 (a verdict)
    """The process is to ship no more: the segment is as it was."""


class _Torn(Exception):  # noqa: N818 (a verdict)
    """The segment ends within a record, which its writer did not finish."""


class _Damaged(Exception):  # noqa: N818 (a verdict)
    """What is there is no record."""


@dataclasses.dataclass
class Cut:
    """What became of a segment."""

    size: int = 0
    """Of the segment now, in bytes."""
    too_large: list[int] = dataclasses.field(default_factory=list)
    """The sizes of rows that were left out, as no append takes them."""


def cut(path: pathlib.Path, start: int, stopped: typing.Callable[[], bool] = lambda: False) -> Cut:
    """Cut the large records of a segment, to which nothing is added any more, from an offset on.

    Args:
        path: the segment.
        start: the end of a record, or 0; what is before it stays.
        stopped: asked again and again.

    Raises:
        Stopped: it was asked, and said so.
        OSError: the segment can't be read, or the disk has no room for it twice.

    """
    new, result = path.with_name(f"{path.name}.new"), Cut()
    with path.open("rb") as source:
        try:
            with os.fdopen(sharing.create(new, os.O_RDWR | os.O_TRUNC), "r+b") as target:
                _Cutting(source, target, result, stopped).run(start)
                result.size = target.tell()
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    return result


class _Cutting:
    def __init__(
        self, source: typing.BinaryIO, target: typing.BinaryIO, result: Cut, stopped: typing.Callable[[], bool]
    ) -> None:
        self._source = source
        self._target = target
        self._result = result
        self._stopped = stopped

    def run(self, start: int) -> None:
        self._copy(start)
        while True:
            line = self._source.readline(_READ_BYTES)
            if not line:
                return
            written, dropped = self._target.tell(), len(self._result.too_large)
            try:
                self._record(line)
            except (_Torn, _Damaged) as verdict:
                self._target.seek(written)
                self._target.truncate()
                del self._result.too_large[dropped:]
                if isinstance(verdict, _Torn):
                    return
                self._target.write(_DAMAGED)

    def _record(self, line: bytes) -> None:
        whole = line.endswith(b"\n")
        if line.startswith(b"A"):
            if not whole:
                self._to_end(line)
                raise _Damaged
            self._array(line)
        elif whole:
            self._target.write(line)
        elif line.startswith(b"["):
            self._rows(line)
        else:  # the names of very many columns
            while not whole:
                self._target.write(line)
                line = self._read(_READ_BYTES, line=True)
                whole = line.endswith(b"\n")
            self._target.write(line)

    def _read(self, size: int, *, line: bool = False) -> bytes:
        if self._stopped():
            raise Stopped
        turns.give_way()
        data = self._source.readline(size) if line else self._source.read(size)
        if not data:
            raise _Torn
        return data

    def _copy(self, size: int) -> None:
        while size:
            data = self._read(min(size, _READ_BYTES))
            self._target.write(data)
            size -= len(data)

    def _array(self, line: bytes) -> None:
        try:
            *head, count, dtype, width, size, checksum = orjson.loads(line[1:])
            row_bytes = size // count
            first = int(head[4])
            if row_bytes * count != size or row_bytes <= 0:
                raise ValueError("rows of different sizes")
        except (ValueError, TypeError, LookupError, ArithmeticError):
            raise _Damaged from None
        begin = self._source.tell()
        if size <= pieces.PIECE_BYTES:
            self._target.write(line)
            self._copy(size)
            return
        # All of it is read before any is written: what is damaged has to be seen as a whole.
        found, left = 0, size
        while left:
            data = self._read(min(left, _READ_BYTES))
            found, left = zlib.crc32(data, found), left - len(data)
        if found != checksum:
            raise _Damaged
        self._source.seek(begin)
        step = max(1, min(pieces.PIECE_ARRAY_ROWS, pieces.PIECE_BYTES // row_bytes))
        for done in range(0, count, step):
            rows = min(step, count - done)
            data = self._source.read(rows * row_bytes)
            head[4] = first + done if first >= 0 else first
            fields = [*head, rows, dtype, width, len(data), zlib.crc32(data)]
            self._target.write(b"A" + orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE) + data)
            turns.give_way()

    def _rows(self, line: bytes) -> None:
        head = _HEAD.match(line[:_HEAD_BYTES])
        if head is None:
            self._to_end(line)
            raise _Damaged
        first, rows, size, done = int(head.group(2)), list[bytes](), 0, 0
        for row in self._split(line[head.end() :]):
            if rows and (
                isinstance(row, int) or size + len(row) > pieces.PIECE_BYTES or len(rows) == pieces.PIECE_ROWS
            ):
                self._piece(head.group(1), first + done if first >= 0 else first, rows)
                done, rows, size = done + len(rows), [], 0
            if isinstance(row, int):
                self._result.too_large.append(row)
                done += 1
            else:
                rows.append(row)
                size += len(row)
        if rows:
            self._piece(head.group(1), first + done if first >= 0 else first, rows)

    def _piece(self, head: bytes, first: int, rows: list[bytes]) -> None:
        self._target.write(b"%b%d,%d,[" % (head, first, len(rows)) + b",".join(rows) + b"]]\n")

    def _to_end(self, line: bytes) -> None:
        """Go on behind a line."""
        while not line.endswith(b"\n"):
            line = self._read(_READ_BYTES, line=True)

    def _split(self, chunk: bytes) -> typing.Iterator[bytes | int]:
        """Yield each row of a list whose first bytes are given; the size of one that is too large, in its place.

        Raises:
            _Damaged: it is no list of rows; what is read next is the line behind it.
            _Torn: the file ends before it does.

        """
        depth, in_text, skip = 1, False, 0
        parts: list[bytes] = []
        size = 0
        while True:
            if 0 in chunk:  # a crash of the node
                self._to_end(chunk)
                raise _Damaged
            place, begin = skip, 0
            skip = 0
            while True:
                searched = _IN_TEXT if in_text else _IN_ROW if depth > 1 else _BETWEEN_ROWS
                found = searched.search(chunk, place)
                if found is None:
                    break
                place, token = found.end(), found.group()
                if token == b'"':
                    in_text = not in_text
                elif token == b"\\":
                    place += 1
                    if place > len(chunk):
                        skip = 1
                        break
                elif token in b"[{":
                    depth += 1
                elif token in b"]}" and depth > 1:
                    depth -= 1
                else:  # a row ends here
                    size += found.start() - begin
                    if size > pieces.ROW_BYTES:
                        yield size
                    elif size:
                        yield b"".join((*parts, chunk[begin : found.start()]))
                    parts, size, begin = [], 0, place
                    if token == b"]":
                        self._end(chunk[place:])
                        return
            size += len(chunk) - begin
            parts = [*parts, chunk[begin:]] if size <= pieces.ROW_BYTES else []
            if chunk.endswith(b"\n"):
                raise _Damaged
            chunk = self._read(_READ_BYTES, line=True)

    def _end(self, rest: bytes) -> None:
        """See to it that a list's line ends as it has to."""
        rest = rest if rest.endswith(b"\n") else rest + self._read(_READ_BYTES, line=True)
        if rest != b"]\n":
            self._to_end(rest)
            raise _Damaged
