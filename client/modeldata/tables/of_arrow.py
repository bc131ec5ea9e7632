"""pyarrow: tables, record batches, and their columns. A gap is None."""

from __future__ import annotations

import typing

from . import adapter, cells, of_numpy, of_python, of_tensors


class Arrow(of_tensors.Tensors):
    """What pyarrow has."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if hasattr(data, "schema") and hasattr(data, "columns"):
            rows = adapter.sliced(data.num_rows, data.num_columns, lambda *part: _rows(data, *part))
            return call.named(adapter.Content(tuple(map(cells.name_text, data.schema.names)), rows))
        if hasattr(data, "to_pylist"):
            return of_python.SEQUENCES.content(_column(data), call)
        return super().content(data, call)

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return _column(value) if hasattr(value, "to_pylist") and not hasattr(value, "columns") else None

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if hasattr(value, "to_pylist"):
            return adapter.cell(value.to_pylist())
        return adapter.cell(value.as_py()) if hasattr(value, "as_py") else super().cell(value)


def _rows(table: typing.Any, start: int, end: int) -> list[tuple[object, ...]]:
    part = table if end - start == table.num_rows else table.slice(start, end - start)
    return list(zip(*(_column(each) for each in part.columns)))


def _column(values: typing.Any) -> list[object]:
    """Return a column's cells, floats with the digits of their own width."""
    found: list[object] = values.to_pylist()
    if str(values.type) in ("float", "halffloat"):
        short = of_numpy.listed(
            values.to_numpy(zero_copy_only=False) if hasattr(values, "offset") else values.to_numpy()
        )
        return [None if value is None else text for value, text in zip(found, short)]
    return found


ARROW = Arrow()
