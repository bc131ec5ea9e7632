"""docs/reading.md: how inputs and predictions are joined, run as it stands there."""

from __future__ import annotations

import pathlib
import shutil
import typing

import duckdb
import pandas
import pytest

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
