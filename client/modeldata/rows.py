"""What a call's data is: how many rows, under which names, and their bytes for the spool.

Runs on the model's own thread, so it copies or encodes once and leaves the rest (CSV text, header, repeated columns)
to the shipper. numpy and pandas are used where the model has them and never imported.
"""

from __future__ import annotations

import datetime
import enum
import math
import sys
import typing

import orjson


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


class Refused(ValueError):  # noqa: N818 (a verdict, not a fault)
    """Data that is not collected (images, audio, text as a whole); the message says why."""


PIECE_ROWS = 2000
PIECE_CELLS = 50_000
PIECE_BYTES = 1024 * 1024
"""Where a call's rows are cut: by rows and cells where they come as lists, by bytes where they are an array."""

PLAIN_ROWS, PLAIN_CELLS = 1000, 50
"""Up to so many rows, and cells in the first of them, lists are never cut."""

JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def take(data: object, *, names: tuple[str, ...], input_rows: int) -> list[Table]:
    """Turn what a model script collects into tables; nothing of the caller's data is kept.

    One table, but for calls of so many rows that they are cut into pieces: the shipper holds a piece in memory.

    A list of lists or a 2-D array is n rows, a DataFrame is n rows under its own names. A flat list or 1-D array is a
    column if this request's inputs had as many rows (``model.predict`` of a batch), else one row if it is as long as
    ``names``, else a column if there is one name, else one row.

    Raises:
        Refused: bytes, text, images, tensors of more than two dimensions, or a type that is no table.

    """
    return [table for table in _tables(data, names, input_rows) if table.rows]


def are_plain(data: object) -> bool:
    """Return whether data is a list of lists, small enough for one record; what the cells are is not looked at."""
    if type(data) is not list or not 0 < len(data) <= PLAIN_ROWS:
        return False
    first = data[0]
    return type(first) is list and len(first) <= PLAIN_CELLS


def _tables(data: object, names: tuple[str, ...], input_rows: int) -> list[Table]:
    if isinstance(data, (list, tuple)):
        return _from_list(data, names, input_rows)
    if data is None or isinstance(data, (str, bytes, bytearray, memoryview)):
        raise Refused(f"{type(data).__name__} is not collected: give rows, an array or a DataFrame")
    if _is(data, "numpy", "ndarray"):
        return _from_array(data, names, input_rows)
    if _is(data, "pandas", "DataFrame"):
        return _from_frame(data)
    if _is(data, "pandas", "Series"):
        return _from_list(_column(data), names, input_rows)
    if isinstance(data, (dict, bool, int, float)) or _is(data, "numpy", "generic"):
        return _from_list([data], names, input_rows)
    raise Refused(f"{type(data).__name__} is not collected: give rows, an array or a DataFrame")


def _is(data: object, module: str, name: str) -> bool:
    # While another thread imports the module, it is there without its classes.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(data, kind)


def _is_column(length: int, names: tuple[str, ...], input_rows: int) -> bool:
    if input_rows > 1 and length == input_rows:
        return True
    return len(names) == 1 and length != 1


def _from_list(data: typing.Sequence[object], names: tuple[str, ...], input_rows: int) -> list[Table]:
    if not data:
        return []
    first = data[0]
    rows: typing.Sequence[object]
    if isinstance(first, (list, tuple)) or _is_row_array(first):
        rows = data
    elif isinstance(first, dict):
        keys = list(dict.fromkeys(key for row in data if isinstance(row, dict) for key in row))
        rows = [[row.get(key) for key in keys] if isinstance(row, dict) else [row] for row in data]
        names = tuple(name_text(key) for key in keys)
    elif _is_column(len(data), names, input_rows):
        rows = [(value,) for value in data]
    else:
        rows = (data,)
    return _json_tables(names, rows)


def _is_row_array(value: object) -> bool:
    dimensions = getattr(value, "ndim", 0)
    if dimensions > 1:
        raise Refused("a list of arrays of more than one dimension is not collected")
    return bool(dimensions == 1)


