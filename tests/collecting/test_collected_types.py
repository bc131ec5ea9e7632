"""Each type that scripts collect is what docs/compatibility.md says."""

from __future__ import annotations

import array
import collections
import csv
import dataclasses
import datetime
import decimal
import io
import types
import typing

import attrs
import numpy
import pandas
import polars
import pyarrow
import pydantic
import pyspark.sql
import pytest
import scipy.sparse
import starlette.datastructures
import werkzeug.datastructures

from modeldata.tables import adapter, cells, rows

from . import collected_types
from .conftest import as_csv


@dataclasses.dataclass
class Point:
    x: object
    y: object


@dataclasses.dataclass
class Slotted:
    __slots__ = ("x", "y")
    x: int
    y: int


Pair = collections.namedtuple("Pair", ["n", "s"])


class Typed(typing.NamedTuple):
    n: int
    s: str


class Passenger(pydantic.BaseModel):
    age: int
    name: str


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    age: int


class Trip(pydantic.BaseModel):
    who: Passenger


@attrs.define
class Attributes:
    x: int
    y: int


class Tensor:
    """As one of torch."""

    def __init__(self, values: numpy.typing.NDArray[typing.Any]) -> None:
        self.values = values
        self.ndim = values.ndim

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def __array__(self, dtype: object = None, *, copy: bool | None = None) -> numpy.typing.NDArray[typing.Any]:
        return self.values


class Brain(Tensor):
    """As torch's in bfloat16."""

    def __array__(self, dtype: object = None, *, copy: bool | None = None) -> typing.NoReturn:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Tensor:
        return Tensor(self.values.astype("f4"))


def ragged(*rows: list[object]) -> numpy.typing.NDArray[typing.Any]:
    made = numpy.empty(len(rows), object)
    for number, row in enumerate(rows):
        made[number] = row
    return made


NAMESPACE = {
    **{
        module.__name__.partition(".")[0]: module
        for module in (array, collections, datetime, decimal, numpy, pandas, polars, pyarrow, types)
    },
    **{"pyspark": pyspark, "scipy": scipy, "starlette": starlette, "werkzeug": werkzeug},
    **{each.__name__: each for each in (Point, Slotted, Pair, Typed, Passenger, Open, Trip, Attributes, Tensor, Brain)},
    "ragged": ragged,
}


@pytest.mark.parametrize("case", collected_types.CASES, ids=lambda case: f"{case.library}: {case.kind}")
def test_a_type_is_collected_as_documented(case: collected_types.Case) -> None:
    data = eval(case.expression, NAMESPACE)
    try:
        tables = list(rows.take(data, names=case.names, input_rows=case.inputs, columns=adapter.Columns()))
    except cells.Refused:
        found = collected_types.REFUSED
    else:
        lines = as_csv(tables).decode().split("\r\n")[:-1]
        found = " / ".join(line.split(",", 3)[3] for line in lines)
        assert len({len(row) for row in csv.reader(io.StringIO("\n".join(lines)))}) == 1
    assert found == case.rows
