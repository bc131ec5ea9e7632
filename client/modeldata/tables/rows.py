"""What a call's data is: how many rows, under which names, and their bytes for the spool.

Runs on the model's own thread, so it copies or encodes once and leaves the rest (CSV text, header, repeated columns)
to the shipper. numpy and DataFrames are used where the model has them and never imported.
"""

from __future__ import annotations

import typing

from . import (
    adapter,
    cells,
    of_arrow,
    of_fields,
    of_mappings,
    of_numpy,
    of_pandas,
    of_polars,
    of_python,
    of_spark,
    of_tensors,
    pieces,
)

adapter.BY_MODULE.update(
    numpy=of_numpy.NUMPY,
    pandas=of_pandas.PANDAS,
    polars=of_polars.POLARS,
    pyarrow=of_arrow.ARROW,
    pyspark=of_spark.SPARK,
)
adapter.BY_KIND += (
    (of_python.is_value, of_python.VALUES),
    (of_mappings.is_mapping, of_mappings.MAPPINGS),
    (of_fields.has_fields, of_fields.FIELDS),
    (of_python.is_sequence, of_python.SEQUENCES),
    (of_tensors.may_be_tensor, of_tensors.TENSORS),
)


def take(
    data: object, *, names: tuple[str, ...], input_rows: int, columns: adapter.Columns | None = None
) -> pieces.Pieces:
    """Turn what a model script collects into tables, which are made when they are asked for.

    One table, but for calls that are cut into pieces, as the shipper holds a piece in memory.

    - A list of lists, tuples, dicts or 1-D arrays, and a 2-D array, is n rows; a DataFrame is n rows under its own
      names, dicts and structured arrays are rows under their keys.
    - A dict of lists of one length is n rows too, unless this request's inputs had another number of them. Any other
      dict is one row; so is each dict of a list.
    - A flat list, a 1-D array or a Series is a column if this request's inputs had as many rows (``model.predict`` of a
      batch), else one row if it is as long as ``names``, else a column if there is one name, else one row.
    - A single number is one row of one cell.

    Args:
        data: what is collected.
        names: the collector's.
        input_rows: how many rows this request has had so far.
        columns: those of the collector's rows so far; they grow by new ones.

    Raises:
        cells.Refused: bytes, text, images, tensors of more than two dimensions, or a type that is no table. What comes
            to light in a later cell is raised when its table is asked for.

    """
    try:
        found = adapter.of(data).content(data, adapter.Call(names, input_rows, columns))
    except RecursionError:
        raise cells.Refused("values nested too deeply are not collected") from None
    return pieces.Pieces(found)


def joined(
    data: typing.Any, headers: typing.Mapping[str, object], *, names: tuple[str, ...], input_rows: int
) -> typing.Any:
    """Return the data with correlation headers behind each row, as further columns.

    What is a row is decided as by ``take``. Lists and tuples become a list, arrays a two-dimensional array of objects,
    Spark's DataFrames one of pandas, as in azureml-monitoring; other DataFrames a copy of their own type. Data of any
    other type is returned as it is.
    """
    return adapter.of(data).joined(data, headers, adapter.Call(names, input_rows))
