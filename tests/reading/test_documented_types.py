"""The recipes and the table of types in docs/reading.md: each row of the table is collected and read."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import typing
import uuid

import duckdb
import numpy
import pandas
import polars
import pytest

from . import readers

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/reading.md"
READERS = ("pandas", "DuckDB", "polars", "Spark")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: int


NAMESPACE = {
    **{module.__name__: module for module in (datetime, decimal, numpy, pandas, uuid)},
    "Colour": Colour,
    "Point": Point,
}


class Documented(typing.NamedTuple):
    expression: str
    text: str
    types: dict[str, str]
    """By reader."""


def documented() -> list[Documented]:
    found = []
    for line in DOCUMENT.read_text().split("<!-- types -->")[1].strip().splitlines()[2:]:
        expression, text, *types = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        found.append(Documented(expression, "" if text == "(empty)" else text, dict(zip(READERS, types, strict=True))))
    return found


def test_the_recipes_of_the_tests_are_those_of_the_document() -> None:
    document = DOCUMENT.read_text()
    assert readers.DUCKDB in document
    for option, value in readers.SPARK.items():
        written = repr(value) if value == '"' else json.dumps(value) if isinstance(value, str) else repr(value)
        assert f"    {option}={written}," in document, option


@pytest.fixture(scope="module")
def all_in_one_row(write: typing.Any) -> pathlib.Path:
    values = [eval(each.expression, NAMESPACE) for each in documented()]
    path: pathlib.Path = write([values], [each.expression for each in documented()])
    return path


@pytest.mark.parametrize("each", documented(), ids=lambda each: str(each.expression))
def test_a_value_stands_in_the_file_as_documented(write: typing.Any, each: Documented) -> None:
    path: pathlib.Path = write([[eval(each.expression, NAMESPACE)]], ["cell"])
    _, row, _ = path.read_bytes().decode().split("\r\n")
    assert row.split(",", 3)[3] == each.text


@pytest.mark.parametrize("reader", ["pandas", "DuckDB", "polars"])
def test_a_reader_finds_the_documented_type(all_in_one_row: pathlib.Path, reader: str) -> None:
    types: list[object]
    if reader == "pandas":
        types = [str(dtype) for dtype in pandas.read_csv(all_in_one_row).dtypes]
    elif reader == "DuckDB":
        types = [str(dtype) for dtype in duckdb.sql(f"from read_csv('{all_in_one_row}', {readers.DUCKDB})").types]
    else:
        types = [str(dtype.base_type()) for dtype in polars.read_csv(all_in_one_row, try_parse_dates=True).dtypes]
    assert_types(reader, types)


@pytest.mark.java
def test_spark_finds_the_documented_type(all_in_one_row: pathlib.Path, spark: typing.Any) -> None:
    frame = spark.read.csv(str(all_in_one_row), inferSchema=True, **readers.SPARK)
    assert_types("Spark", [dtype for _, dtype in frame.dtypes])


def assert_types(reader: str, types: list[object]) -> None:
    found = dict(zip([each.expression for each in documented()], types[3:], strict=True))
    assert found == {each.expression: each.types[reader] for each in documented()}
