"""Records to CSV text: RFC 4180, UTF-8, CRLF. Runs in the shipper, never on the model's thread.

Floats are the shortest text that reads back as the same number, in their own width. ``None`` is an empty cell, an
empty string is ``""``, nested values are JSON. The rest: ``cells``; what readers make of it: ``docs/reading.md``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import math
import re
import struct
import sys
import typing

import orjson

from . import cells, record, redaction, rows, turns

LEADING = ("$Timestamp", "$CorrelationId", "$RequestId")
"""The columns before the features, as Azure ML's first collectors wrote them."""

AZUREML = (
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
)
"""The columns behind the features, as its later ones did, and as ``add_correlations`` appends them."""

BOUNDARY = 1440
"""Minutes that a file covers."""

SLICE_CELLS = 4096
"""Cells encoded in one call that holds the GIL: some 0.2 ms, so that a request does not wait long."""

_EPOCH = datetime.datetime(1970, 1, 1)
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_MUST_QUOTE = frozenset(',"\r\n')
_STRUCT_CODES = {
    "f8": "d", "f4": "f", "b1": "?",
    "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip


class Layout(typing.NamedTuple):
    """What a file's columns are, beside the features."""

    redactions: tuple[redaction.Redaction, ...] = ()
    key: bytes = b""
    """For redactions by hash; empty where there is none."""
    azureml: tuple[str, str, str, str] | None = None
    """Workspace, service, model and version, for the columns ``AZUREML``; None for the columns ``LEADING``."""


class Csv(typing.NamedTuple):
    """A record as it stands in the file."""

    header: bytes
    rows: list[str]
    """Each whole, with its line end."""


def to_csv(of: record.Record, layout: Layout = Layout()) -> Csv:  # noqa: B008 (immutable)
    """Return a record's header and rows.

    Raises:
        redaction.KeyMissing: values must be hashed, and the layout has no key.

    """
    columns, cells = _features(of.table, layout)
    if layout.azureml is None:
        lines = _led(of, cells)
        if not columns:  # all of them dropped
            lines = [line.replace(",\r\n", "\r\n") for line in lines]
        return Csv(header((*LEADING, *columns)), lines)
    if columns[-len(AZUREML) :] == AZUREML:  # of the request that the rows belong to, by add_correlations
        return Csv(header(columns), [f"{row}\r\n" for row in cells])
    lines = _followed(of, cells, layout.azureml)
    return Csv(header((*columns, *AZUREML)), lines if columns else [line[1:] for line in lines])


def _led(of: record.Record, cells: list[str]) -> list[str]:
    request = of.request
    lead = f"{timestamp(of.microseconds)},{quote(of.correlation or request)},"
    if of.first_row == record.SINGLE:
        prefix = f"{lead}{quote(request)},"
        return [f"{prefix}{row}\r\n" for row in cells]
    if quote(request) == request:
        prefix = f"{lead}{request}-"
        return [f"{prefix}{number},{row}\r\n" for number, row in enumerate(cells, of.first_row)]
    return [f"{lead}{quote(f'{request}-{number}')},{row}\r\n" for number, row in enumerate(cells, of.first_row)]


def _followed(of: record.Record, cells: list[str], azureml: tuple[str, ...]) -> list[str]:
    fixed = [of.correlation or of.request, timestamp(of.microseconds)[:-1], str(BOUNDARY), *azureml]
    tail = ",".join(map(quote, fixed))
    if of.first_row == record.SINGLE:
        return [f"{row},{tail},{quote(of.request)}\r\n" for row in cells]
    numbered = enumerate(cells, of.first_row)
    return [f"{row},{tail},{quote(f'{of.request}-{number}')}\r\n" for number, row in numbered]


def _features(table: rows.Table, layout: Layout) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the columns, and each row's cells as they stand in the file."""
    if table.encoding is rows.Encoding.ARRAY:
        cells, widths = _array_rows(table)
    else:
        plain = _plain_rows(table)
        if plain is None:
            return _mixed(table, layout)
        cells, widths = plain
    columns = names(table.names, max(widths, default=1))
    if layout.redactions:
        return _redacted(columns, [[cell or None for cell in row.split(",")] for row in cells], layout)
    if min(widths, default=len(columns)) < len(columns):
        cells = [row + "," * (len(columns) - width) for row, width in zip(cells, widths)]
    return columns, cells


def _mixed(table: rows.Table, layout: Layout) -> tuple[tuple[str, ...], list[str]]:
    texts: redaction.Rows = []
    for row in orjson.loads(table.payload):
        # A row that is no list (a scalar between lists, say) is one cell. No cells read as one that is empty.
        texts.append([_cell_text(cell) for cell in row] if isinstance(row, list) else [_cell_text(row)])
        turns.give_way()
    width = max(max(map(len, texts), default=1), 1)
    columns = names(table.names, width)
    if width > len(table.names) and all(_is_correlated(row, width) for row in texts):
        columns = (*columns[: width - len(AZUREML)], *AZUREML)
    return _redacted(columns, texts, layout)


def _redacted(columns: tuple[str, ...], texts: redaction.Rows, layout: Layout) -> tuple[tuple[str, ...], list[str]]:
    if layout.redactions:
        columns, texts = redaction.apply(columns, texts, layout.redactions, layout.key)
    width = len(columns)
    return columns, [",".join(map(_quoted, row)) + "," * (width - max(1, len(row))) for row in texts]


def _is_correlated(row: list[str | None], width: int) -> bool:
    """Return whether the last cells are the values that ``add_correlations`` appends to lists and arrays."""
    if len(row) != width or width <= len(AZUREML) or row[-6] != str(BOUNDARY):
        return False
    return row[-1] is not None and _ISO_TIME.match(row[-7] or "") is not None


@functools.lru_cache(maxsize=1000)
def names(given: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return a name for each column: those given, and ``feature_<n>`` for columns without one."""
    return (*given, *(f"feature_{number}" for number in range(len(given), width)))


@functools.lru_cache(maxsize=1000)
def header(columns: tuple[str, ...]) -> bytes:
    """Return the first line."""
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


def _plain_rows(table: rows.Table) -> tuple[list[str], list[int]] | None:
    """Return the rows and how many cells they have, if they are lists of numbers and booleans: as JSON, so in CSV."""
    payload = table.payload
    if (
        b'"' in payload
        or b"{" in payload
        or payload[:2] != b"[["
        or payload[-2:] != b"]]"
        or payload.count(b"[") != table.rows + 1
        or payload.count(b"],[") != table.rows - 1
    ):
        return None
    text = payload[2:-2].decode()
    if "n" in text:
        text = text.replace("null", "")
    cells = text.split("],[") if table.rows > 1 else [text]
    return cells, [row.count(",") + 1 for row in cells]


def _cell_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return orjson.dumps(value).decode()
    return repr(value)


def _quoted(text: str | None) -> str:
    return "" if text is None else quote(text)


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
