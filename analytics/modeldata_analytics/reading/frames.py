"""Rows of Arrow as frames of pandas or Spark, values kept."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import numpy
    import pandas
    import pyarrow
    import pyspark.sql


def frame(batches: typing.Iterable[pyarrow.RecordBatch], schema: pyarrow.Schema) -> pandas.DataFrame:
    """Return a frame.

    Whole numbers and booleans are pandas' nullable types, whether there is a gap or not; a gap among floats is NaN;
    texts are pandas' own, where a gap is missing and an empty text is not; times are UTC.

    Batch by batch, as a batch of DuckDB's stays in memory as long as one of its columns does: ``to_pandas`` of all at
    once took twice the frame.
    """
    import pandas

    columns: list[_Column] = [_column(field.type) for field in schema]
    for batch in batches:
        before: list[tuple[pyarrow.Array, pyarrow.Array]] = []
        for column, found in zip(columns, batch.columns, strict=True):
            column.add(found, before)
    series = {place: column.made() for place, column in enumerate(columns)}
    made = pandas.DataFrame(series, copy=False)
    made.columns = pandas.Index(schema.names)
    return made


def spark(session: pyspark.sql.SparkSession, table: pyarrow.Table) -> pyspark.sql.DataFrame:
    """Return a DataFrame of Spark."""
    import pyspark

    if int(pyspark.__version__.partition(".")[0]) >= 4:
        return session.createDataFrame(table)
    return session.createDataFrame(table.to_pandas())


class _Column(typing.Protocol):
    def add(self, found: pyarrow.Array, before: list[tuple[pyarrow.Array, pyarrow.Array]]) -> None:
        """Take a batch's values; ``before``: arrays of the batch that were copied, with their copies."""

    def made(self) -> typing.Any:
        """Return what pandas has as a column."""


def _column(kind: pyarrow.DataType) -> _Column:
    from pyarrow import types

    if types.is_large_string(kind) or types.is_date(kind):
        return _Kept(kind)
    return _Numbers(kind)


class _Numbers:
    """Whole numbers, floats, booleans and times."""

    def __init__(self, kind: pyarrow.DataType) -> None:
        self._kind = kind
        self._values: list[numpy.ndarray[typing.Any, typing.Any]] = []
        self._gaps: list[numpy.ndarray[typing.Any, typing.Any]] = []

    def add(self, found: pyarrow.Array, before: object) -> None:
        import numpy
        import pyarrow
        from pyarrow import compute, types

        gaps = found.is_null().to_numpy(zero_copy_only=False) if found.null_count else numpy.zeros(len(found), bool)
        if types.is_floating(self._kind):
            values = numpy.array(found.to_numpy(zero_copy_only=False))
        elif types.is_boolean(self._kind):
            values = compute.fill_null(found, False).to_numpy(zero_copy_only=False)
        else:
            whole = found.view(pyarrow.int64())
            values = numpy.array(compute.fill_null(whole, 0).to_numpy(zero_copy_only=False))
        self._values.append(values)
        self._gaps.append(gaps)

    def made(self) -> typing.Any:
        import numpy
        import pandas
        from pyarrow import types

        empty = {"f": "float64", "b": "bool"}
        kind = empty["f"] if types.is_floating(self._kind) else empty["b"] if types.is_boolean(self._kind) else "int64"
        values = numpy.concatenate(self._values) if self._values else numpy.empty(0, kind)
        self._values.clear()
        if types.is_floating(self._kind):
            return values
        gaps = numpy.concatenate(self._gaps) if self._gaps else numpy.empty(0, bool)
        if types.is_boolean(self._kind):
            return pandas.arrays.BooleanArray(values, gaps)
        if types.is_integer(self._kind):
            return pandas.arrays.IntegerArray(values, gaps)
        times = values.view("datetime64[us]")
        times[gaps] = numpy.datetime64("NaT")
        index = pandas.DatetimeIndex(times)
        return index.tz_localize("UTC") if self._kind.tz is not None else index


class _Kept:
    """Texts and dates, as copies of their own."""

    def __init__(self, kind: pyarrow.DataType) -> None:
        self._kind = kind
        self._arrays: list[pyarrow.Array] = []

    def add(self, found: pyarrow.Array, before: list[tuple[pyarrow.Array, pyarrow.Array]]) -> None:
        import pyarrow

        # Where a script gives no correlation, it is the request's id: then the two are one in memory.
        copy = next((copy for array, copy in before if array.equals(found)), None)
        if copy is None:
            copy = pyarrow.concat_arrays([found, found.slice(0, 0)])
            before.append((found, copy))
        self._arrays.append(copy)

    def made(self) -> typing.Any:
        import numpy
        import pandas
        import pyarrow
        from pyarrow import types

        found = pyarrow.chunked_array(self._arrays, self._kind)
        if types.is_date(self._kind):
            return found.to_pandas()
        old = int(pandas.__version__.partition(".")[0]) < 3
        kind: typing.Any = pandas.StringDtype("pyarrow") if old else pandas.StringDtype("pyarrow", na_value=numpy.nan)
        return kind.__from_arrow__(found)
