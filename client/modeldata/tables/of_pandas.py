"""pandas: DataFrames, Series and Indexes, and its values that may be missing.

A gap of a column (None, NA, NaT, and NaN where the column is none of floats) is None; NaN among floats stays NaN.
"""

from __future__ import annotations

import datetime
import typing

from . import adapter, cells, of_fields, of_numpy, of_python, of_tensors


class Pandas(of_tensors.Tensors):
    """What pandas has, and what is derived from it."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        if cells.loaded(data, "pandas", "DataFrame"):
            data = _with_index(data)
            labels = list(data.columns)
            array, own = _numbers(data), _names(labels)
            if call.names and labels[:1] == [0] and labels == list(range(len(labels))):
                own = ()  # made of a table that had no names
            if array is not None:
                found = of_numpy.content(array, adapter.Call())
                return call.framed(own, found.rows, found.array)
            return call.framed(own, adapter.sliced(len(data), len(labels), lambda *part: _rows(data, *part)))
        if isinstance(data, tuple):
            return self.rows([data], call) or call.by_label([data])
        if _is_column(data):
            if not call.is_column(len(data)) and self.labelled(data) is not None:
                return call.by_label([data])
            array = _numbers(data)
            if array is not None:
                return of_numpy.content(array, call)
            return of_python.SEQUENCES.content(_column(data), call)
        return super().content(data, call)

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        first = values[0]
        if isinstance(first, tuple) and call.names and _lost_names(first):
            width = len(of_fields.names(type(first))) - hasattr(first, "Index")
            return adapter.Content(call.names, [each[len(each) - width :] for each in values])
        return call.by_label(values) if self.labelled(first) is not None else super().rows(values, call)

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return _column(value) if _is_column(value) else super().listed(value)

    def labelled(self, value: typing.Any) -> typing.Mapping[object, object] | None:  # noqa: D102
        if isinstance(value, tuple):  # of itertuples(); its Index is a column where it has a name, as of the frame
            return {name: getattr(value, name) for name in of_fields.names(type(value)) if name != "Index"}
        if not cells.loaded(value, "pandas", "Series") or not all(isinstance(label, str) for label in value.index):
            return None
        return dict(zip(value.index, _column(value))) if value.index.is_unique else None

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if type(value).__name__ in ("NaTType", "NAType"):
            return None
        labelled = self.labelled(value)
        if labelled is not None:  # a list would lose the labels, by which what is to be redacted is found
            return adapter.cell(labelled)
        if cells.loaded(value, "pandas", "DataFrame"):
            own = names(value)
            return [
                dict(zip(own, map(adapter.cell, row))) for row in zip(*(_column(each) for _, each in value.items()))
            ]
        if isinstance(value, (datetime.datetime, datetime.timedelta)):  # Timestamp, Timedelta
            return of_python.VALUES.cell(value)
        return super().cell(value)

    def joined(self, data: typing.Any, headers: typing.Mapping[str, object], call: adapter.Call) -> typing.Any:  # noqa: D102
        return data.assign(**headers) if cells.loaded(data, "pandas", "DataFrame") else data


def _lost_names(row: typing.Any) -> bool:
    """Return whether itertuples() has replaced names, as it does where they are no words of Python."""
    return any(name[0] == "_" and name[1:].isdecimal() for name in of_fields.names(type(row)))


def _with_index(frame: typing.Any) -> typing.Any:
    """Return a frame with its index as columns, as far as it has a name: whoever named it will miss it otherwise."""
    index = frame.index
    if index.nlevels == 1 and index.name is None:
        return frame
    named = [name for name in index.names if name is not None]
    if not named or any(name in frame.columns for name in named):
        return frame
    return frame.reset_index(level=named)


def _rows(frame: typing.Any, start: int, end: int) -> list[tuple[object, ...]]:
    # Column by column: the frame's own conversion would make floats of integers beside floats.
    part = frame if end - start == len(frame) else frame.iloc[start:end]
    return list(zip(*(_column(values) for _, values in part.items())))


def _is_column(data: object) -> bool:
    return cells.loaded(data, "pandas", "Series") or cells.loaded(data, "pandas", "Index")


def names(frame: typing.Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; those of several levels are joined by a point."""
    return _names(list(frame.columns))


def _names(labels: list[typing.Any]) -> tuple[str, ...]:
    return tuple(
        ".".join(map(cells.name_text, name)) if isinstance(name, tuple) else cells.name_text(name) for name in labels
    )


def _numbers(data: typing.Any) -> typing.Any:
    """Return a frame or a column as an array, where it is made of one of numpy's types of numbers; else None."""
    if cells.loaded(data, "pandas", "Index"):
        return None
    types = set(data.dtypes.tolist()) if data.ndim == 2 else {data.dtype}
    if len(types) != 1:
        return None
    (only,) = types
    # pandas' own types may have gaps, for which an array of numbers has no value.
    return data.to_numpy() if cells.loaded(only, "numpy", "dtype") and only.kind in "iufb" else None


def _column(values: typing.Any) -> list[object]:
    """Return the cells of a Series or an Index; floats with the digits of their own width.

    Raises:
        cells.Refused: a value is none that Python can hold, such as a date of the year 29349.

    """
    if cells.loaded(values, "pandas", "MultiIndex"):
        return listed(values)
    dtype = values.dtype
    if cells.loaded(dtype, "numpy", "dtype") and dtype.kind in "iufb":
        return list(of_numpy.listed(values.to_numpy()))
    gaps = values.isna().tolist()
    found = listed(values)
    if getattr(dtype, "kind", "") == "f" and str(dtype).lower().startswith(
        ("float32", "float[", "halffloat", "sparse")
    ):
        found = of_numpy.listed(values.to_numpy(dtype="f4", na_value=float("nan")))
    return [None if gap else value for value, gap in zip(found, gaps)] if any(gaps) else found


def listed(values: typing.Any, panic: type[BaseException] = OverflowError) -> list[object]:
    """Return the values of a Series or an Index, of pandas or polars.

    Raises:
        cells.Refused: one is none that Python can hold.

    """
    try:
        return list(values.to_list())
    except (ValueError, OverflowError, panic):
        raise cells.Refused(f"a column of {values.dtype} with values that Python can't hold is not collected") from None


PANDAS = Pandas()
