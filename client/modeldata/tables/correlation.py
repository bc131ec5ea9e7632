"""Correlation headers as further columns of what a script collects next."""

from __future__ import annotations

import sys
import typing

from . import cells, rows


def add(
    data: typing.Any, headers: typing.Mapping[str, object], *, names: tuple[str, ...], input_rows: int
) -> typing.Any:
    """Return the data with the headers' values behind each row.

    What is a row is decided as by ``rows.take``. Lists and tuples become a list, arrays a two-dimensional array of
    objects, Spark's DataFrames one of pandas, as in azureml-monitoring; other DataFrames a copy of their own type.
    Data of any other type is returned as it is.
    """
    values = list(headers.values())
    if isinstance(data, (list, tuple)):
        if data and (isinstance(data[0], (list, tuple)) or getattr(data[0], "ndim", 0) == 1):
            return [[*row, *values] for row in data]
        if data and isinstance(data[0], dict):
            return [{**row, **headers} for row in data]
        is_column = rows.is_column(len(data), names, input_rows)
        return [[value, *values] for value in data] if is_column else [*data, *values]
    if cells.loaded(data, "pandas", "DataFrame"):
        return data.assign(**headers)
    if cells.loaded(data, "polars", "DataFrame"):
        return data.with_columns(**{name: sys.modules["polars"].lit(value) for name, value in headers.items()})
    if cells.loaded(data, "pyspark.sql", "DataFrame"):
        return data.toPandas().assign(**headers)
    if cells.loaded(data, "numpy", "ndarray") and data.ndim in (1, 2) and not data.dtype.names:
        numpy = sys.modules["numpy"]
        table = data.astype(object)
        if data.ndim == 1:
            table = table.reshape(-1, 1) if rows.is_column(len(data), names, input_rows) else table.reshape(1, -1)
        return numpy.hstack([table, numpy.array([values] * len(table), dtype=object)])
    return data
