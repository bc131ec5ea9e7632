"""The rows of a call as they go into the spool: cut where they are many or large, and encoded piece by piece."""

from __future__ import annotations

import contextlib
import enum
import math
import typing

import orjson

from . import adapter, cells


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


class TooLarge(typing.NamedTuple):
    """A row that is left out, in the place of its table: no append would take it."""

    bytes: int
    """Of its JSON text."""
    rows: int = 1


PIECE_ROWS = 2000
PIECE_CELLS = 50_000
PIECE_BYTES = 1024 * 1024
PIECE_ARRAY_ROWS = 10_000
"""Where a call's rows are cut: by bytes and rows, and by cells where they come as lists.

The shipper makes text of a piece at a time: a row takes some 110 bytes of it beside its cells."""

ROW_BYTES = 4 * 1024 * 1024
"""A row is one piece, and may be larger: up to what one append takes."""

PLAIN_ROWS, PLAIN_CELLS = 1000, 50
"""Up to so many rows, and cells in the first of them, lists are encoded at once, and cut only if that shows that they
are large."""

_CHUNK_ROWS, _CHUNK_BYTES = 100, 128 * 1024
"""Of the rows that are encoded in one call."""
_FEW_CELLS = 1000
"""So few are encoded at once, and again in parts if that shows that they are large."""
_LEAST_CELL_BYTES = 2

JSON_OPTIONS = orjson.OPT_NON_STR_KEYS
"""Without ``OPT_SERIALIZE_NUMPY``: for some values of ``numpy.datetime64``, NaT among them, orjson ends the process
(3.9.15 to 3.11.5, by SIGILL) or writes 1970-01-01 (3.13.0)."""


class Pieces:
    """The rows of one call as tables: one, but where it is cut. Each is made when it is asked for, and not kept."""

    def __init__(self, content: adapter.Content) -> None:
        self._content = content
        self.is_open = content.is_open
        """Whether they are a flat list, in one row, that may yet turn out to be a column."""
        self.rows = len(content.rows if content.array is None else content.array)

    @property
    def least_bytes(self) -> int:
        """What they take in the spool at least: how much it is exactly is known when they are encoded."""
        array, rows = self._content.array, self._content.rows
        if array is not None:
            return int(array.size) * int(array.dtype.itemsize)
        return len(rows) * len(rows[0]) * _LEAST_CELL_BYTES if rows else 0

    def __iter__(self) -> typing.Iterator[Table | TooLarge]:
        """Yield them.

        Raises:
            cells.Refused: values are no cells, or nested too deeply.

        """
        of = self._content
        try:
            yield from _of_rows(of.names, of.rows) if of.array is None else _of_array(of)
        except RecursionError:
            raise cells.Refused("values nested too deeply are not collected") from None


def flat(payload: bytes) -> list[object]:
    """Return the cells of one row, as it lies in the spool."""
    (row,) = orjson.loads(payload)
    return row if isinstance(row, list) else [row]


def column(values: typing.Sequence[object]) -> bytes:
    """Return cells as rows of one cell each."""
    return orjson.dumps([[each] for each in values])


def _of_rows(names: tuple[str, ...], rows: typing.Sequence[typing.Any]) -> typing.Iterator[Table | TooLarge]:
    width = max(1, len(rows[0])) if rows else 1
    most = max(1, min(_CHUNK_ROWS, PIECE_CELLS // width))
    step = most if len(rows) * width <= _FEW_CELLS else 1
    piece_rows = max(1, min(PIECE_ROWS, PIECE_CELLS // width))
    texts: list[bytes] = []
    start = count = size = 0
    while start < len(rows):
        chunk = rows[start : start + min(step, piece_rows - count)]
        taken, text = len(chunk), _json(chunk)
        if taken > 1 and len(text) > PIECE_BYTES:
            step = max(1, taken * _CHUNK_BYTES // len(text))
            continue
        if texts and size + len(text) > PIECE_BYTES:
            yield _table(names, count, texts)
            texts, count, size = [], 0, 0
        if len(text) > ROW_BYTES:
            yield TooLarge(len(text))
        else:
            texts.append(text)
            count, size = count + taken, size + len(text)
        if count == piece_rows:
            yield _table(names, count, texts)
            texts, count, size = [], 0, 0
        start += taken
        step = max(1, min(most, 8 * taken, taken * _CHUNK_BYTES // len(text)))
    if texts:
        yield _table(names, count, texts)


def _table(names: tuple[str, ...], count: int, texts: list[bytes]) -> Table:
    payload = texts[0] if len(texts) == 1 else b"[%b]" % b",".join([text[1:-1] for text in texts])
    return Table(names, count, Encoding.JSON, payload)


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


def _of_array(of: adapter.Content) -> typing.Iterator[Table]:
    array, places = of.array, of.places
    half = array.dtype.kind == "f" and array.dtype.itemsize == 2
    little = (array[:0].astype("f4") if half else array).dtype.newbyteorder("<")
    dtype, width = little.str, array.shape[1] if places is None else len(places)
    step = max(1, min(PIECE_ARRAY_ROWS, PIECE_BYTES // (width * little.itemsize)))
    for start in range(0, len(array), step):
        piece = array[start : start + step]
        piece = (piece if places is None else piece[:, places]).astype(little, copy=False)
        yield Table(of.names, len(piece), Encoding.ARRAY, piece.tobytes(), dtype, width)
