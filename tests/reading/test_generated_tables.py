"""What pandas, DuckDB and polars read equals what was collected; docs/reading.md says how equal."""

from __future__ import annotations

import math
import typing

import hypothesis
import numpy
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from . import readers, tables

LEADING = ["$Timestamp", "$CorrelationId", "$RequestId"]
SHAPES = strategies.sampled_from(list(tables.SHAPES))
QUICK = hypothesis.settings(deadline=None, max_examples=150)


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
@hypothesis.given(table=tables.tables(), shape=SHAPES)
@QUICK
def test_as_text_each_cell_is_what_the_documents_say(
    write: typing.Any, reader: str, table: tables.Table, shape: str
) -> None:
    path = write(tables.SHAPES[shape](table), table.names)
    read = getattr(readers, f"{reader}_text")(path)
    assert list(read) == [*LEADING, *table.names]
    for row, found in zip(tables.collected(table, shape), rows_of(read, table.names), strict=True):
        for cell, text in zip(row, found, strict=True):
            if text is None or (cell is None and reader != "pandas"):
                assert (cell, text) == (None, None)  # pandas reads all text as text: what is missing is empty
            else:
                assert tables.text_is(text, cell)


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
@hypothesis.given(table=tables.tables(), shape=SHAPES)
@QUICK
def test_with_types_given_each_value_is_the_one_collected(
    write: typing.Any, reader: str, table: tables.Table, shape: str
) -> None:
    path = write(tables.SHAPES[shape](table), table.names)
    read = getattr(readers, f"{reader}_typed")(path, dict(zip(table.names, table.kinds, strict=True)))
    for row, found in zip(tables.collected(table, shape), rows_of(read, table.names), strict=True):
        for kind, cell, value in zip(table.kinds, row, found, strict=True):
            assert tables.same(value, as_read_by(reader, kind, cell))


def as_read_by(reader: str, kind: str, cell: typing.Any) -> object:
    """Return what a reader can tell of a cell: pandas has one word for what is missing, for NaN and for no text."""
    if reader == "pandas" and kind == "float" and cell is None:
        return math.nan
    if reader == "pandas" and kind == "text" and cell == "":
        return None
    return cell


def rows_of(read: readers.Columns, names: tuple[str, ...]) -> list[tuple[typing.Any, ...]]:
    return list(zip(*(read[name] for name in names), strict=True))


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
@hypothesis.given(table=tables.tables(kinds=tables.NUMBERS), shape=SHAPES)
@QUICK
def test_by_itself_a_reader_takes_numbers_for_what_they_are(
    write: typing.Any, reader: str, table: tables.Table, shape: str
) -> None:
    path = write(tables.SHAPES[shape](table), table.names)
    read = getattr(readers, f"{reader}_inferred")(path, table.names)
    columns = zip(*tables.collected(table, shape), strict=True)
    for kind, name, cells in zip(table.kinds, table.names, columns, strict=True):
        for cell, value in zip(cells, read[name], strict=True):
            if reader == "pandas" and kind == "float" and value is None:
                assert cell is None or math.isnan(cell)
            else:
                assert tables.same(value, cell)


# polars leaves quotation marks in names doubled, DuckDB cuts blanks around them and ignores case.
NAMES = strategies.lists(
    tables.TEXTS.filter(lambda name: name != "" and name == name.strip() and '"' not in name and name not in LEADING),
    min_size=1,
    max_size=4,
    unique_by=lambda name: name.lower(),
)


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
@hypothesis.given(names=NAMES)
@QUICK
def test_columns_have_the_names_they_were_given(write: typing.Any, reader: str, names: list[str]) -> None:
    read = getattr(readers, f"{reader}_text")(write([[1] * len(names)], names))
    assert list(read) == [*LEADING, *names]


ARRAYS = strategies.sampled_from(
    [f"{order}{kind}" for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "?") for order in "<>"]
).flatmap(lambda dtype: numpy_strategies.arrays(dtype, numpy_strategies.array_shapes(min_dims=2, max_dims=2)))


@pytest.mark.parametrize("reader", ["pandas", "duckdb", "polars"])
@hypothesis.given(array=ARRAYS, transposed=strategies.booleans())
@QUICK
def test_an_array_is_read_bit_by_bit(write: typing.Any, reader: str, array: typing.Any, transposed: bool) -> None:
    array = array.T if transposed else array
    kind = {"f": "float", "b": "boolean"}.get(array.dtype.kind, "integer")
    names = [f"feature_{number}" for number in range(array.shape[1])]
    read = getattr(readers, f"{reader}_typed")(write(array), dict.fromkeys(names, kind))
    found = numpy.array([read[name] for name in names], "f8" if kind == "float" else None).T.astype(array.dtype)
    gone = numpy.isnan(array.astype("f8"))
    assert (gone == numpy.isnan(found.astype("f8"))).all()
    assert found[~gone].tobytes() == array[~gone].tobytes()
