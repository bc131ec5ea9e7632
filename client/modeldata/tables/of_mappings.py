"""Dicts: rows under their keys, or columns under their names."""

from __future__ import annotations

import typing

from . import adapter, cells, of_python


class Mappings(adapter.Adapter):
    """Dicts."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        columns = [adapter.of(values).listed(values) for values in data.values()]
        lengths = {len(column) for column in columns if column is not None}
        if len(lengths) == 1 and None not in columns and (not call.input_rows or call.input_rows in lengths):
            whole = typing.cast("list[typing.Sequence[object]]", columns)
            return adapter.Content(tuple(map(cells.name_text, data)), list(zip(*whole)))
        return of_python.SEQUENCES.content([data] if data else [], call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        keys = list(dict.fromkeys(key for row in values if isinstance(row, dict) for key in row))
        rows = [[row.get(key) for key in keys] if isinstance(row, dict) else [row] for row in values]
        return adapter.Content(tuple(map(cells.name_text, keys)), rows)

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        return {_key(key): adapter.cell(inner) for key, inner in value.items()}


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]  # as orjson writes them
    return cells.name_text(adapter.cell(key))


MAPPINGS = Mappings()


def is_mapping(kind: type) -> bool:
    """Return whether a type is a dict."""
    return issubclass(kind, dict)
