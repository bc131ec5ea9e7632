"""The rows of a call as they go into the spool: cut where they are many, and encoded."""

from __future__ import annotations

import contextlib
import enum
import math
import typing

import orjson

from . import adapter


class Encoding(enum.IntEnum):
    """How a table's cells lie in the spool."""

    JSON = 0
    """A JSON list of rows, each a list of cells."""
    ARRAY = 1
    """The bytes of a two-dimensional array of numbers, row by row, little-endian."""


class Table(typing.NamedTuple):
    """The rows of one call, ready for the spool."""

    names: tuple[str, ...]
    """Names of the leading columns; columns beyond them get names from the shipper."""
    rows: int
    encoding: Encoding
    payload: bytes
    dtype: str = ""
    """For ``ARRAY``: the numpy type string, such as ``<f8``."""
    width: int = 0
    """For ``ARRAY``: cells in a row."""
    is_open: bool = False
    """Whether it is a flat list that may yet turn out to be a column."""


PIECE_ROWS = 2000
PIECE_CELLS = 50_000
PIECE_BYTES = 1024 * 1024
PIECE_ARRAY_ROWS = 10_000
"""Where a call's rows are cut: by rows and cells where they come as lists, by bytes and rows where they are an array.

The shipper makes text of a piece at a time: a row takes some 110 bytes of it beside its cells."""

PLAIN_ROWS, PLAIN_CELLS = 1000, 50
"""Up to so many rows, and cells in the first of them, lists are never cut."""

JSON_OPTIONS = orjson.OPT_NON_STR_KEYS
"""Without ``OPT_SERIALIZE_NUMPY``: for some values of ``numpy.datetime64``, NaT among them, orjson ends the process
(3.9.15 to 3.11.5, by SIGILL) or writes 1970-01-01 (3.13.0)."""


def tables(content: adapter.Content) -> list[Table]:
    """Return what a call's data has as tables: one, but where it is cut into pieces."""
    made = _of_rows(content.names, content.rows) if content.array is None else _of_array(content.names, content.array)
    return [each._replace(is_open=True) for each in made] if content.is_open else made


def flat(payload: bytes) -> list[object]:
    """Return the cells of one row, as it lies in the spool."""
    (row,) = orjson.loads(payload)
    return row if isinstance(row, list) else [row]


def column(values: typing.Sequence[object]) -> bytes:
    """Return cells as rows of one cell each."""
    return orjson.dumps([[each] for each in values])


def _of_rows(names: tuple[str, ...], rows: typing.Sequence[typing.Any]) -> list[Table]:
    width = len(rows[0]) if rows else 0
    step = max(1, min(PIECE_ROWS, PIECE_CELLS // max(1, width)))
    pieces = (rows[start : start + step] for start in range(0, len(rows), step))
    return [Table(names, len(piece), Encoding.JSON, _json(piece)) for piece in pieces]


def _json(rows: typing.Sequence[object]) -> bytes:
    with contextlib.suppress(TypeError):  # a text that is no UTF-8, an integer of more than 64 bits
        text = orjson.dumps(rows, adapter.cell, JSON_OPTIONS)
        # orjson's word for NaN and infinities too.
        return text if b"null" not in text else orjson.dumps(list(map(_finite, rows)), adapter.cell, JSON_OPTIONS)
    try:
        return orjson.dumps([[adapter.cell(value) for value in adapter.row(row)] for row in rows])
    except TypeError:  # of what is left, orjson refuses but one thing
        raise RecursionError from None


def _finite(row: object) -> typing.Sequence[object]:
    """Return a row's cells with text for those that are not finite."""
    values: typing.Sequence[typing.Any] = adapter.row(row)
    if _NUMBERS.issuperset(map(type, values)) and math.isfinite(sum(values)):
        return values
    return [
        value if type(value) in _WORDED or (type(value) is float and math.isfinite(value)) else adapter.cell(value)
        for value in values
    ]


_NUMBERS = frozenset({int, bool, float})
_WORDED = frozenset({int, bool, str, type(None)})


def _of_array(names: tuple[str, ...], array: typing.Any) -> list[Table]:
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        array = array.astype("f4")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    dtype, width = little.dtype.str, array.shape[1]
    step = max(1, min(PIECE_ARRAY_ROWS, PIECE_BYTES // (width * little.dtype.itemsize)))
    pieces = (little[start : start + step] for start in range(0, len(little), step))
    return [Table(names, len(piece), Encoding.ARRAY, piece.tobytes(), dtype, width) for piece in pieces]
