"""DataFrames and their columns: pandas, polars and Spark, each if the model has it.

A gap of a column (None, NA, NaT, and NaN where the column is none of floats) is None; NaN among floats stays NaN.
"""

from __future__ import annotations

import sys
import typing

from . import cells


def is_frame(data: object) -> bool:
    """Return whether data is a DataFrame."""
    return any(cells.loaded(data, module, "DataFrame") for module in ("pandas", "polars", "pyspark.sql"))


def is_column(data: object) -> bool:
    """Return whether data is a Series or an Index."""
    return any(cells.loaded(data, *kind) for kind in (("pandas", "Series"), ("pandas", "Index"), ("polars", "Series")))


def names(frame: typing.Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; those of several levels are joined by a point."""
    return tuple(
        ".".join(map(cells.name_text, name)) if isinstance(name, tuple) else cells.name_text(name)
        for name in list(frame.columns)
    )


def numbers(data: typing.Any) -> typing.Any:
    """Return a frame or a column as an array, where it is made of one of numpy's types of numbers; else None."""
    if not cells.loaded(data, "pandas", "DataFrame") and not cells.loaded(data, "pandas", "Series"):
        return None
    types = set(data.dtypes.tolist()) if data.ndim == 2 else {data.dtype}
    if len(types) != 1:
        return None
    (only,) = types
    # pandas' own types may have gaps, for which an array of numbers has no value.
    return data.to_numpy() if cells.loaded(only, "numpy", "dtype") and only.kind in "iufb" else None


def rows(frame: typing.Any) -> list[tuple[object, ...]]:
    """Return a frame's rows. Those of Spark are computed for it, as for its own ``collect()``."""
    if cells.loaded(frame, "pandas", "DataFrame"):
        # Column by column: the frame's own conversion would make floats of integers beside floats.
        return list(zip(*(column(values) for _, values in frame.items())))
    if cells.loaded(frame, "polars", "DataFrame"):
        return list(zip(*map(column, frame.get_columns())))
    return [tuple(row) for row in frame.collect()]


def column(values: typing.Any) -> list[object]:
    """Return the cells of a Series or an Index; floats with the digits of their own width.

    Raises:
        cells.Refused: a value is none that Python can hold, such as a date of the year 29349.

    """
    if cells.loaded(values, "polars", "Series"):
        polars = sys.modules["polars"]
        if values.dtype == polars.Float32:
            return [None if text is None else float(text) for text in values.cast(polars.String).to_list()]
        return _listed(values)
    if cells.loaded(values, "pandas", "MultiIndex"):
        return _listed(values)
    dtype = values.dtype
    if cells.loaded(dtype, "numpy", "dtype") and dtype.kind in "iufb":
        return list(cells.listed(values.to_numpy()))
    gaps = values.isna().tolist()
    found = _listed(values)
    if getattr(dtype, "kind", "") == "f" and str(dtype).lower().startswith(
        ("float32", "float[", "halffloat", "sparse")
    ):
        found = cells.listed(values.to_numpy(dtype="f4", na_value=float("nan")))
    return [None if gap else value for value, gap in zip(found, gaps)] if any(gaps) else found


def _listed(values: typing.Any) -> list[object]:
    # polars panics at some times beyond Python's years, which is no Exception: nothing would keep it from the model.
    panic: type[BaseException] = getattr(
        getattr(sys.modules.get("polars"), "exceptions", None), "PanicException", OverflowError
    )
    try:
        return list(values.to_list())
    except (ValueError, OverflowError, panic):
        raise cells.Refused(f"a column of {values.dtype} with values that Python can't hold is not collected") from None
