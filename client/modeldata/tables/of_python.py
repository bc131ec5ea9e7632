"""Python's own types: lists and tuples of rows or of values, sets, and single values."""

from __future__ import annotations

import base64
import collections.abc
import datetime
import enum
import math
import numbers
import typing

from . import adapter, cells


class Values(adapter.Adapter):
    """Single values: numbers, texts, times, and what may be none at all."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if isinstance(data, numbers.Number):
            return SEQUENCES.content([data], call)
        return super().content(data, call)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if value is None:
            return None
        if isinstance(value, enum.Enum):  # before text and numbers: some members are both
            return adapter.cell(value.value)
        if isinstance(value, str):
            return cells.name_text(value)
        if isinstance(value, bool):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else cells.float_text(value)
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**64 else str(int(value))
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return _bytes_text(bytes(value))
        if cells.loaded(value, "decimal", "Decimal"):
            return _decimal_text(value)
        return super().cell(value)


def _bytes_text(value: bytes) -> str:
    """Return text as itself, and anything else in base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _decimal_text(value: typing.Any) -> str:
    return str(value) if value.is_finite() else cells.float_text(math.nan if value.is_nan() else float(value))


class Sequences(adapter.Adapter):
    """Lists, tuples, and other sequences and sets."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102
        if not isinstance(data, (list, tuple)):
            if not _is_listed(data):
                return super().content(data, call)
            data = list(data)
        if data and all(isinstance(value, (bytes, bytearray, memoryview)) for value in data):
            raise cells.Refused("a list of bytes is not collected: give rows, an array or a DataFrame")
        if not data:
            return adapter.Content(call.names)
        found = adapter.of(data[0]).rows(data, call)
        if found is not None:
            return found
        if call.is_column(len(data)):
            return adapter.Content(call.names, [(value,) for value in data])
        return adapter.Content(call.names, (data,), is_open=call.is_open(len(data)))

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        return adapter.Content(call.names, values) if _is_listed(values[0]) else None

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        if isinstance(value, (list, tuple)):
            return value
        return list(value) if _is_listed(value) else None

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        return [adapter.cell(inner) for inner in value]

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: adapter.Call) -> typing.Any:  # noqa: D102
        if not isinstance(data, (list, tuple)):
            return data
        values = list(headers.values())
        if data and (isinstance(data[0], (list, tuple)) or getattr(data[0], "ndim", 0) == 1):
            return [[*row, *values] for row in data]
        if data and isinstance(data[0], dict):
            return [{**row, **headers} for row in data]
        return [[value, *values] for value in data] if call.is_column(len(data)) else [*data, *values]


_SINGLE = (
    *(str, bytes, bytearray, memoryview, float, int, complex, type(None), numbers.Number, enum.Enum),
    *(datetime.date, datetime.time, datetime.timedelta),
)
_LISTED = (collections.abc.Sequence, collections.abc.ValuesView, collections.deque)
"""What has an order; of a set, the cells would stand under other names in each process."""
VALUES, SEQUENCES = Values(), Sequences()


def _is_listed(value: object) -> bool:
    return isinstance(value, _LISTED) or type(value).__module__ == "array"  # no Sequence before Python 3.10


def is_value(kind: type) -> bool:
    """Return whether a type is one of single values."""
    return issubclass(kind, _SINGLE)


def is_sequence(kind: type) -> bool:
    """Return whether a type is a list, a tuple, or any other sequence or set."""
    return issubclass(kind, (*_LISTED, collections.abc.Set)) or kind.__module__ == "array"
