"""Where readers differ, in the words of docs/reading.md."""

from __future__ import annotations

import math
import pathlib
import typing

import duckdb
import numpy
import pandas
import polars
import pytest

from . import readers

WORDS = ["", "NA", "null", "None", "NaN"]


@pytest.fixture(scope="module")
def words(write: typing.Any) -> pathlib.Path:
    path: pathlib.Path = write([[word] for word in WORDS], ["word"])
    return path


def test_pandas_takes_some_words_for_missing_unless_told(words: pathlib.Path) -> None:
    assert pandas.read_csv(words)["word"].isna().all()
    assert pandas.read_csv(words, keep_default_na=False)["word"].tolist() == WORDS


def test_duckdb_takes_an_empty_text_for_missing_unless_told(words: pathlib.Path) -> None:
    types = "types = {'word': 'VARCHAR'}"
    assert readers.query(f"select word from read_csv('{words}', {types})")["word"] == [None, *WORDS[1:]]
    assert readers.query(f"select word from read_csv('{words}', {readers.DUCKDB}, {types})")["word"] == WORDS


def test_polars_takes_words_for_words(words: pathlib.Path) -> None:
    assert polars.read_csv(words)["word"].to_list() == WORDS


@pytest.mark.java
def test_spark_takes_an_empty_text_for_missing_unless_told(words: pathlib.Path, spark: typing.Any) -> None:
    plain = spark.read.csv(str(words), header=True, multiLine=True, escape='"')
    assert [row.word for row in plain.collect()] == [None, *WORDS[1:]]
    assert readers.spark_text(spark, [str(words)])["word"] == WORDS


@pytest.mark.java
def test_spark_changes_some_line_ends_and_nul_unless_told(write: typing.Any, spark: typing.Any) -> None:
    texts = ["a\r\nb", 'a\0"b', "a\rb", "a\nb", 'a"b', "a\\b"]
    path = str(write([[text] for text in texts], ["text"]))
    plain = spark.read.csv(path, header=True, multiLine=True, escape='"')
    assert [row.text for row in plain.collect()] == ["a\nb", 'a"b', *texts[2:]]
    assert readers.spark_text(spark, [path])["text"] == texts


@pytest.fixture(scope="module")
def twice(write: typing.Any) -> pathlib.Path:
    path: pathlib.Path = write(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    return path


def test_columns_of_one_name_stay_two(twice: pathlib.Path) -> None:
    assert list(pandas.read_csv(twice).columns[3:]) == ["a", "a.1"]
    assert duckdb.sql(f"from read_csv('{twice}', {readers.DUCKDB})").columns[3:] == ["a", "a_1"]
    assert polars.read_csv(twice).columns[3:] == ["a", "a_duplicated_0"]


@pytest.mark.java
def test_columns_of_one_name_stay_two_in_spark(twice: pathlib.Path, spark: typing.Any) -> None:
    assert spark.read.csv(str(twice), **readers.SPARK).columns[3:] == ["a3", "a4"]


NAMES = ['say "a"', " a "]


def test_some_names_change(write: typing.Any) -> None:
    path = write([[1, 2]], NAMES)
    assert list(pandas.read_csv(path).columns[3:]) == NAMES
    assert duckdb.sql(f"from read_csv('{path}', {readers.DUCKDB})").columns[3:] == ['say "a"', "a"]
    assert polars.read_csv(path).columns[3:] == ['say ""a""', " a "]


@pytest.mark.java
def test_no_name_changes_in_spark(write: typing.Any, spark: typing.Any) -> None:
    assert spark.read.csv(str(write([[1, 2]], NAMES)), **readers.SPARK).columns[3:] == NAMES


def test_pandas_makes_other_types_of_columns_with_gaps_unless_told(write: typing.Any) -> None:
    path = write([[2**53 + 1, True, 0.5], [None, None, math.nan]], ["n", "b", "x"])
    assert [str(dtype) for dtype in pandas.read_csv(path).dtypes[3:]] == ["float64", "object", "float64"]
    frame = pandas.read_csv(path, dtype_backend="numpy_nullable")
    assert [str(dtype) for dtype in frame.dtypes[3:]] == ["Int64", "boolean", "Float64"]
    assert frame["n"][0] == 2**53 + 1


def test_no_time_of_numpy_is_no_time_in_the_file(write: typing.Any) -> None:
    """orjson would write 1970-01-01 or 1677-09-21, and older ones end the process."""
    for unit in ("D", "h", "s", "us", "ns"):
        path = write([[numpy.datetime64("NaT", unit), 1], [numpy.datetime64("1970-01-01", unit), 2]], ["t", "n"])
        assert polars.read_csv(path, try_parse_dates=True)["t"].is_null().to_list() == [True, False], unit
