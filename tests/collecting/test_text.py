"""The CSV text: what readers read is what was collected."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import sys
import typing

import hypothesis
import numpy
import pandas
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from modeldata.encoding import csvtext, layout
from modeldata.spool import records
from modeldata.tables import cells, rows

from .conftest import as_csv

TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=12)
CELLS = strategies.one_of(
    strategies.none(), strategies.integers(-(2**70), 2**70), strategies.floats(), strategies.booleans(), TEXTS
)
TABLES = strategies.integers(1, 5).flatmap(
    lambda width: strategies.lists(strategies.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)
)


def expected(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and not math.isfinite(cell):
        return cells.float_text(cell)
    return str(cell)


def same(read: str, cell: object) -> bool:
    if isinstance(cell, float) and math.isfinite(cell):
        return float(read) == cell and math.copysign(1, float(read)) == math.copysign(1, cell)
    return read == expected(cell)


@hypothesis.given(TABLES)
def test_the_csv_module_reads_what_was_collected(data: list[list[object]]) -> None:
    content = as_csv(rows.take(data, names=(), input_rows=0)).decode()
    lines = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert len(lines) == len(data) + 1
    for line, row in zip(lines[1:], data, strict=True):
        assert all(same(read, cell) for read, cell in zip(line[3:], row, strict=True)), (line, row)


def test_none_and_an_empty_text_differ() -> None:
    assert as_csv(rows.take([["x", None, ""]], names=(), input_rows=0)).splitlines()[1].endswith(b',x,,""')


def test_a_lone_carriage_return_is_quoted() -> None:
    content = as_csv(rows.take([["a\rb"]], names=(), input_rows=0))
    assert b'"a\rb"\r\n' in content


def test_lines_end_as_the_standard_says() -> None:
    content = as_csv(rows.take([[1], [2]], names=("a",), input_rows=0))
    assert content.count(b"\r\n") == 3
    assert content.endswith(b"\r\n")


@pytest.mark.parametrize("data", [[[1, 2, 3]], [[1, "2", 3]], numpy.array([[1, 2, 3]])], ids=["list", "mixed", "array"])
@pytest.mark.parametrize("count", range(6))
def test_each_cell_has_a_column_however_many_names_there_are(data: typing.Any, count: int) -> None:
    names = tuple("abcdef")[:count]
    content = as_csv(rows.take(data, names=names, input_rows=0))
    frame = pandas.read_csv(io.BytesIO(content))
    assert list(frame.columns[3:]) == [*names, *(f"feature_{n}" for n in range(count, 3))]
    assert list(frame.iloc[0, 3:6]) == [1, 2, 3]
    assert frame.iloc[0, 6:].isna().all()


def test_a_name_is_quoted_where_it_must_be() -> None:
    content = as_csv(rows.take([[1, 2]], names=('a,"b"', "c\nd"), input_rows=0))
    assert next(csv.reader(io.StringIO(content.decode(), newline="")))[3:] == ['a,"b"', "c\nd"]


FLOATS_32 = numpy_strategies.arrays(
    numpy.float32, (4, 3), elements=strategies.floats(width=32, allow_subnormal=True), unique=True
)


@hypothesis.given(FLOATS_32)
@hypothesis.example(numpy.array([[0.1, 1e-45, 3.4028235e38], [1e-7, 16777216, 1e10]], numpy.float32))
@hypothesis.settings(deadline=None)
def test_an_array_reads_the_same_in_a_shipper_without_numpy(array: typing.Any) -> None:
    tables = rows.take(array, names=(), input_rows=0)
    here = list(csv.reader(io.StringIO(as_csv(tables).decode())))
    with without_numpy():
        there = list(csv.reader(io.StringIO(as_csv(tables).decode())))
    for one, other in zip(here[1:], there[1:], strict=True):
        # The same digits; where a power of ten begins, 32 and 64 bits may be written differently.
        numpy.testing.assert_array_equal([float(cell) for cell in one[3:]], [float(cell) for cell in other[3:]])


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i1", "u8", "?"])
def test_an_array_gives_equal_text_without_numpy(dtype: str) -> None:
    array = numpy.array([[0.1, 2.5, 100], [1, 0, 7e-4]]).astype(dtype)
    tables = rows.take(array, names=(), input_rows=0)
    here = as_csv(tables)
    with without_numpy():
        assert as_csv(tables) == here


@pytest.mark.parametrize("value", [0.25, math.nan, math.inf])
@pytest.mark.parametrize("width", [5, 19, 20, 21, 60, 5000], ids=lambda width: f"{width} columns")
def test_an_array_of_any_width_gives_equal_text_without_numpy(width: int, value: float) -> None:
    array = numpy.random.default_rng(1).random((30, width))
    array[3, -1] = array[-1, 0] = value
    tables = rows.take(array, names=(), input_rows=0)
    here = as_csv(tables)
    assert len(here.splitlines()) == 31
    with without_numpy():
        assert as_csv(tables) == here


@contextlib.contextmanager
def without_numpy() -> typing.Iterator[None]:
    module = sys.modules.pop("numpy")
    try:
        yield
    finally:
        sys.modules["numpy"] = module


def test_numpy_that_is_being_imported_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = rows.take(numpy.array([[0.5]]), names=(), input_rows=0)
    monkeypatch.setitem(sys.modules, "numpy", type(sys)("numpy"))
    assert as_csv(tables).splitlines()[1].endswith(b",0.5")


def test_the_time_is_utc_with_microseconds() -> None:
    assert layout.timestamp(1_700_000_000_000_000) == "2023-11-14T22:13:20.000000Z"


def test_rows_of_a_batch_are_numbered_across_pieces() -> None:
    tables = rows.take([[float(n)] for n in range(2500)], names=("a",), input_rows=0)
    ids = [line.split(b",")[2] for line in as_csv(tables, request="q", batch=True).splitlines()[1:]]
    assert ids == [b"q-%d" % n for n in range(2500)]


def test_a_single_row_has_the_plain_id() -> None:
    assert as_csv(rows.take([[1]], names=("a",), input_rows=0), request="q").splitlines()[1].split(b",")[2] == b"q"


def test_an_id_is_quoted_where_it_must_be() -> None:
    (table,) = rows.take([[1], [2]], names=(), input_rows=0)
    odd = records.Record(records.Stream("m", "d"), 0, "a,b", 'c"d', 0, table)
    (first, second) = [next(csv.reader([row])) for row in csvtext.to_csv(odd).text.decode().splitlines()]
    assert (first[1:], second[1:]) == (['c"d', "a,b-0", "1"], ['c"d', "a,b-1", "2"])
