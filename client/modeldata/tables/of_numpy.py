"""numpy's arrays and scalars."""

from __future__ import annotations

import math
import sys
import typing

from . import adapter, cells, of_python

_NUMBERS = frozenset(
    ("float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool", "bool_")
)
"""Names of types, as numpy may not be there; its ``float64`` is a ``float``."""


class Numpy(adapter.Adapter):
    """What numpy has, and what is derived from it."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if cells.loaded(data, "numpy", "ndarray"):
            return content(data, call)
        if cells.loaded(data, "numpy", "generic") and not isinstance(data, (str, bytes)):
            return of_python.SEQUENCES.content([data], call)
        return super().content(data, call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        return rows(values, call) if getattr(values[0], "ndim", 0) > 0 else None

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return one_dimension(value)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        return cell(value)

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: adapter.Call) -> typing.Any:  # noqa: D102
        if not cells.loaded(data, "numpy", "ndarray") or data.ndim not in (1, 2) or data.dtype.names:
            return data
        numpy, values = sys.modules["numpy"], list(headers.values())
        table = data.astype(object)
        if data.ndim == 1:
            table = table.reshape(-1, 1) if call.is_column(len(data)) else table.reshape(1, -1)
        return numpy.hstack([table, numpy.array([values] * len(table), dtype=object)])


def content(array: typing.Any, call: adapter.Call) -> adapter.Content:
    """Return what an array has.

    Raises:
        cells.Refused: it has more than two dimensions.

    """
    if array.ndim > 2:
        raise cells.Refused(f"an array of {array.ndim} dimensions is not collected: flatten it to rows first")
    if array.dtype.names:
        own, array = array.dtype.names, array.reshape(-1)
        rows = adapter.sliced(
            len(array), len(own), lambda start, end: list(zip(*(listed(array[start:end][name]) for name in own)))
        )
        return call.named(adapter.Content(tuple(map(cells.name_text, own)), rows))
    if array.dtype.kind == "O" and array.ndim == 1:  # rows of different lengths, dicts, texts: as a list of them
        return of_python.SEQUENCES.content(array.tolist(), call)
    is_open = array.ndim == 1 and call.is_open(len(array))
    if array.ndim == 0:
        array = array.reshape(1, 1)
    elif array.ndim == 1:
        array = array.reshape(-1, 1) if call.is_column(len(array)) else array.reshape(1, -1)
    # The bytes of a masked array hold what is masked.
    if hasattr(array, "mask") or array.dtype.kind not in "iufb" or array.dtype.itemsize > 8 or not array.size:
        rows = adapter.sliced(len(array), array.shape[1], lambda start, end: listed(array[start:end]))
        return adapter.Content(call.names, rows, is_open=is_open)
    return adapter.Content(call.names, array=array, is_open=is_open)


def rows(values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content:
    """Return what a list of arrays has, or of what is like them.

    Raises:
        cells.Refused: they have more than one dimension.

    """
    first = values[0]
    if first.ndim > 1:
        raise cells.Refused("a list of arrays of more than one dimension is not collected")
    if type(first) is getattr(sys.modules.get("numpy"), "ndarray", None) and all(
        type(row) is type(first) and row.dtype == first.dtype and row.shape == first.shape for row in values
    ):
        return content(sys.modules["numpy"].stack(values), call)
    return adapter.Content(call.names, list(map(adapter.row, values)))


def one_dimension(value: typing.Any) -> typing.Sequence[object] | None:
    """Return the cells of an array of one dimension, or of what is like one; None for anything else."""
    return list(listed(value)) if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist") else None


def cell(value: typing.Any) -> object:
    """Return a scalar, or an array within a cell, as orjson can write it."""
    name = type(value).__name__
    if name in _NUMBERS and hasattr(value, "tolist"):  # the usual ones first: a list may be full of them
        number = value.tolist() if name != "float32" else float(str(value))
        return number if math.isfinite(number) else cells.float_text(number)
    if isinstance(value, (str, bytes, float, int)):
        return of_python.VALUES.cell(value)
    inner = listed(value) if hasattr(value, "tolist") else value
    if not isinstance(inner, type(value)):
        return adapter.cell(inner)
    if any(hasattr(value, each) for each in _HOLDS_DATA) or _says_nothing(type(value)):
        # Its text would be cut off, or an address: it would count as collected, and be lost.
        raise cells.Refused(f"a cell of type {name} is not collected: give its values")
    return cells.name_text(value)


_HOLDS_DATA = ("__array__", "__dataframe__", "__arrow_c_array__", "__arrow_c_stream__", "toarray", "__next__")


def _says_nothing(kind: typing.Any) -> bool:
    return bool(kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__)


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
    return text if text not in ("nan", "inf", "-inf") else cells.float_text(float(text))


NUMPY = Numpy()
