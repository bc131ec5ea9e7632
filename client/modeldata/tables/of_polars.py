"""polars: DataFrames and Series. A gap is None; NaN among floats stays NaN."""

from __future__ import annotations

import sys
import typing

from . import adapter, cells, of_pandas, of_python, of_tensors


class Polars(of_tensors.Tensors):
    """What polars has."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if cells.loaded(data, "polars", "DataFrame"):
            own = of_pandas.names(data)
            if call.names and own == tuple(f"column_{number}" for number in range(len(own))):
                own = ()  # which polars names a table that had no names
            return call.framed(own, adapter.sliced(len(data), data.width, lambda *part: _rows(data, *part)))
        if cells.loaded(data, "polars", "Series"):
            return of_python.SEQUENCES.content(_column(data), call)
        return super().content(data, call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        if not cells.loaded(values[0], "polars", "Series"):
            return super().rows(values, call)
        return adapter.Content(call.names, list(map(adapter.row, values)))

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if cells.loaded(value, "polars", "DataFrame"):
            own = of_pandas.names(value)
            return [dict(zip(own, map(adapter.cell, row))) for row in zip(*map(_column, value.get_columns()))]
        return adapter.cell(_column(value)) if cells.loaded(value, "polars", "Series") else super().cell(value)

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return _column(value) if cells.loaded(value, "polars", "Series") else super().listed(value)

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: adapter.Call) -> typing.Any:  # noqa: D102
        if not cells.loaded(data, "polars", "DataFrame"):
            return data
        return data.with_columns(**{name: sys.modules["polars"].lit(value) for name, value in headers.items()})


def _rows(frame: typing.Any, start: int, end: int) -> list[tuple[object, ...]]:
    part = frame if end - start == len(frame) else frame.slice(start, end - start)
    return list(zip(*map(_column, part.get_columns())))


def _column(values: typing.Any) -> list[object]:
    polars = sys.modules["polars"]
    if values.dtype == polars.Float32:
        return [None if text is None else float(text) for text in values.cast(polars.String).to_list()]
    if values.dtype in (polars.List(polars.Float32),):
        texts = values.cast(polars.List(polars.String)).to_list()
        return [None if row is None else [None if each is None else float(each) for each in row] for row in texts]
    # polars panics at some times beyond Python's years, which is no Exception: nothing would keep it from the model.
    return of_pandas.listed(values, getattr(getattr(polars, "exceptions", None), "PanicException", OverflowError))


POLARS = Polars()
