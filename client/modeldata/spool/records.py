r"""A record: the rows of one ``collect`` call, and how it lies in the spool.

What is equal for all rows of a call is there once. A line each, so that one call of orjson makes what one ``write()``
takes::

    [stream,microseconds,request,correlation,first row,rows,[[cell,...],...]]\n
    A[stream,microseconds,request,correlation,first row,rows,dtype,width,bytes,crc32]\n<the numbers as in memory>
    S{"number":...,"model":...}\n                      the stream that later lines of the segment name by its number

JSON text has no line end and no NUL in it: a line without its end was cut off, one with a NUL was damaged by a crash
of the node. ``correlation`` is empty where it is the request's id. ``first row`` is -1 for a single row, whose request
id has no number; else the number of the first row within its request, which counts on where a call was cut into pieces.
It is -2 for a flat list in one row of which the rest of its request tells whether it is a row or a column.
"""

from __future__ import annotations

import itertools
import re
import typing
import zlib

import orjson

from .. import settings
from ..tables import adapter, pieces

SINGLE = -1
UNSETTLED = -2

PLAIN_BYTES = 1024 * 1024
"""A record of rows that were encoded at once is no longer: the shipper holds one in memory."""

MOST_BYTES = 9 * 1024 * 1024
"""The longest record: one row, whose numbers take twice as much in memory as the 4 MiB of their text."""

_ROWS, _ARRAY, _STREAM = b"[AS"
_HEAD = re.compile(rb'\[(\d+),(\d+),"([^"\\]*)","([^"\\]*)",(-?\d+),(\d+),')
_ID = rb'"([^"\\,\x00-\x1f\x7f-\xff]{%d,200})",'
_SINGLE = rb"\[(\d{1,18}),(\d{16})," + _ID % 1 + _ID % 0 + rb"-1,1,\[\[([-+.,\dEaeflnrstu]{1,1000})\]\]\]\n"
"""A line of one row of numbers, booleans and gaps, which have no other letters, under ids that CSV need not quote: its
stream, microseconds, request, correlation and cells."""
_SINGLE_LINE = re.compile(_SINGLE)
_RUN = re.compile(b"(?:%b){1,16}" % _SINGLE.replace(b"(", b"(?:"))
"""So few that all that is done with them (0.15 ms) fits between two looks at ``turns``."""
_ROWS_OPTIONS = pieces.JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE
_LETTER_N = ord("n")
# What each call of collect() uses, by a name that is found at once.
_cell, _dumps = adapter.cell, orjson.dumps

_numbers = itertools.count(1)


class Stream:
    """What decides the file and the header of rows, beside their day and the settings.

    Not to be changed once it is made. A plain class: its number is read in each call of ``collect``, and reading it
    takes longer from a tuple; a dataclass takes 0.6 ms to make, which each import of this package would cost.
    """

    def __init__(
        self,
        model: str,
        designation: str,
        names: tuple[str, ...] = (),
        *,
        version: str = "",
        workspace: str = "",
        webservice: str = "",
        redactions: tuple[settings.Redaction, ...] = (),
        number: int | None = None,
    ) -> None:
        self.model = model
        self.designation = designation
        self.names = names
        self.version = version
        self.workspace = workspace
        self.webservice = webservice
        self.redactions = redactions
        """In force when the rows were collected."""
        self.number = next(_numbers) if number is None else number
        """By which rows refer to it; unique within a process."""

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Stream) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.number)

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        """Take another number than where it was pickled: that may be another stream's here."""
        vars(self).update(state, number=next(_numbers))

    def like(self, names: tuple[str, ...], redactions: tuple[settings.Redaction, ...]) -> Stream:
        """Return the stream of the same model with other columns and redactions."""
        return Stream(
            self.model,
            self.designation,
            names,
            version=self.version,
            workspace=self.workspace,
            webservice=self.webservice,
            redactions=redactions,
        )

    def to_line(self) -> bytes:
        """Return the line that defines it."""
        # Without vars(), after which CPython 3.11 takes three times as long to read the number (23 ns against 7).
        fields = {
            "model": self.model,
            "designation": self.designation,
            "names": self.names,
            "version": self.version,
            "workspace": self.workspace,
            "webservice": self.webservice,
            "redactions": [(each.feature, each.action.value) for each in self.redactions],
            "number": self.number,
        }
        return b"S" + orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


class Record(typing.NamedTuple):
    """The rows of one call, with what is equal for all of them."""

    stream: Stream
    microseconds: int
    """When, since the epoch, UTC."""
    request: str
    correlation: str
    """Empty where it is the request's id."""
    first_row: int
    table: pieces.Table

    def to_line(self) -> bytes:
        """Return its line, with the array behind it where it is one."""
        return b"".join(self.to_parts())

    def to_parts(self) -> tuple[bytes, bytes]:
        """Return its line, and the array that comes behind it, empty where it is none: a copy less of an array."""
        table = self.table
        head: list[object] = [self.stream.number, *self[1:5], table.rows]
        if table.encoding is pieces.Encoding.JSON:
            return orjson.dumps([*head, orjson.Fragment(table.payload)], option=orjson.OPT_APPEND_NEWLINE), b""
        head += (table.dtype, table.width, len(table.payload), zlib.crc32(table.payload))
        return b"A" + orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE), table.payload


