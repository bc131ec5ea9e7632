"""What Spark reads equals what was collected: one session reads a few hundred generated tables together."""

from __future__ import annotations

import itertools
import pathlib
import typing

import hypothesis
import pandas
import pytest
from hypothesis import strategies

from modeldata.tables import rows

from . import readers, tables

pytestmark = pytest.mark.java

KINDS = tuple(tables.KINDS)


class Collected(typing.NamedTuple):
    paths: list[str]
    names: tuple[str, ...]
    rows: dict[str, tuple[typing.Any, ...]]
    """By request id."""


@pytest.fixture(scope="module")
def collected(write: typing.Any) -> Collected:
    paths: list[str] = []
    rows: dict[str, tuple[typing.Any, ...]] = {}
    names: set[tuple[str, ...]] = set()
    numbers = itertools.count()

    @hypothesis.given(table=tables.tables(kinds=KINDS), shape=strategies.sampled_from(list(tables.SHAPES)))
    @hypothesis.settings(max_examples=300, phases=[hypothesis.Phase.generate], database=None, deadline=None)
    def collect(table: tables.Table, shape: str) -> None:
        request = f"t{next(numbers)}"
        path: pathlib.Path = write(tables.SHAPES[shape](table), table.names, request=request)
        paths.append(str(path))
        names.add(table.names)
        rows.update({f"{request}-{number}": row for number, row in enumerate(tables.collected(table, shape))})

    collect()
    return Collected(paths, names.pop(), rows)


def check(read: readers.Columns, collected: Collected, same: typing.Callable[[typing.Any, object], bool]) -> None:
    """Compare cell by cell; each collected row must be there once."""
    requests = read["$RequestId"]
    assert sorted(requests) == sorted(collected.rows)
    for number, name in enumerate(collected.names):
        for request, found in zip(requests, read[name], strict=True):
            cell = collected.rows[request][number]
            assert same(found, cell), (name, found, cell)


def test_as_text_each_cell_is_what_the_documents_say(spark: typing.Any, collected: Collected) -> None:
    read = readers.spark_text(spark, collected.paths)
    check(read, collected, lambda found, cell: cell is None if found is None else tables.text_is(found, cell))


def test_with_types_given_each_value_is_the_one_collected(spark: typing.Any, collected: Collected) -> None:
    kinds = dict(zip(collected.names, KINDS, strict=True))
    check(readers.spark_typed(spark, collected.paths, kinds), collected, tables.same)


def test_by_itself_it_takes_numbers_for_what_they_are(spark: typing.Any, collected: Collected) -> None:
    numbers = [name for name, kind in zip(collected.names, KINDS, strict=True) if kind in tables.NUMBERS]
    read = readers.spark_inferred(spark, collected.paths)
    for name in numbers:
        position = collected.names.index(name)
        for request, found in zip(read["$RequestId"], read[name], strict=True):
            assert tables.same(found, collected.rows[request][position])


FRAME = """
    select * from values
        (1, 'a', double(0.5), array(1, null), timestamp_ntz'2026-01-02 03:04:05', named_struct('k', 1), 1.10bd),
        (null, '', double('NaN'), null, null, null, null)
    as t(n, s, x, l, t, m, d)
"""


def test_a_frame_of_spark_is_collected_as_its_rows(spark: typing.Any, write: typing.Any) -> None:
    read = readers.polars_text(write(spark.sql(FRAME)))
    assert [read[name] for name in "nsxltmd"] == [
        ["1", None],
        ["a", ""],
        ["0.5", "NaN"],
        ["[1,null]", None],
        ["2026-01-02T03:04:05", None],
        ['{"k":1}', None],
        ["1.10", None],
    ]


def test_correlations_make_a_frame_of_spark_one_of_pandas(spark: typing.Any) -> None:
    added = rows.joined(spark.sql("select 1 as p"), {"$a": "x"}, names=(), input_rows=0)
    assert isinstance(added, pandas.DataFrame)
    assert added.to_dict("list") == {"p": [1], "$a": ["x"]}
