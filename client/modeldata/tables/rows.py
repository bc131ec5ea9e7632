"""What a call's data is: how many rows, under which names, and their bytes for the spool.

Runs on the model's own thread, so it copies or encodes once and leaves the rest (CSV text, header, repeated columns)
to the shipper. numpy and DataFrames are used where the model has them and never imported.
"""

from __future__ import annotations

import contextlib
import enum
import math
import numbers
import sys
import typing

import orjson

from . import cells, frames


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


def take(data: object, *, names: tuple[str, ...], input_rows: int) -> list[Table]:
    """Turn what a model script collects into tables; nothing of the caller's data is kept.

    One table, but for calls of so many rows that they are cut into pieces: the shipper holds a piece in memory.

    - A list of lists, tuples, dicts or 1-D arrays, and a 2-D array, is n rows; a DataFrame is n rows under its own
      names, dicts and structured arrays are rows under their keys.
    - A dict of lists of one length is n rows too, unless this request's inputs had another number of them. Any other
      dict is one row; so is each dict of a list.
    - A flat list, a 1-D array or a Series is a column if this request's inputs had as many rows (``model.predict`` of a
      batch), else one row if it is as long as ``names``, else a column if there is one name, else one row.
    - A single number is one row of one cell.

    Raises:
        cells.Refused: bytes, text, images, tensors of more than two dimensions, or a type that is no table.

    """
    try:
        return [table for table in _tables(data, names, input_rows) if table.rows]
    except RecursionError:
        raise cells.Refused("values nested too deeply are not collected") from None


def _tables(data: object, names: tuple[str, ...], input_rows: int) -> list[Table]:
    if isinstance(data, (list, tuple)):
        return _from_list(data, names, input_rows)
    if data is None or isinstance(data, (str, bytes, bytearray, memoryview)):
        raise cells.Refused(f"{type(data).__name__} is not collected: give rows, an array or a DataFrame")
    if cells.loaded(data, "numpy", "ndarray"):
        return _from_array(data, names, input_rows)
    if frames.is_frame(data):
        array, own = frames.numbers(data), frames.names(data)
        return _from_array(array, own, 0) if array is not None else _from_rows(own, frames.rows(data))
    if frames.is_column(data):
        array = frames.numbers(data)
        if array is not None:
            return _from_array(array, names, input_rows)
        return _from_list(frames.column(data), names, input_rows)
    if isinstance(data, dict):
        return _from_dict(data, names, input_rows)
    if isinstance(data, numbers.Number) or cells.loaded(data, "numpy", "generic"):
        return _from_list([data], names, input_rows)
    if hasattr(data, "__array__") and hasattr(data, "ndim") and "numpy" in sys.modules:
        return _from_tensor(data, names, input_rows)
    raise cells.Refused(f"{type(data).__name__} is not collected: give rows, an array or a DataFrame")


def is_column(length: int, names: tuple[str, ...], input_rows: int) -> bool:
    """Return whether flat data of this length is a column rather than a row, see ``take``."""
    if input_rows > 1 and length == input_rows:
        return True
    return len(names) == 1 and length != 1


def _from_list(data: typing.Sequence[object], names: tuple[str, ...], input_rows: int) -> list[Table]:
    if not data:
        return []
    first = data[0]
    if isinstance(first, (list, tuple)):
        return _from_rows(names, data)
    if getattr(first, "ndim", 0) > 0:
        return _from_arrays(data, names)
    if isinstance(first, dict):
        keys = list(dict.fromkeys(key for row in data if isinstance(row, dict) for key in row))
        rows = [[row.get(key) for key in keys] if isinstance(row, dict) else [row] for row in data]
        return _from_rows(tuple(map(cells.name_text, keys)), rows)
    return _from_rows(names, [(value,) for value in data] if is_column(len(data), names, input_rows) else (data,))


def _from_dict(data: dict[object, typing.Any], names: tuple[str, ...], input_rows: int) -> list[Table]:
    columns = [_listed(values) for values in data.values()]
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) == 1 and None not in columns and (not input_rows or input_rows in lengths):
        return _from_rows(tuple(map(cells.name_text, data)), list(zip(*columns)))
    return _from_list([data], names, input_rows) if data else []


