"""Records to CSV text: RFC 4180, UTF-8, CRLF. Runs in the shipper, never on the model's thread.

Floats are the shortest text that reads back as the same number, in their own width. ``None`` is an empty cell, an empty
string is ``""``, NaN and infinities are ``NaN``, ``Inf`` and ``-Inf``, booleans ``true`` and ``false``, nested values
JSON: what pandas, DuckDB, polars and Spark read alike.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import math
import struct
import sys
import typing

import orjson

from . import record, rows, turns

LEADING = ("$Timestamp", "$CorrelationId", "$RequestId")
"""The columns before the features, as Azure ML's first collectors wrote them."""

SLICE_CELLS = 4096
"""Cells encoded in one call that holds the GIL: some 0.2 ms, so that a request does not wait long."""

_EPOCH = datetime.datetime(1970, 1, 1)
_MUST_QUOTE = frozenset(',"\r\n')
_STRUCT_CODES = {
    "f8": "d", "f4": "f", "b1": "?",
    "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip


class Csv(typing.NamedTuple):
    """A record as it stands in the file."""

    header: bytes
    rows: list[str]
    """Each whole, with its line end."""


def to_csv(of: record.Record) -> Csv:
    """Return a record's header and rows."""
    table, request = of.table, of.request
    cells, widths = _array_rows(table) if table.encoding is rows.Encoding.ARRAY else _json_rows(table)
    width = max(max(widths, default=1), len(table.names))
    if min(widths, default=width) < width:
        cells = [row + "," * (width - cell_count) for row, cell_count in zip(cells, widths)]
    lead = f"{timestamp(of.microseconds)},{quote(of.correlation or request)},"
    if of.first_row == record.SINGLE:
        prefix = f"{lead}{quote(request)},"
        lines = [f"{prefix}{row}\r\n" for row in cells]
    elif quote(request) == request:
        prefix = f"{lead}{request}-"
        lines = [f"{prefix}{number},{row}\r\n" for number, row in enumerate(cells, of.first_row)]
    else:
        numbered = enumerate(cells, of.first_row)
        lines = [f"{lead}{quote(f'{request}-{number}')},{row}\r\n" for number, row in numbered]
    return Csv(header(table.names, width), lines)


@functools.lru_cache(maxsize=1000)
def header(names: tuple[str, ...], width: int) -> bytes:
    """Return the first line: the leading columns, the given names, and ``feature_<n>`` for columns without a name."""
    columns = [*LEADING, *names, *(f"feature_{number}" for number in range(len(names), width))]
    return ",".join(quote(name) for name in columns).encode() + b"\r\n"


def quote(text: str) -> str:
    """Return a cell's text, quoted if it must be (a lone CR too: readers take it for a line's end)."""
    if text and _MUST_QUOTE.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def timestamp(microseconds: int) -> str:
    """Return RFC 3339 UTC with microseconds."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{second(seconds)}{str(fraction + 1_000_000)[1:]}Z"


@functools.lru_cache(maxsize=100)
def second(seconds: int) -> str:
    """Return a timestamp up to its point."""
    return (_EPOCH + datetime.timedelta(seconds=seconds)).isoformat() + "."


def _json_rows(table: rows.Table) -> tuple[list[str], list[int]]:
    payload = table.payload
    if (
        b'"' not in payload
        and b"{" not in payload
        and payload[:2] == b"[["
        and payload[-2:] == b"]]"
        and payload.count(b"[") == table.rows + 1
        and payload.count(b"],[") == table.rows - 1
    ):
        # Lists of numbers and booleans, nothing nested: their JSON text is their CSV text.
        text = payload[2:-2].decode()
        if "n" in text:
            text = text.replace("null", "")
        cells = text.split("],[") if table.rows > 1 else [text]
        return cells, [row.count(",") + 1 for row in cells]
    # A row that is no list (a scalar between lists, say) is one cell. No cells read as one that is empty.
    cells, widths = [], []
    for row in orjson.loads(payload):
        listed = row if isinstance(row, list) else [row]
        cells.append(",".join(map(_cell_text, listed)))
        widths.append(max(1, len(listed)))
        turns.give_way()
    return cells, widths


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return quote(orjson.dumps(value).decode())
    return repr(value)


def _array_rows(table: rows.Table) -> tuple[list[str], list[int]]:
    row_bytes = len(table.payload) // table.rows
    step = max(1, SLICE_CELLS // table.width)
    cells: list[str] = []
    for start in range(0, table.rows, step):
        piece = table.payload[start * row_bytes : (start + step) * row_bytes]
        cells += _slice_rows(piece, table.dtype, table.width)
        turns.give_way()
    return cells, [table.width] * table.rows


def _slice_rows(piece: bytes, dtype: str, width: int) -> list[str]:
    # The rows may be those of another process of this pod, so numpy need not be here, or is being imported just now.
    frombuffer = getattr(sys.modules.get("numpy"), "frombuffer", None)
    if frombuffer is not None:
        with contextlib.suppress(Exception):
            text = orjson.dumps(frombuffer(piece, dtype).reshape(-1, width), option=orjson.OPT_SERIALIZE_NUMPY)
            if b"n" not in text:  # of null, orjson's word for NaN and infinities
                return text[2:-2].decode().split("],[")
    code = dtype[-2:]
    values = struct.unpack(f"<{len(piece) // int(code[1])}{_STRUCT_CODES[code]}", piece)
    texts = [_number_text(value, code) for value in values]
    return [",".join(texts[start : start + width]) for start in range(0, len(texts), width)]


def _number_text(value: float | bool, code: str) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return rows.float_text(value)
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
