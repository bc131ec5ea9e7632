"""Rows under labels stand under their labels, whatever order they come in, in one file."""

from __future__ import annotations

import collections
import contextvars
import csv
import dataclasses
import io
import pathlib
import pickle
import random
import subprocess
import sys
import threading
import types
import typing

import numpy
import pandas
import polars
import pyarrow
import pytest

from modeldata import ModelDataCollector, settings
from modeldata.delivery import building, headers
from modeldata.spool import records
from modeldata.tables import adapter

from .conftest import Spooled

KEYS = ("age", "bmi", "bp", "s1")
Files = typing.Callable[..., typing.Dict[typing.Tuple[str, ...], typing.List[typing.Dict[str, str]]]]  # noqa: UP006


@pytest.fixture
def files(collecting: typing.Callable[..., Spooled]) -> Files:
    """What is in the files of a day, by header."""
    spooled = collecting()

    def read(*redactions: settings.Redaction) -> dict[tuple[str, ...], list[dict[str, str]]]:
        storage = settings.Storage("http://x", "c", "{designation}/{file}")
        builder = building.Builder(settings.Settings(storage=storage, redactions=redactions))
        for each in spooled():
            builder.add(each)
        assert builder.drops == []
        found: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for block in builder.blocks():
            reader = csv.DictReader(io.StringIO((block.header + block.data).decode(), newline=""), strict=True)
            found[tuple(reader.fieldnames or ())[3:]] = list(reader)
        return found

    return read


def serve(collector: ModelDataCollector, data: object) -> None:
    contextvars.Context().run(collector.collect, data)


def shuffled(number: int, keys: tuple[str, ...] = KEYS) -> dict[str, int]:
    order = random.Random(number).sample(keys, len(keys))
    return {key: number * 10 + KEYS.index(key) for key in order}


MAKERS: dict[str, typing.Callable[[dict[str, int]], object]] = {
    "a dict": lambda row: row,
    "a list of dicts": lambda row: [row],
    "a dict of lists": lambda row: {key: [value] for key, value in row.items()},
    "a UserDict": collections.UserDict,
    "a mapping proxy": types.MappingProxyType,
    "a Series": pandas.Series,
    "a list of Series": lambda row: [pandas.Series(row)],
    "a frame": lambda row: pandas.DataFrame([row]),
    "a frame of floats": lambda row: pandas.DataFrame([row], dtype="f8"),
    "a row of a frame": lambda row: pandas.DataFrame([row]).iloc[0],
    "itertuples": lambda row: list(pandas.DataFrame([row]).itertuples()),
    "a frame of polars": lambda row: polars.DataFrame([row]),
    "an arrow table": lambda row: pyarrow.Table.from_pylist([row]),
    "a structured array": lambda row: numpy.array([tuple(row.values())], [(key, int) for key in row]),
    "a named tuple": lambda row: collections.namedtuple("Row", row)(**row),  # type: ignore[misc]
    "a dataclass": lambda row: dataclasses.make_dataclass("Row", row)(**row),
}