def _from_arrays(data: typing.Sequence[typing.Any], names: tuple[str, ...]) -> list[Table]:
    first = data[0]
    if first.ndim > 1:
        raise cells.Refused("a list of arrays of more than one dimension is not collected")
    if type(first) is getattr(sys.modules.get("numpy"), "ndarray", None) and all(
        type(row) is type(first) and row.dtype == first.dtype and row.shape == first.shape for row in data
    ):
        return _from_array(sys.modules["numpy"].stack(data), names, 0)
    return _from_rows(names, [_cells(row) for row in data])


def _cells(row: typing.Any) -> typing.Sequence[object]:
    listed = _listed(row)
    return [row] if listed is None else listed


def _listed(values: typing.Any) -> typing.Sequence[object] | None:
    """Return the values of what has one dimension; None for anything else."""
    if isinstance(values, (list, tuple)):
        return values
    if frames.is_column(values):
        return frames.column(values)
    return list(cells.listed(values)) if getattr(values, "ndim", 0) == 1 and hasattr(values, "tolist") else None


def _from_rows(names: tuple[str, ...], rows: typing.Sequence[typing.Any]) -> list[Table]:
    width = len(rows[0]) if rows else 0
    step = max(1, min(PIECE_ROWS, PIECE_CELLS // max(1, width)))
    pieces = (rows[start : start + step] for start in range(0, len(rows), step))
    return [Table(names, len(piece), Encoding.JSON, _json(piece)) for piece in pieces]


def _json(rows: typing.Sequence[object]) -> bytes:
    with contextlib.suppress(TypeError):  # a text that is no UTF-8, an integer of more than 64 bits
        text = orjson.dumps(rows, cells.cell, JSON_OPTIONS)
        # orjson's word for NaN and infinities too.
        return text if b"null" not in text else orjson.dumps(list(map(_finite, rows)), cells.cell, JSON_OPTIONS)
    try:
        return orjson.dumps([[cells.cell(value) for value in _cells(row)] for row in rows])
    except TypeError:  # of what is left, orjson refuses but one thing
        raise RecursionError from None


def _finite(row: object) -> typing.Sequence[object]:
    """Return a row's cells with text for those that are not finite."""
    values: typing.Sequence[typing.Any] = _cells(row)
    if _NUMBERS.issuperset(map(type, values)) and math.isfinite(sum(values)):
        return values
    return [
        value if type(value) in _WORDED or (type(value) is float and math.isfinite(value)) else cells.cell(value)
        for value in values
    ]


_NUMBERS = frozenset({int, bool, float})
_WORDED = frozenset({int, bool, str, type(None)})


def _from_array(array: typing.Any, names: tuple[str, ...], input_rows: int) -> list[Table]:
    if array.ndim > 2:
        raise cells.Refused(f"an array of {array.ndim} dimensions is not collected: flatten it to rows first")
    if array.dtype.names:
        own, array = array.dtype.names, array.reshape(-1)
        columns = (cells.listed(array[name]) for name in own)
        return _from_rows(tuple(map(cells.name_text, own)), list(zip(*columns)))
    if array.ndim == 0:
        array = array.reshape(1, 1)
    elif array.ndim == 1:
        array = array.reshape(-1, 1) if is_column(len(array), names, input_rows) else array.reshape(1, -1)
    # The bytes of a masked array hold what is masked.
    if hasattr(array, "mask") or array.dtype.kind not in "iufb" or array.dtype.itemsize > 8 or not array.size:
        return _from_rows(names, cells.listed(array))
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        array = array.astype("f4")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    dtype, width = little.dtype.str, array.shape[1]
    step = max(1, min(PIECE_ARRAY_ROWS, PIECE_BYTES // (width * little.dtype.itemsize)))
    pieces = (little[start : start + step] for start in range(0, len(little), step))
    return [Table(names, len(piece), Encoding.ARRAY, piece.tobytes(), dtype, width) for piece in pieces]


def _from_tensor(tensor: typing.Any, names: tuple[str, ...], input_rows: int) -> list[Table]:
    if tensor.ndim > 2:  # before it is fetched: it may be large, and on another device
        raise cells.Refused(f"a tensor of {tensor.ndim} dimensions is not collected: flatten it to rows first")
    for step in ("detach", "cpu"):  # torch gives no array of a tensor that has gradients or lies on a GPU
        tensor = getattr(tensor, step)() if hasattr(tensor, step) else tensor
    return _from_array(sys.modules["numpy"].asarray(tensor), names, input_rows)