def _json_tables(names: tuple[str, ...], rows: typing.Sequence[object]) -> list[Table]:
    width = len(rows[0]) if rows and hasattr(rows[0], "__len__") else 1
    step = max(1, min(PIECE_ROWS, PIECE_CELLS // max(1, width)))
    if len(rows) <= step:
        return [Table(names, len(rows), Encoding.JSON, _json(rows))]
    pieces = (rows[start : start + step] for start in range(0, len(rows), step))
    return [Table(names, len(piece), Encoding.JSON, _json(piece)) for piece in pieces]


def _json(rows: typing.Sequence[object]) -> bytes:
    try:
        text = orjson.dumps(rows, default=cell, option=JSON_OPTIONS)
    except (TypeError, ValueError):
        text = b"null"
    # orjson writes null for NaN and infinities too: only where a null is, cells are looked at one by one.
    if b"null" not in text:
        return text
    return orjson.dumps([[cell(value) for value in _cells(row)] for row in rows], default=cell, option=JSON_OPTIONS)


def _cells(row: object) -> typing.Iterable[object]:
    if isinstance(row, (list, tuple)):
        return row
    if getattr(row, "ndim", 0) == 1:
        return _column(row)
    return [row]


def cell(value: object) -> object:
    """Return a cell as something JSON can hold: where JSON has no word for it, the text of the CSV cell."""
    if value is None or isinstance(value, (str, bool)):
        return name_text(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else float_text(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise Refused("bytes in a cell are not collected")
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if type(value).__name__ != "NaTType" else None
    if type(value).__name__ == "NAType":
        return None
    if isinstance(value, (list, tuple)):
        return [cell(inner) for inner in value]
    if isinstance(value, dict):
        return {name_text(key): cell(inner) for key, inner in value.items()}
    if isinstance(value, enum.Enum):
        return cell(value.value)
    if type(value).__name__ in ("float32", "float16"):
        return cell(float(str(value)))  # the shortest digits of its own width
    listed = getattr(value, "tolist", None)  # numpy's scalars and arrays
    if listed is not None:
        inner = listed()
        return cell(inner) if not isinstance(inner, type(value)) else str(value)
    return str(value)


def name_text(value: object) -> str:
    """Return a text that UTF-8 can hold."""
    return str(value).encode("utf-8", "replace").decode()


def float_text(value: float) -> str:
    """Return the CSV text of a float that JSON can't hold, as pandas, DuckDB, polars and Spark read it."""
    return "NaN" if math.isnan(value) else ("Inf" if value > 0 else "-Inf")


def _from_array(array: typing.Any, names: tuple[str, ...], input_rows: int) -> list[Table]:
    if array.ndim > 2:
        raise Refused(f"an array of {array.ndim} dimensions is not collected: flatten it to rows first")
    if array.dtype.names:
        return _from_list([list(row) for row in array.reshape(-1).tolist()], tuple(array.dtype.names), input_rows)
    if array.ndim == 0:
        array = array.reshape(1, 1)
    elif array.ndim == 1:
        array = array.reshape(-1, 1) if _is_column(len(array), names, input_rows) else array.reshape(1, -1)
    if hasattr(array, "mask"):  # its bytes hold what is masked
        return _json_tables(names, array.tolist())
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        array = array.astype("<f4")
    if array.dtype.kind in "iufb" and array.dtype.itemsize <= 8 and array.size:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        dtype, width = little.dtype.str, array.shape[1]
        step = max(1, PIECE_BYTES // (width * little.dtype.itemsize))
        pieces = (little[start : start + step] for start in range(0, len(little), step))
        return [Table(names, len(piece), Encoding.ARRAY, piece.tobytes(), dtype, width) for piece in pieces]
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    return _json_tables(names, array.tolist())


def _from_frame(frame: typing.Any) -> list[Table]:
    names = tuple(
        ".".join(map(name_text, name)) if isinstance(name, tuple) else name_text(name)
        for name in frame.columns.tolist()
    )
    kinds = set(frame.dtypes.tolist())
    if len(kinds) == 1 and getattr(next(iter(kinds)), "kind", "") in tuple("iufb"):
        values = frame.to_numpy()
        if values.dtype.kind in "iufb":  # a nullable column with gaps comes as objects
            return _from_array(values, names, 0)
    # Column by column: the frame's own conversion would make floats of integers beside floats.
    columns = [_column(frame.iloc[:, position]) for position in range(len(names))]
    return _json_tables(names, list(zip(*columns)))


def _column(values: typing.Any) -> list[typing.Any]:
    """Return the cells of a one-dimensional array or Series; floats with the digits of their own width."""
    if str(getattr(values, "dtype", "")) in ("float32", "float16"):
        return [float(str(value)) for value in (values.to_numpy() if hasattr(values, "to_numpy") else values)]
    listed: list[typing.Any] = values.tolist()
    return listed
