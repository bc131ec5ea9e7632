"""Runs the cells of a notebook of Databricks in a Spark that is not Databricks, and writes what they show.

A program: it runs in the Python of the Spark that is meant. Its standard input is an object:

- ``notebook``: the file
- ``options``: of the session
- ``widgets``, ``sas``: what a workspace gives
- ``changes``: texts to replace in each cell
- ``skipped``: texts of cells that are not run
- ``failing``: further runs of a cell that must fail: a text of the cell, and further changes; the error is shown
- ``answer``: the file that is written, as JSON: what was shown, in its order
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing

from pyspark.sql import DataFrame, SparkSession

HEAD, BREAK, MAGIC = "# Databricks notebook source\n", "# COMMAND ----------\n", "# MAGIC"


class Given:
    """Stands in for ``dbutils.widgets`` and ``dbutils.secrets``."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str, label: str = "") -> None:
        self._values.setdefault(name, default)

    def get(self, name: str = "", *, scope: str = "", key: str = "") -> str:
        return self._values[f"{scope}/{key}" if key else name]


class Utilities:
    def __init__(self, widgets: dict[str, str], sas: str) -> None:
        self.widgets = Given(widgets)
        self.secrets = Given({"modeldata/sas": sas})


class Notebook:
    """What the cells know, and what they showed."""

    def __init__(self, spark: SparkSession, utilities: Utilities) -> None:
        self.shown: list[object] = []
        self._spark = spark
        self._names: dict[str, typing.Any] = {"spark": spark, "display": self._display, "dbutils": utilities}

    def run(self, cell: str) -> None:
        if not cell.startswith(MAGIC):
            exec(cell, self._names)
            return
        kind, *lines = [line.removeprefix(MAGIC).removeprefix(" ") for line in cell.splitlines()]
        if kind == "%sql":
            self._display(self._spark.sql("\n".join(lines)))
        else:
            assert kind == "%md", kind

    def _display(self, frame: DataFrame) -> None:
        texts = frame.select([frame[f"`{name}`"].cast("string") for name in frame.columns])
        self.shown.append({"types": dict(frame.dtypes), "rows": [row.asDict() for row in texts.collect()]})


def main() -> None:
    asked = json.load(sys.stdin)
    builder: typing.Any = SparkSession.builder
    spark = builder.config(map=asked["options"]).getOrCreate()
    spark.sparkContext.setLogLevel("FATAL")
    notebook = Notebook(spark, Utilities(asked["widgets"], asked["sas"]))
    text = pathlib.Path(asked["notebook"]).read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    cells = [changed(cell.strip(), asked["changes"]) for cell in text.removeprefix(HEAD).split(BREAK)]
    for cell in cells:
        if not any(each in cell for each in asked["skipped"]):
            notebook.run(cell)
    for part, changes in asked["failing"]:
        (cell,) = (each for each in cells if part in each)
        try:
            notebook.run(changed(cell, changes))
        except Exception as error:
            notebook.shown.append(str(error))
    pathlib.Path(asked["answer"]).write_text(json.dumps(notebook.shown))
    spark.stop()


def changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


main()