@pytest.mark.parametrize("names", [(), KEYS, ("bp", "s1", "bmi", "age")], ids=["no names", "names", "other order"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_keys_in_any_order_make_one_file(files: Files, make: typing.Any, names: tuple[str, ...]) -> None:
    collector = ModelDataCollector("m", "inputs", names or None)
    for number in range(60):
        serve(collector, make(shuffled(number)))
    ((header, found),) = files().items()
    assert header == (names or tuple(shuffled(0)))
    assert [{key: int(float(row[key])) for key in KEYS} for row in found] == [
        {key: number * 10 + place for place, key in enumerate(KEYS)} for number in range(60)
    ]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_key_that_is_missing_now_and_then_is_an_empty_cell(files: Files, make: typing.Any) -> None:
    collector = ModelDataCollector("m", "inputs", KEYS)
    for number in range(60):
        serve(collector, make(shuffled(number, KEYS if number % 7 else KEYS[:-1])))
    ((header, found),) = files().items()
    assert header == KEYS
    assert [row["s1"] == "" for row in found] == [number % 7 == 0 for number in range(60)]
    assert [int(float(row["bp"])) for row in found] == [number * 10 + 2 for number in range(60)]


def test_three_hundred_dicts_with_and_without_names(files: Files) -> None:
    for designation, names in (("inputs", KEYS), ("features", None)):
        collector = ModelDataCollector("m", designation, names)
        for number in range(300):
            serve(collector, shuffled(number))
    assert sum(map(len, files().values())) == 600
    assert len(files()) == 2


def test_a_key_never_seen_is_a_new_column_behind_the_others(files: Files) -> None:
    collector = ModelDataCollector("m", "inputs")
    for row in ({"a": 1}, {"b": 2, "a": 3}, {"a": 4}, {"c": 5}):
        serve(collector, row)
    assert {header: len(found) for header, found in files().items()} == {("a",): 1, ("a", "b"): 2, ("a", "b", "c"): 1}


def test_rows_of_one_list_may_each_lack_keys(files: Files) -> None:
    serve(ModelDataCollector("m", "inputs"), [{"a": 1}, {"b": 2}, {"c": 3, "a": 4}, [5, 6], 7])
    ((header, found),) = files().items()
    assert header == ("a", "b", "c")
    assert [[row[key] for key in header] for row in found] == [
        ["1", "", ""], ["", "2", ""], ["4", "", "3"], ["5", "6", ""], ["7", "", ""]
    ]  # fmt: skip


def test_names_that_have_nothing_to_do_with_the_labels_add_no_columns(files: Files) -> None:
    serve(ModelDataCollector("m", "inputs", ["x", "y"]), {"a": 1, "b": 2})
    assert list(files()) == [("a", "b")]


def test_lists_and_dicts_of_one_collector_share_a_file(files: Files) -> None:
    collector = ModelDataCollector("m", "inputs", ["a", "b"])
    for data in ([[1, 2]], {"b": 4, "a": 3}, pandas.DataFrame({"b": [6], "a": [5]}), numpy.array([[7, 8]])):
        serve(collector, data)
    ((header, found),) = files().items()
    assert header == ("a", "b")
    assert [[row["a"], row["b"]] for row in found] == [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"]]


def test_wide_rows_keep_their_order_too(files: Files) -> None:
    keys = tuple(f"k{n}" for n in range(3000))
    collector = ModelDataCollector("m", "inputs")
    for number in range(3):
        order = random.Random(number).sample(keys, len(keys))
        serve(collector, {key: keys.index(key) for key in order})
    ((_, found),) = files().items()
    assert all(row[key] == str(place) for row in found for place, key in enumerate(keys))


def test_columns_grow_some_times_and_no_more(files: Files) -> None:
    collector = ModelDataCollector("m", "inputs")
    for number in range(1000):
        serve(collector, {f"key {number}": number, "same": 1})
    assert len(collector._columns.labels) <= 1 + adapter.MOST_SETS
    found = files()
    assert len(found) == headers.MOST + 1
    assert sum(map(len, found.values())) == 1000


def test_threads_that_begin_at_once_agree_on_the_order(files: Files) -> None:
    collector = ModelDataCollector("m", "inputs")
    barrier = threading.Barrier(8)

    def run(number: int) -> None:
        barrier.wait()
        for turn in range(20):
            serve(collector, shuffled(number * 20 + turn))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for found in files().values():
        for row in found:
            number = int(row["age"]) // 10
            assert {key: row[key] for key in KEYS} == {key: str(number * 10 + n) for n, key in enumerate(KEYS)}


def test_a_column_that_is_dropped_may_hold_anything_that_is_a_cell(files: Files) -> None:
    frame = pandas.DataFrame({"image": [b"\xff\xd8", b"\xff"], "n": [1, 2]})
    serve(ModelDataCollector("m", "inputs"), frame)
    ((header, found),) = files(settings.Redaction("image", settings.Action.DROP)).items()
    assert header == ("n",)
    assert [row["n"] for row in found] == ["1", "2"]


SCRIPT = """
import pathlib, pickle, sys
import modeldata
made = modeldata.ModelDataCollector(sys.argv[1], "inputs", [sys.argv[1]])
pathlib.Path(sys.argv[2]).write_bytes(pickle.dumps(made))
"""


def test_collectors_pickled_in_two_processes_keep_apart(files: Files, tmp_path: pathlib.Path) -> None:
    loaded = []
    for name in ("one", "two"):
        path = tmp_path / name
        subprocess.run([sys.executable, "-c", SCRIPT, name, str(path)], check=True)
        loaded.append(pickle.loads(path.read_bytes()))
    for each in loaded:
        serve(each, [[each.model_name]])
    assert {header: [row[header[0]] for row in found] for header, found in files().items()} == {
        ("one",): ["one"], ("two",): ["two"]
    }  # fmt: skip
    assert loaded[0]._stream.number != loaded[1]._stream.number


def test_a_pickled_stream_is_another_of_the_same(files: Files) -> None:
    stream = records.Stream("m", "inputs", ("a",))
    again = pickle.loads(pickle.dumps(stream))
    assert again.number != stream.number
    assert (again.model, again.designation, again.names) == ("m", "inputs", ("a",))
