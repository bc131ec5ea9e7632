"""The recipes of docs/reading.md for many files: days, columns that change, files that were full, files of pods."""

from __future__ import annotations

import functools
import glob
import os
import pathlib
import re
import shutil
import typing

import duckdb
import pandas
import polars
import pytest

from ..docs.pages import blocks
from . import readers
from .conftest import Write

ROWS = {(1, "x", None), (2, "y", None), (3, "x", None), (4, None, 0.5), (5, "z", None), (6, "w", 1.5)}
"""What was collected: the columns a, b and c, of which each file lacks some."""


@pytest.fixture
def folder(write: Write, tmp_path: pathlib.Path) -> pathlib.Path:
    """Two days; on the second the columns change, change their order, a file is full, and a pod has its own.

    And a policy left one empty.
    """
    files = {
        "28/data.csv": write([[1, "x"], [2, "y"]], ["a", "b"]),
        "29/data.csv": write([["x", 3]], ["b", "a"]),
        "29/data.0a1b2c3d.csv": write([[4, 0.5]], ["a", "c"]),
        "29/data.1.csv": write([["z", 5]], ["b", "a"]),
        "29/data.churn-5c6f-abcde.csv": write([[6, "w", 1.5]], ["a", "b", "c"]),
    }
    for name, source in files.items():
        path = tmp_path / "inputs/2026/11" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
    (tmp_path / "inputs/2026/11/29/data.2.csv").touch()
    return tmp_path


def recipe(language: str, word: str) -> str:
    (found,) = (block for block in blocks(language, page="docs/reading.md") if word in block.text)
    return found.text


def run(text: str, **names: object) -> typing.Any:
    exec(text, names)
    return names["table"]


def rows(found: typing.Iterable[typing.Sequence[typing.Any]]) -> set[tuple[object, ...]]:
    return {tuple(None if cell != cell else cell for cell in row) for row in found}


def test_pandas(folder: pathlib.Path) -> None:
    table = run(recipe("python", "pandas.read_csv(file) for file in files], ignore_index"), **_given(folder))
    assert rows(table[["a", "b", "c"]].itertuples(index=False)) == ROWS


def test_duckdb(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert rows(duckdb.sql(recipe("sql", "data*.csv")).project("a, b, c").fetchall()) == ROWS


def test_polars(folder: pathlib.Path) -> None:
    table = run(recipe("python", "diagonal_relaxed"), **_given(folder))
    assert rows(table.select("a", "b", "c").rows()) == ROWS


@pytest.mark.java
def test_spark(folder: pathlib.Path, spark: typing.Any) -> None:
    files = sorted(map(str, folder.rglob("data*.csv")))
    options = {**readers.SPARK, "inferSchema": True}
    table = run(recipe("python", "unionByName"), functools=functools, spark=spark, files=files, options=options)
    assert rows(tuple(row) for row in table.select("a", "b", "c").collect()) == ROWS


def _given(folder: pathlib.Path) -> dict[str, object]:
    return {"folder": folder / "inputs", "glob": glob, "os": os, "pandas": pandas, "polars": polars}


def test_no_recipe_leaves_a_file_out() -> None:
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/reading.md").read_text(encoding="utf-8")
    # A closed day is one file.
    assert all(found.startswith("`closed/") for found in re.findall(r"\S*\*/data\.csv", text))
