"""One cell: a value as JSON can hold it, or else as the text that stands in the file.

The table of all types is in ``docs/reading.md``. Values for which JSON has words never come here: orjson writes them.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import sys
import typing


class Refused(ValueError):  # noqa: N818 (a verdict, not a fault)
    """Data that is not collected (images, audio, text as a whole); the message says why."""


_NUMPY_NUMBERS = frozenset(
    ("float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool", "bool_")
)
"""Names of types, as numpy may not be there; its ``float64`` is a ``float``, and ``bool`` is Python's name too."""


def loaded(data: object, module: str, name: str) -> bool:
    """Return whether data is of a class of a module that may not be there."""
    # While another thread imports the module, it is there without its classes.
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(data, kind)


def cell(value: object) -> object:
    """Return a value as orjson can write it, and as the CSV text is made of it.

    Raises:
        Refused: bytes, which may be an image or audio.

    """
    if value is None:
        return None
    name = type(value).__name__
    if name in _NUMPY_NUMBERS and hasattr(value, "tolist"):  # the usual ones first: a list may be full of them
        number = value.tolist() if name != "float32" else float(str(value))
        return number if math.isfinite(number) else float_text(number)
    if isinstance(value, enum.Enum):  # before text and numbers: some members are both
        return cell(value.value)
    if isinstance(value, str):
        return name_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else float_text(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if type(value).__name__ != "NaTType" else None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if loaded(value, "decimal", "Decimal"):
        return _decimal_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise Refused("bytes in a cell are not collected")
    if isinstance(value, dict):
        return {_key(key): cell(inner) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "asDict"):  # Spark's struct
        return cell(value.asDict())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [cell(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]  # as orjson
        return {name: cell(getattr(value, name)) for name in fields}
    if type(value).__name__ == "NAType":
        return None
    inner = listed(value) if hasattr(value, "tolist") else value
    return name_text(value) if isinstance(inner, type(value)) else cell(inner)


def _decimal_text(value: typing.Any) -> str:
    return str(value) if value.is_finite() else float_text(math.nan if value.is_nan() else float(value))


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]  # as orjson writes them
    return name_text(cell(key))


def listed(values: typing.Any) -> typing.Any:
    """Return the scalar, or the nested lists, of a numpy array, scalar or tensor.

    Short floats have the digits of their own width, times are ISO 8601 text, and what is masked or no time is None.
    """
    dtype = getattr(values, "dtype", None)
    kind, size = getattr(dtype, "kind", ""), getattr(dtype, "itemsize", 0)
    if kind == "f" and size < 8:
        # Half precision has no digits of its own: it is written as the float of 32 bits that it is.
        return _each(values.astype("f4").astype(str).tolist(), float)
    if kind == "f" and size > 8:  # Python has no such number
        return _each(values.astype(str).tolist(), _long_text)
    if kind == "M":
        coarse = str(dtype).endswith(("[h]", "[m]"))  # their text would have no minutes, or no seconds
        return _each((values.astype("M8[s]") if coarse else values).astype(str).tolist(), _moment_text)
    if kind == "m":
        return values.astype("m8[us]").tolist()
    return values.tolist()


def _each(values: typing.Any, make: typing.Callable[[str], object]) -> typing.Any:
    if isinstance(values, list):
        return [_each(inner, make) for inner in values]
    return None if values is None else make(values)


def _moment_text(text: str) -> str | None:
    """Return numpy's text of a time as ``datetime.isoformat`` writes it, with nanoseconds if there are any."""
    if text == "NaT":
        return None
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction.ljust(6 if len(fraction) <= 6 else 9, '0')}" if fraction else whole


def _long_text(text: str) -> str:
    return text if text not in ("nan", "inf", "-inf") else float_text(float(text))


def name_text(value: object) -> str:
    """Return a text that UTF-8 can hold."""
    return str(value).encode("utf-8", "replace").decode()


def float_text(value: float) -> str:
    """Return the text of a float that JSON can't hold.

    An infinity is a number that is too large: all four readers of ``docs/reading.md`` take it for one by themselves.
    DuckDB and polars make text of a column with ``Inf`` in it, DuckDB and Spark of one with ``inf``.
    """
    return "NaN" if math.isnan(value) else ("1e999" if value > 0 else "-1e999")
