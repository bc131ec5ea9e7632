"""The recipes of docs/reading.md: each reader with cells as text, with the columns' types given, and with types by
itself.

All return columns by name; a missing value is None.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import typing

import duckdb
import pandas
import polars

if typing.TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Columns = dict[str, list[typing.Any]]
Kinds = typing.Mapping[str, str]
"""The kind of each column, see ``tables.KINDS``."""

DUCKDB = "header = true, delim = ',', quote = '\"', escape = '\"', new_line = '\\r\\n', allow_quoted_nulls = false"


def pandas_text(path: pathlib.Path) -> Columns:
    return _columns(pandas.read_csv(path, dtype=str, keep_default_na=False))


def pandas_typed(path: pathlib.Path, kinds: Kinds) -> Columns:
    types = {"integer": "Int64", "float": "float64", "boolean": "boolean"}
    texts = [name for name, kind in kinds.items() if kind not in types]
    frame = pandas.read_csv(
        path,
        dtype={name: types.get(kind, "string") for name, kind in kinds.items()},
        keep_default_na=False,
        na_values={name: [""] if kind != "float" else ["", "NaN"] for name, kind in kinds.items()},
    )
    for name in texts:
        if kinds[name] == "moment":
            frame[name] = pandas.to_datetime(frame[name], format="ISO8601")
    return _converted(_columns(frame), kinds)


def pandas_inferred(path: pathlib.Path, names: typing.Iterable[str]) -> Columns:
    return _columns(pandas.read_csv(path, usecols=[*names], dtype_backend="numpy_nullable"))


def _columns(frame: pandas.DataFrame) -> Columns:
    return {
        str(name): [None if cell is pandas.NA or cell is pandas.NaT else cell for cell in frame[name].tolist()]
        for name in frame.columns
    }


def duckdb_text(path: pathlib.Path) -> Columns:
    return query(f"select * from read_csv('{path}', {DUCKDB}, all_varchar = true)")


def duckdb_typed(path: pathlib.Path, kinds: Kinds) -> Columns:
    types = {"integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "moment": "TIMESTAMP", "day": "DATE"}
    named = ", ".join(f"'{name}': '{types.get(kind, 'VARCHAR')}'" for name, kind in kinds.items())
    chosen = ", ".join(f'"{name}"' for name in kinds)
    found = query(f"select {chosen} from read_csv('{path}', {DUCKDB}, types = {{{named}}})")
    return _converted(found, kinds)


def duckdb_inferred(path: pathlib.Path, names: typing.Iterable[str]) -> Columns:
    chosen = ", ".join(f'"{name}"' for name in names)
    return query(f"select {chosen} from read_csv('{path}', {DUCKDB})")


def query(text: str) -> Columns:
    relation = duckdb.sql(text)
    rows = relation.fetchall()
    return {name: [row[number] for row in rows] for number, name in enumerate(relation.columns)}


def polars_text(path: pathlib.Path) -> Columns:
    return polars.read_csv(path, infer_schema=False).to_dict(as_series=False)


def polars_typed(path: pathlib.Path, kinds: Kinds) -> Columns:
    types = {"integer": polars.Int64, "float": polars.Float64, "boolean": polars.Boolean}
    types |= {"moment": polars.Datetime("us"), "day": polars.Date}
    overrides = {name: types.get(kind, polars.String) for name, kind in kinds.items()}
    return _converted(polars.read_csv(path, schema_overrides=overrides).to_dict(as_series=False), kinds)


def polars_inferred(path: pathlib.Path, names: typing.Iterable[str]) -> Columns:
    return polars.read_csv(path, columns=[*names], infer_schema_length=None).to_dict(as_series=False)


def _converted(columns: Columns, kinds: Kinds) -> Columns:
    """Return the named columns, times as Python's and JSON parsed."""
    return {name: [_value(cell, kind) for cell in columns[name]] for name, kind in kinds.items()}


def _value(cell: typing.Any, kind: str) -> object:
    if cell is None:
        return None
    if kind == "nested":
        return json.loads(cell)
    if kind == "day" and isinstance(cell, str):
        return datetime.date.fromisoformat(cell)
    return cell.to_pydatetime() if isinstance(cell, pandas.Timestamp) else cell


SPARK: dict[str, typing.Any] = {
    "header": True,
    "multiLine": True,
    "lineSep": "\r\n",
    "escape": '"',
    "charToEscapeQuoteEscaping": '"',
    "nullValue": "\ue000",
    "mode": "FAILFAST",
}


def spark_text(session: SparkSession, paths: list[str]) -> Columns:
    return _collected(session.read.csv(paths, **SPARK))


def spark_typed(session: SparkSession, paths: list[str], kinds: Kinds) -> Columns:
    types = {"integer": "bigint", "float": "double", "boolean": "boolean", "moment": "timestamp_ntz", "day": "date"}
    schema = ", ".join(f"`{name}` {types.get(kind, 'string')}" for name, kind in kinds.items())
    leading = "`$Timestamp` timestamp, `$CorrelationId` string, `$RequestId` string"
    read = _collected(session.read.csv(paths, schema=f"{leading}, {schema}", **SPARK))
    return {"$RequestId": read["$RequestId"]} | _converted(read, kinds)


def spark_inferred(session: SparkSession, paths: list[str]) -> Columns:
    return _collected(session.read.csv(paths, inferSchema=True, **SPARK))


def _collected(frame: DataFrame) -> Columns:
    rows = frame.collect()
    return {name: [row[number] for row in rows] for number, name in enumerate(frame.columns)}
