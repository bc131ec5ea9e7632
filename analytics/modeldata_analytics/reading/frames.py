"""Arrow tables as frames of pandas, values kept."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import pandas
    import pyarrow
    import pyspark.sql


def frame(table: pyarrow.Table, names: typing.Sequence[str]) -> pandas.DataFrame:
    """Return a frame with columns of these names, and take the table apart on the way: nobody may hold it.

    Whole numbers and booleans are pandas' nullable types, whether there is a gap or not; a gap among floats is NaN;
    texts are pandas' own, where a gap is missing and an empty text is not; times are UTC.
    """
    import pandas
    import pyarrow

    types: dict[pyarrow.DataType, typing.Any] = {
        pyarrow.int64(): pandas.Int64Dtype(),
        pyarrow.bool_(): pandas.BooleanDtype(),
    }
    if int(pandas.__version__.partition(".")[0]) < 3:
        types |= dict.fromkeys((pyarrow.string(), pyarrow.large_string()), pandas.StringDtype("pyarrow"))
    found: pandas.DataFrame = table.to_pandas(types_mapper=types.get, split_blocks=True, self_destruct=True)
    found.columns = pandas.Index(names)
    return found


def spark(session: pyspark.sql.SparkSession, table: pyarrow.Table) -> pyspark.sql.DataFrame:
    """Return a DataFrame of Spark."""
    import pyspark

    if int(pyspark.__version__.partition(".")[0]) >= 4:
        return session.createDataFrame(table)
    return session.createDataFrame(table.to_pandas())
