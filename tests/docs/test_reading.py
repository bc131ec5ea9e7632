"""docs/reading.md: what analysts type, and how inputs and predictions are joined, run as it stands there."""

from __future__ import annotations

import pathlib
import shutil
import typing

import duckdb
import pandas
import pytest

from ..analytics.collecting import Collected, into_directory
from ..reading.conftest import write  # noqa: F401 (a fixture)
from .pages import Block, blocks


@pytest.fixture
def files(write: typing.Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> pathlib.Path:  # noqa: F811
    """A directory with what one request collected."""
    shutil.copy(write([[41, "a"], [29, "b"]], ["age", "text"]), tmp_path / "inputs.csv")
    shutil.copy(write([[0.41], [0.29]], ["risk"]), tmp_path / "predictions.csv")
    return tmp_path


def joining(language: str, word: str) -> Block:
    (found,) = (block for block in blocks(language, page="docs/reading.md") if word in block.text)
    return found


def test_pandas_joins_inputs_with_predictions(files: pathlib.Path) -> None:
    tables = {name: pandas.read_csv(files / f"{name}.csv") for name in ("inputs", "predictions")}
    joined = eval(joining("python", ".merge(").text, tables)
    assert joined[["age", "risk"]].to_numpy().tolist() == [[41, 0.41], [29, 0.29]]


def test_duckdb_joins_inputs_with_predictions(files: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    joined = duckdb.sql(joining("sql", " join ").text)
    assert sorted(joined.project("age, risk").fetchall()) == [(29, 0.29), (41, 0.41)]


def test_an_analyst_gets_a_table(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    collected = Collected(into_directory(tmp_path / "store"))
    collected.collect([[41, "a"], [29, ""]], ["age", "text"])
    collected.collect([[0.41], [0.29]], ["risk"], designation="predictions")
    monkeypatch.chdir(tmp_path)
    names: dict[str, typing.Any] = {"address": str(tmp_path / "store"), "credential": None}
    ran = blocks("python", "analyst", page="docs/reading.md")
    for block in ran:
        exec(block.text, names)
    assert len(ran) == 3
    assert names["frame"][["age", "risk"]].to_numpy().tolist() == [[41, 0.41], [29, 0.29]]
    assert names["rows"].aggregate("count(*)").fetchall() == [(2,)]
    assert (tmp_path / "churn.parquet").exists()
