"""Dicts and other mappings: rows under their keys, or columns under their names."""

from __future__ import annotations

import collections.abc
import typing

from . import adapter, cells, of_numpy


class Mappings(adapter.Adapter):
    """Dicts and other mappings."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        data = _plain(data)
        split = _split(data, call)
        if split is not None:
            return split
        columns = _columns(data, call)
        if columns:
            return call.named(adapter.Content(tuple(map(cells.name_text, data)), list(zip(*columns))))
        return call.by_label([data]) if data else adapter.Content(call.names)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        return call.by_label(values)

    def labelled(self, value: typing.Any) -> typing.Mapping[object, object] | None:  # noqa: D102
        return _plain(value)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        return {_key(key): adapter.cell(inner) for key, inner in _plain(value).items()}


def _columns(data: dict[object, typing.Any], call: adapter.Call) -> list[typing.Sequence[object]]:
    """Return the cells of a mapping's columns; nothing where it is a row."""
    columns: list[typing.Sequence[object]] = []
    for values in data.values():
        column = _column(values, call)
        if column is None or (columns and len(column) != len(columns[0])):
            return []
        columns.append(column)
    return columns if columns and call.input_rows in (0, len(columns[0])) else []


def _split(data: dict[object, typing.Any], call: adapter.Call) -> adapter.Content | None:
    """Return the rows of a table that pandas has split for JSON: ``{"columns": [...], "data": [[...], ...]}``."""
    if "columns" not in data or "data" not in data:
        return None
    if not data.keys() <= {"columns", "data", "index", "index_names", "column_names"}:
        return None
    names, rows = data["columns"], data["data"]
    if not isinstance(names, (list, tuple)) or not isinstance(rows, (list, tuple)) or not rows:
        return None
    if not all(isinstance(row, (list, tuple)) and len(row) == len(names) for row in rows):
        return None
    return call.framed(tuple(map(cells.name_text, names)), rows)


def _plain(data: typing.Any) -> dict[object, typing.Any]:
    """Return a mapping as a dict; of a form that has a key more than once, all its values."""
    if type(data) is dict:
        return data
    if hasattr(data, "lists"):  # werkzeug's
        pairs = data.lists()
    elif hasattr(data, "multi_items"):  # starlette's
        found: dict[object, list[object]] = {}
        for key, value in data.multi_items():
            found.setdefault(key, []).append(value)
        pairs = found.items()
    else:
        return dict(data.items())
    return {key: values[0] if len(values) == 1 else values for key, values in pairs}


def _column(values: typing.Any, call: adapter.Call) -> typing.Sequence[object] | None:
    """Return the cells of a column; an array of more dimensions is one if this request had as many rows."""
    listed = adapter.of(values).listed(values)
    if listed is None and getattr(values, "ndim", 0) > 1 and hasattr(values, "tolist"):
        return list(of_numpy.listed(values)) if 1 < call.input_rows == len(values) else None
    return listed


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]  # as orjson writes them
    return cells.name_text(adapter.cell(key))


MAPPINGS = Mappings()


def is_mapping(kind: type) -> bool:
    """Return whether a type is a mapping."""
    return issubclass(kind, collections.abc.Mapping) or hasattr(kind, "multi_items")
