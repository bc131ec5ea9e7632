"""Rows of Arrow as frames of pandas or Spark, values kept."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import numpy
    import pandas
    import pyarrow
    import pyspark.sql


def frame(
    batches: typing.Iterable[pyarrow.RecordBatch], schema: pyarrow.Schema, rows: int | None = None
) -> pandas.DataFrame:
    """Return a frame; ``rows`` says how many there will be, where that is known.

    Whole numbers and booleans are pandas' nullable types, whether there is a gap or not; a gap among floats is NaN;
    texts are pandas' own, where a gap is missing and an empty text is not; times are UTC.

    Batch by batch, as a batch of DuckDB's stays in memory as long as one of its columns does: ``to_pandas`` of all at
    once took twice the frame.
    """
    import pandas

    columns: list[_Column] = [_column(field.type, rows or 0) for field in schema]
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


def _column(kind: pyarrow.DataType, rows: int) -> _Column:
    from pyarrow import types

    if types.is_large_string(kind) or types.is_date(kind):
        return _Kept(kind)
    return _Numbers(kind, rows)


class _Numbers:
    """Whole numbers, floats, booleans and times, written where they stay."""

    def __init__(self, kind: pyarrow.DataType, rows: int) -> None:
        import numpy
        from pyarrow import types

        self._kind = kind
        self._is_float, self._is_boolean = types.is_floating(kind), types.is_boolean(kind)
        dtype = numpy.float64 if self._is_float else numpy.bool_ if self._is_boolean else numpy.int64
        self._values: numpy.ndarray[typing.Any, typing.Any] = numpy.empty(rows, dtype)
        self._gaps = numpy.zeros(rows, numpy.bool_)
        self._rows = 0

    def add(self, found: pyarrow.Array, before: object) -> None:
        import pyarrow
        from pyarrow import compute

        start, self._rows = self._rows, self._rows + len(found)
        self._make_room()
        if found.null_count:
            self._gaps[start : self._rows] = found.is_null().to_numpy(zero_copy_only=False)
        if not self._is_float and not self._is_boolean:
            found = found.view(pyarrow.int64())
        if found.null_count and not self._is_float:
            found = compute.fill_null(found, False if self._is_boolean else 0)
        self._values[start : self._rows] = found.to_numpy(zero_copy_only=False)

    def made(self) -> typing.Any:
        import numpy
        import pandas
        from pyarrow import types

        values, gaps = self._values[: self._rows], self._gaps[: self._rows]
        if self._is_float:
            return values
        if self._is_boolean:
            return pandas.arrays.BooleanArray(values, gaps)
        if types.is_integer(self._kind):
            return pandas.arrays.IntegerArray(values, gaps)
        times = values.view("datetime64[us]")
        if gaps.any():
            times[gaps] = numpy.datetime64("NaT")
        zone = "datetime64[us, UTC]" if self._kind.tz is not None else "datetime64[us]"
        return pandas.DatetimeIndex(times, dtype=zone, copy=False)

    def _make_room(self) -> None:
        import numpy

        lacking = self._rows - len(self._values)
        if lacking > 0:
            more = max(lacking, len(self._values) // 2)
            self._values = numpy.concatenate([self._values, numpy.empty(more, self._values.dtype)])
            self._gaps = numpy.concatenate([self._gaps, numpy.zeros(more, numpy.bool_)])


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