class Run(typing.NamedTuple):
    """Records of one row each, one behind the other, as most models' requests leave them.

    All of them are looked at at once, and made into text at once, in a quarter of the time that it takes one by one:
    their ids and cells stand in the file as they stand in the spool.
    """

    streams: typing.Mapping[int, Stream]
    lines: list[tuple[bytes, bytes, bytes, bytes, bytes]]
    """Stream, microseconds, request, correlation and cells, each as in the line."""

    @property
    def microseconds(self) -> int:
        """When the first was collected."""
        return int(self.lines[0][1])

    def by_stream(self) -> typing.Iterator[Singles]:
        """Yield what belongs to each stream."""
        numbers = {line[0] for line in self.lines}
        for number in sorted(numbers):
            own = self.lines if len(numbers) == 1 else [line for line in self.lines if line[0] == number]
            _, microseconds, requests, correlations, cells = zip(*own)
            yield Singles(self.streams[int(number)], microseconds, requests, correlations, cells)

    def records(self) -> typing.Iterator[Record]:
        """Yield them one by one."""
        for number, *line in self.lines:
            yield from Singles(self.streams[int(number)], *((each,) for each in line)).records()


class Singles(typing.NamedTuple):
    """Those records of a run that are of one stream."""

    stream: Stream
    microseconds: tuple[bytes, ...]
    requests: tuple[bytes, ...]
    correlations: tuple[bytes, ...]
    cells: tuple[bytes, ...]

    def records(self) -> typing.Iterator[Record]:
        """Yield them one by one."""
        for microseconds, request, correlation, row in zip(*self[1:]):
            table = pieces.Table(self.stream.names, 1, pieces.Encoding.JSON, b"[[%b]]" % row)
            yield Record(self.stream, int(microseconds), request.decode(), correlation.decode(), SINGLE, table)


def plain(head: list[object]) -> bytes | None:
    """Return the line of lists that are written as they are; None where cells must be looked at one by one.

    Args:
        head: number of the stream, microseconds, request, correlation, first row, number of rows, and the rows.

    """
    try:
        line = _dumps(head, _cell, _ROWS_OPTIONS)
    except TypeError:
        return None
    # orjson writes null for NaN and infinities too. A search for one letter is 20 times as fast as one for four.
    return None if _LETTER_N in line and b"null" in line else line


class Reader:
    """Reads lines of one segment, in order; keeps the streams that they refer to."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}
        self.passed = 0
        """The end of the last whole line of what was read."""

    def read(self, content: bytes, start: int = 0) -> typing.Iterator[tuple[Record | Run | None, int]]:
        """Yield the whole records from an offset on, each with the offset behind it; None for a damaged one.

        What lies before the offset is read for its streams. Ends at the first line that is not (or not yet) whole.
        """
        offset = self.passed = 0
        while (end := content.find(b"\n", offset) + 1) > 0:
            found: Record | Run | None = None
            kind = content[offset]
            if kind == _STREAM:
                self._learn(content[offset + 1 : end])
            elif kind == _ARRAY:
                found, end = self._array(content, offset, end)
                if end > len(content):
                    return
            elif offset >= start:
                found, end = self._run(content, offset) or (self._rows(content, offset, end), end)
            self.passed = end
            if offset >= start and kind != _STREAM:
                yield found, end
            offset = end

    def _run(self, content: bytes, offset: int) -> tuple[Run, int] | None:
        """Return a run that begins here, and the offset behind it."""
        whole = _RUN.match(content, offset)
        if whole is None:
            return None
        lines = _SINGLE_LINE.findall(content, offset, whole.end())
        known = all(int(number) in self._streams for number in {line[0] for line in lines})
        return (Run(self._streams, lines), whole.end()) if known else None

    def _learn(self, text: bytes) -> None:
        try:
            fields = orjson.loads(text)
            fields["names"] = tuple(fields["names"])
            fields["redactions"] = tuple(
                settings.Redaction(feature, settings.Action(action)) for feature, action in fields["redactions"]
            )
            stream = Stream(**fields)
        except (ValueError, TypeError, LookupError):
            return  # damaged: its records can't be read then
        self._streams[stream.number] = stream

    def _rows(self, content: bytes, offset: int, end: int) -> Record | None:
        found = _HEAD.match(content, offset, end)
        try:
            if found is None:  # ids with quotes in them
                *head, cells = orjson.loads(content[offset:end])
                return self._record(head, pieces.Encoding.JSON, orjson.dumps(cells))
            number, microseconds, request, correlation, first_row, count = found.groups()
            payload = content[found.end() : end - 2]
            if content[end - 2] != ord("]") or 0 in payload:
                return None
            fields = int(number), int(microseconds), request.decode(), correlation.decode(), int(first_row), int(count)
            return self._record(fields, pieces.Encoding.JSON, payload)
        except (ValueError, TypeError, LookupError):
            return None

    def _array(self, content: bytes, offset: int, end: int) -> tuple[Record | None, int]:
        try:
            *head, dtype, width, size, checksum = orjson.loads(content[offset + 1 : end])
            payload = content[end : end + size]
            if len(payload) < size:
                return None, end + size
            if zlib.crc32(payload) != checksum:
                return None, end + size
            return self._record(head, pieces.Encoding.ARRAY, payload, dtype, width), end + size
        except (ValueError, TypeError, LookupError):
            return None, end

    def _record(
        self,
        head: typing.Sequence[typing.Any],
        encoding: pieces.Encoding,
        payload: bytes,
        dtype: str = "",
        width: int = 0,
    ) -> Record:
        number, microseconds, request, correlation, first_row, count = head
        stream = self._streams[number]
        table = pieces.Table(stream.names, count, encoding, payload, dtype, width)
        return Record(stream, microseconds, request, correlation, first_row, table)
