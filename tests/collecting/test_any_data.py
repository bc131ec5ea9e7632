"""Whatever a script collects is rows as wide as their header, or refused; never an error, never a shifted column."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import uuid

import hypothesis
import numpy
import pandas
import polars
import scipy.sparse
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from modeldata.tables import cells, rows

from .conftest import as_csv


class Broken:
    """Raises wherever it is looked at, but for its type."""

    def __getattr__(self, name: str) -> object:
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        raise TypeError

    def __hash__(self) -> int:
        return 1


ODD = strategies.sampled_from(
    [
        *(None, float("nan"), float("inf"), 2**70, "", "\ud800", "a,b", "\r\n", b"bytes", bytearray(b"x"), object()),
        *(decimal.Decimal("NaN"), uuid.UUID(int=0), datetime.date.min, datetime.timedelta.max, Ellipsis, type),
        *(pandas.NA, pandas.NaT, pandas.Timestamp.max, pandas.Period("2026"), pandas.Interval(0, 1), numpy.ma.masked),
        *(numpy.float16(1), numpy.longdouble(1), numpy.complex64(1), numpy.void(b"x"), numpy.datetime64("NaT", "s")),
        *(numpy.datetime64("30000-01-01"), numpy.timedelta64("NaT"), numpy.array(1), numpy.zeros((1, 1, 1))),
        *(pandas.DataFrame({"a": [1]}), pandas.Series([1, None]), pandas.Index(["a"]), polars.DataFrame({"a": [1]})),
        *(polars.Series([1]), polars.LazyFrame({"a": [1]}), scipy.sparse.csr_matrix([[1]]), Broken(), iter([1])),
        *({1, "a"}, range(3), numpy.zeros((1, 1)), numpy.random.default_rng(0), lambda: 0),
    ]
)
CELLS = ODD | strategies.floats() | strategies.integers() | strategies.text(max_size=5) | strategies.booleans()
ARRAYS = numpy_strategies.arrays(
    numpy_strategies.scalar_dtypes() | numpy_strategies.array_dtypes(max_size=3),
    numpy_strategies.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
ANYTHING = strategies.recursive(
    CELLS | ARRAYS,
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.lists(inner, max_size=4).map(tuple)
        | strategies.dictionaries(
            strategies.text(max_size=2) | strategies.integers() | strategies.none(), inner, max_size=3
        )
        | strategies.lists(inner, max_size=3).map(lambda values: pandas.Series(values, dtype=object))
    ),
    max_leaves=12,
)


@hypothesis.example(data=numpy.array([[1.5], [2.5]]), names=["", ""], input_rows=0)
@hypothesis.given(
    data=ANYTHING,
    names=strategies.lists(strategies.text(max_size=3), max_size=3),
    input_rows=strategies.integers(0, 3),
)
@hypothesis.settings(deadline=None, max_examples=600, suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_rows_are_as_wide_as_their_header_or_the_data_is_refused(
    data: object, names: list[str], input_rows: int
) -> None:
    try:
        tables = list(rows.take(data, names=tuple(names), input_rows=input_rows))
    except cells.Refused:
        return
    lines = list(csv.reader(io.StringIO(as_csv(tables).decode(), newline=""), strict=True))
    assert len(lines) == sum(each.rows for each in tables) + bool(tables)
    assert len({len(line) for line in lines}) <= 1
