"""Records to CSV text: RFC 4180, UTF-8, CRLF. Runs in the shipper, never on the model's thread.

Floats are the shortest text that reads back as the same number, in their own width. ``None`` is an empty cell, an
empty string is ``""``, nested values are JSON. The rest: ``tables``; what readers make of it: ``docs/reading.md``.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import re
import struct
import sys
import typing

import orjson

from .. import settings
from ..spool import records
from ..tables import cells, pieces
from ..threads import turns
from . import layout, redaction

SLICE_CELLS = 4096
"""Cells encoded in one call that holds the GIL: some 0.2 ms, so that a request does not wait long."""

CHUNK_ROWS = 100
CHUNK_BYTES = 256 * 1024
"""Of what is made into one text at a time: little enough for the processor's cache, and for the allocator to use again
(1 MiB of new pages costs 0.5 ms)."""

WIDE_BYTES = 400
"""From rows of so much text on, a search for each one's end takes less time than a split, which looks at every byte."""

_END = b"\r\n"
_NAN = cells.float_text(math.nan).encode()
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_OF_PLAIN_CELLS = b"+-.0123456789Eaeflrstu"
"""What numbers, ``true`` and ``false`` are made of."""
_STRUCT_CODES = {
    "f8": "d", "f4": "f", "b1": "?",
    "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip


class Chunk(typing.NamedTuple):
    """Whole rows, each with its line end."""

    text: bytes
    rows: int
    """One, where they take more than ``CHUNK_BYTES``."""


class Csv(typing.NamedTuple):
    """A record as it stands in the file."""

    header: bytes
    chunks: list[Chunk]
    matched: frozenset[settings.Redaction] = frozenset()
    """Redactions that had something to redact."""

    @property
    def text(self) -> bytes:
        """All rows."""
        return b"".join(chunk.text for chunk in self.chunks)


def to_csv(of: records.Record, wanted: layout.Layout = layout.Layout()) -> Csv:  # noqa: B008 (immutable)
    """Return a record's header and rows.

    Raises:
        redaction.KeyMissing: values must be hashed, and the layout has no key.

    """
    columns, parts, matched = _features(of, wanted)
    comma = b"," if columns else b""
    if wanted.azureml is None:
        columns, around = (*layout.LEADING, *columns), _led(of, comma)
    elif columns[-len(layout.AZUREML) :] == layout.AZUREML:  # of the rows' own request, by add_correlations
        around = _Around()
    else:
        columns, around = (*columns, *layout.AZUREML), _followed(of, comma, wanted.azureml)
    return Csv(layout.header(columns), _chunks(parts, around), matched)


def singles_to_csv(of: records.Singles, wanted: layout.Layout = layout.Layout()) -> Csv | None:  # noqa: B008 (immutable)
    """Return what ``to_csv`` of each would; None where it must be asked, as their columns are not all as they came."""
    widths = _widths(of.cells)
    if wanted.redactions or wanted.azureml or wanted.as_json or len(widths) > 1:
        return None
    (width,) = widths
    columns = layout.names(of.stream.names, width)
    cells: typing.Iterable[bytes] = of.cells
    if any(b"n" in row for row in cells):
        cells = [row.replace(b"null", b"") for row in cells]
    end = b"," * (len(columns) - width) + _END
    seconds = {each: layout.second(int(each)).encode() for each in {each[:-6] for each in of.microseconds}}
    lines = [
        b"%b%bZ,%b,%b,%b%b" % (seconds[time[:-6]], time[-6:], correlation or request, request, row, end)
        for time, request, correlation, row in zip(of.microseconds, of.requests, of.correlations, cells)
    ]
    return Csv(layout.header((*layout.LEADING, *columns)), [Chunk(b"".join(lines), len(lines))])


class _Around(typing.NamedTuple):
    """What stands beside the cells of a record's rows: a text, then a number."""

    text: bytes = b""
    numbers: tuple[bytes, ...] = ()
    leads: bool = False
    """Before the cells, rather than behind them."""


def _led(of: records.Record, comma: bytes) -> _Around:
    """Put ``LEADING`` before the cells."""
    ids, numbers = _ids(of, comma)
    text = f"{layout.timestamp(of.microseconds)},{layout.quote(of.correlation or of.request)},".encode()
    return _Around(text + ids, numbers, leads=True)


def _followed(of: records.Record, comma: bytes, azureml: tuple[str, ...]) -> _Around:
    """Put ``AZUREML`` behind the cells."""
    ids, numbers = _ids(of, _END)
    fixed = [of.correlation or of.request, layout.timestamp(of.microseconds)[:-1], str(layout.BOUNDARY), *azureml]
    return _Around(comma + ",".join(map(layout.quote, fixed)).encode() + b"," + ids, numbers)


def _ids(of: records.Record, behind: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return what all rows' request ids begin with, and what each one's ends with; ``behind`` comes after it."""
    ids = layout.quote(of.request).encode()
    if of.first_row < 0:
        return ids, (behind,) * of.table.rows
    if ids.endswith(b'"'):
        ids, behind = ids[:-1], b'"' + behind
    return ids + b"-", _numbers(of.first_row, of.table.rows, behind)


@functools.lru_cache(maxsize=8)
def _numbers(first: int, count: int, behind: bytes) -> tuple[bytes, ...]:
    """Return the numbers of rows; a model's batches tend to be of one size."""
    return tuple(b"%d%b" % (number, behind) for number in range(first, first + count))


def _chunks(parts: typing.Iterable[list[bytes]], around: _Around) -> list[Chunk]:
    chunks: list[Chunk] = []
    done = 0
    for part in parts:
        for start in range(0, len(part), CHUNK_ROWS):
            cells = part[start : start + CHUNK_ROWS]
            count = len(cells)
            text = _row(cells[0], around, done) if count == 1 else _joined(cells, around, done)
            if len(text) <= CHUNK_BYTES or count == 1:
                chunks.append(Chunk(text, count))
            else:
                chunks += [Chunk(_row(row, around, number), 1) for number, row in enumerate(cells, done)]
            done += count
    return chunks


def _row(cells: bytes, around: _Around, number: int) -> bytes:
    if not around.numbers:
        return cells + _END
    if around.leads:
        return around.text + around.numbers[number] + cells + _END
    return cells + around.text + around.numbers[number]


def _joined(cells: list[bytes], around: _Around, number: int) -> bytes:
    """Return several rows; one join of the pieces of all takes a third of the time of making row after row."""
    count = len(cells)
    numbers = around.numbers[number : number + count]
    columns: list[typing.Sequence[bytes]]
    if around.leads:  # what ends a row and what begins the next are one piece
        columns = [[_END + around.text] * count, numbers, cells]
    elif numbers:
        columns = [cells, [around.text] * count, numbers]
    else:
        columns = [cells, [_END] * count]
    pieces = [b""] * (len(columns) * count)
    for place, column in enumerate(columns):
        pieces[place :: len(columns)] = column
    if around.leads:
        pieces[0] = around.text
        pieces.append(_END)
    return b"".join(pieces)


class _Features(typing.NamedTuple):
    """The features' columns, and each row's cells as they stand in the file."""

    columns: tuple[str, ...]
    parts: typing.Iterable[list[bytes]]
    matched: frozenset[settings.Redaction] = frozenset()


def _features(of: records.Record, wanted: layout.Layout) -> _Features:
    table = of.table
    looked_at = bool(wanted.redactions) or wanted.as_json
    if table.encoding is pieces.Encoding.ARRAY:
        columns, parts = layout.names(table.names, table.width), _array_rows(table)
        if missing := len(columns) - table.width:
            parts = ([row + b"," * missing for row in part] for part in parts)
        if not looked_at:
            return _Features(columns, parts)
        cells = [row for part in parts for row in part]
    else:
        plain = _even_rows(table) or _plain_rows(table)
        if plain is None:
            return _mixed(of, wanted)
        cells, widths = plain
        columns = layout.names(table.names, max(widths))
        if min(widths) < len(columns):
            cells = [row + b"," * (len(columns) - 1 - row.count(b",")) for row in cells]
    if looked_at:
        return _looked_at(columns, [list(map(_plain_value, row.split(b","))) for row in cells], wanted)
    return _Features(columns, [cells])


def _plain_value(text: bytes) -> object:
    """Return the value of a plain cell, if it has the same text as the cell."""
    if not text:
        return None
    with contextlib.suppress(orjson.JSONDecodeError):
        value: object = orjson.loads(text)
        if (layout.cell_text(value) or "").encode() == text:
            return value
    return text.decode()


def _mixed(of: records.Record, wanted: layout.Layout) -> _Features:
    rows: redaction.Rows = []
    for row in orjson.loads(of.table.payload):
        # A row that is no list (a scalar between lists, say) is one cell. No cells read as one that is empty.
        rows.append(row if isinstance(row, list) else [row])
        turns.give_way()
    width = max(max(map(len, rows), default=1), 1)
    columns = own = layout.names(of.table.names, width)
    if width > len(of.table.names) and all(_is_correlated(row, width) for row in rows):
        # Data that looks like it takes no column its name: what a caller says of itself can't be told from its id.
        given = len(of.table.names) > width - len(layout.AZUREML)
        if not given or all(row[-1] == of.request for row in rows):
            columns = (*columns[: width - len(layout.AZUREML)], *layout.AZUREML)
    return _looked_at(columns, rows, wanted, own)


def _looked_at(
    columns: tuple[str, ...], rows: redaction.Rows, wanted: layout.Layout, own: tuple[str, ...] = ()
) -> _Features:
    """Return what may be seen of rows, each cell of which is looked at; ``own``: the columns' names as they came."""
    matched: frozenset[settings.Redaction] = frozenset()
    if wanted.redactions:
        columns, rows, matched = redaction.apply(columns, rows, wanted.redactions, wanted.key, also=own)
    if wanted.as_json:
        columns, rows = _as_objects(columns, rows)
    width = len(columns)
    lines = []
    for row in rows:
        text = ",".join(map(_quoted, map(layout.cell_text, row)))
        lines.append((text + "," * (width - max(1, len(row)))).encode())
        turns.give_way()
    return _Features(columns, [lines], matched)


def _is_correlated(row: list[typing.Any], width: int) -> bool:
    """Return whether the last cells are the values that ``add_correlations`` appends to lists and arrays."""
    if len(row) != width or width <= len(layout.AZUREML) or row[-6] not in (layout.BOUNDARY, str(layout.BOUNDARY)):
        return False
    return row[-1] is not None and isinstance(row[-7], str) and _ISO_TIME.match(row[-7]) is not None


def _as_objects(columns: tuple[str, ...], rows: redaction.Rows) -> tuple[tuple[str, ...], redaction.Rows]:
    """Return rows whose features are one object, of the cells that are not empty."""
    behind = layout.AZUREML if columns[-len(layout.AZUREML) :] == layout.AZUREML else ()
    width = len(columns) - len(behind)
    named = dict(zip(columns[:width], range(width)))  # of columns of one name, the others get their number too
    keys = [name if named[name] == place else f"{name}.{place}" for place, name in enumerate(columns[:width])]
    found: redaction.Rows = [
        [{key: cell for key, cell in zip(keys, row) if cell is not None}, *row[width:]] for row in rows
    ]
    return (layout.ROW, *behind), found


class _Plain(typing.NamedTuple):
    """Rows of numbers, booleans and gaps, which stand in CSV as in JSON."""

    rows: list[bytes]
    widths: set[int]
    """How many cells they have."""


def _even_rows(table: pieces.Table) -> _Plain | None:
    """Return the rows, if they are plain and all of one width: seen at once, by what is left without the cells."""
    payload = table.payload
    if b"n" in payload:
        payload = payload.replace(b"null", b"")
    commas = payload.count(b",", 0, payload.find(b"]"))
    if payload.translate(None, _OF_PLAIN_CELLS) != _skeleton(table.rows, commas):
        return None
    return _Plain(_listed(payload, table.rows), {commas + 1})


@functools.lru_cache(maxsize=8)
def _skeleton(count: int, commas: int) -> bytes:
    return b"[[%b]]" % b"],[".join([b"," * commas] * count)


def _plain_rows(table: pieces.Table) -> _Plain | None:
    """Return the rows, if they are lists of numbers, booleans and gaps."""
    payload = table.payload
    if (
        b'"' in payload
        or b"{" in payload
        or payload[:2] != b"[["
        or payload[-2:] != b"]]"
        or payload.count(b"[") != table.rows + 1
    ):
        return None
    if b"n" in payload:
        payload = payload.replace(b"null", b"")
    lists = payload.split(b"[")
    # Lists within lists, if other rows are none, come to the same number.
    if not all(map(bytes.endswith, lists[2:-1], itertools.repeat(b"],"))):
        return None
    plain = [row[:-2] for row in lists[2:]]
    return _Plain(plain, _widths(plain))


def _widths(plain: typing.Iterable[bytes]) -> set[int]:
    return {commas + 1 for commas in map(bytes.count, plain, itertools.repeat(b","))}


def _quoted(text: str | None) -> str:
    return "" if text is None else layout.quote(text)


def _array_rows(table: pieces.Table) -> typing.Iterator[list[bytes]]:
    payload = memoryview(table.payload)
    row_bytes = len(payload) // table.rows
    step = max(1, SLICE_CELLS // table.width)
    for start in range(0, table.rows, step):
        piece = payload[start * row_bytes : (start + step) * row_bytes]
        yield _slice_rows(piece, table.dtype, table.width)
        turns.give_way()


def _slice_rows(piece: memoryview, dtype: str, width: int) -> list[bytes]:
    # The rows may be those of another process of this pod, so numpy need not be here, or is being imported just now.
    numpy: typing.Any = sys.modules.get("numpy")
    if hasattr(numpy, "isinf"):
        with contextlib.suppress(Exception):
            array = numpy.frombuffer(piece, dtype).reshape(-1, width)
            text = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
            if b"n" not in text:  # of null, orjson's word for NaN and infinities
                return _listed(text, len(array))
            if not numpy.isinf(array).any():
                return _listed(text.replace(b"null", _NAN), len(array))
    code = dtype[-2:]
    values = struct.unpack(f"<{len(piece) // int(code[1])}{_STRUCT_CODES[code]}", piece)
    texts = [_number_text(value, code) for value in values]
    return [",".join(texts[start : start + width]).encode() for start in range(0, len(texts), width)]


def _listed(text: bytes, count: int) -> list[bytes]:
    """Return the cells of each list of a list of so many lists."""
    if len(text) < WIDE_BYTES * count:
        return [row[:-2] for row in text.split(b"[")[2:]]  # half the time of a search for three characters
    found, start = [], len(b"[[")
    for _ in range(count):
        end = text.index(b"]", start)
        found.append(text[start:end])
        start = end + len(b"],[")
    return found


def _number_text(value: float | bool, code: str) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return cells.float_text(value)
        if code == "f4":
            value = _shortest(value)
    return orjson.dumps(value).decode()


def _shortest(value: float) -> float:
    """Return the float with the fewest digits that is this one in 32 bits."""
    for digits in range(1, 9):
        candidate = float(f"{value:.{digits}g}")
        with contextlib.suppress(OverflowError):  # rounded beyond the largest number of 32 bits
            if struct.unpack("<f", struct.pack("<f", candidate))[0] == value:
                return candidate
    return float(f"{value:.9g}")
