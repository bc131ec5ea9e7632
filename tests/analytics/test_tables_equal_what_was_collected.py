"""Generated tables: through the client's encoder, raw and closed, and back as one table of the values collected."""

from __future__ import annotations

import datetime
import math
import pathlib
import shutil
import tempfile
import typing

import hypothesis
import pandas
import pyarrow
from hypothesis import strategies

from modeldata import settings
from modeldata_analytics import Store
from modeldata_analytics.catalog import open_store
from modeldata_analytics.days import template

from ..reading import tables
from . import stores
from .collecting import NOON, Collected, into_directory

KINDS = {"integer": "int64", "float": "double", "boolean": "bool", "moment": "timestamp[us]", "day": "date32[day]"}


def close(root: pathlib.Path, formats: tuple[str, ...]) -> None:
    scratch = pathlib.Path(tempfile.mkdtemp(dir=root.parent))
    now = NOON + datetime.timedelta(days=9)
    outcomes = stores.close(open_store(root.as_uri()), scratch, now=now, path=template.Template(), formats=formats)
    assert [each.reason for each in outcomes] == [""]


def is_what_was_collected(kind: str, cell: typing.Any, found: typing.Any) -> bool:
    """Return whether a value is the one collected: of its type, or its text where its column has none."""
    if cell is None:
        return found is None
    if isinstance(found, str) and kind != "text":
        return tables.text_is(found, cell)
    if kind != "text" or isinstance(found, str):
        return tables.same(found, cell)
    # Texts that are all numbers, or all days, have a type too, if their texts come back.
    if isinstance(found, bool):
        return bool(cell == ("true" if found else "false"))
    if isinstance(found, float):
        return tables.same(float(cell), found) and (not math.isfinite(found) or _digits(repr(found)) == _digits(cell))
    return bool(cell == (found.isoformat() if isinstance(found, datetime.date) else str(found)))


def _digits(number: str) -> str:
    return number.lower().partition("e")[0].replace(".", "").lstrip("-").strip("0")


@hypothesis.given(
    parts=strategies.lists(
        strategies.tuples(tables.tables(), strategies.sampled_from(list(tables.SHAPES))), min_size=1, max_size=3
    ),
    layout=strategies.sampled_from(list(settings.Columns)),
    closed=strategies.integers(0, 3),
    formats=strategies.sampled_from([("CSV",), ("Parquet",), ("CSV", "Parquet")]),
    pods=strategies.booleans(),
)
@hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_what_is_read_is_what_was_collected(
    parts: list[tuple[tables.Table, str]],
    layout: settings.Columns,
    closed: int,
    formats: tuple[str, ...],
    pods: bool,
) -> None:
    home = pathlib.Path(tempfile.mkdtemp())
    try:
        root = home / "store"
        root.mkdir()
        wanted: dict[str, dict[str, tuple[str, typing.Any]]] = {}
        collected = Collected(into_directory(root), columns=layout)
        for number, (table, shape) in enumerate(parts):
            if pods:
                collected = Collected(into_directory(root), columns=layout, file=f"data.pod-{number}")
            collected.collect(tables.SHAPES[shape](table), table.names, request=f"q{number}")
            for place, row in enumerate(tables.collected(table, shape)):
                cells = zip(table.names, table.kinds, row, strict=True)
                wanted[f"q{number}-{place}"] = {name: (kind, cell) for name, kind, cell in cells}
            if closed == number:
                close(root, formats)
        model = Store(root).model("churn", version="10")
        check(model.scan(designations=["inputs"]).read_all(), wanted)
        frame = model.table(designations=["inputs"])
        assert sorted(frame["$RequestId"]) == sorted(wanted)
        in_pandas(frame, model.scan(designations=["inputs"]).read_all())
    finally:
        shutil.rmtree(home)


def check(found: pyarrow.Table, wanted: dict[str, dict[str, tuple[str, typing.Any]]]) -> None:
    rows = {row["$RequestId"]: row for row in found.to_pylist()}
    assert len(rows) == found.num_rows
    assert rows.keys() == wanted.keys()
    assert {name for each in wanted.values() for name in each} == set(found.schema.names[3:])
    for request, cells in wanted.items():
        row = rows[request]
        assert row["$Timestamp"] == NOON
        for name in found.schema.names[3:]:
            kind, cell = cells.get(name, ("none", None))
            assert is_what_was_collected(kind, cell, row[name]), (request, name, cell, row[name])
    for field in list(found.schema)[3:]:
        kinds = {cells[field.name][0] for cells in wanted.values() if field.name in cells}
        values = [cells[field.name][1] for cells in wanted.values() if field.name in cells]
        if kinds <= {"integer", "boolean", "moment", "day"} and len(kinds) == 1 and any(v is not None for v in values):
            assert str(field.type) == KINDS[kinds.pop()]


def in_pandas(frame: pandas.DataFrame, arrow: pyarrow.Table) -> None:
    """Check that a frame has the values of an arrow table."""
    order = {request: place for place, request in enumerate(frame["$RequestId"])}
    for name, column in zip(arrow.schema.names, arrow.columns, strict=True):
        for request, value in zip(arrow["$RequestId"].to_pylist(), column.to_pylist(), strict=True):
            read = frame[name].iloc[order[request]]
            if value is None or value != value:
                assert pandas.isna(read)
            else:
                assert read == value
                assert type(read) is not float or math.copysign(1, read) == math.copysign(1, value)
