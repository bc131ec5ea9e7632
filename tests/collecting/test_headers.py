"""Columns that change with each call make some files a day and no more, and none of their rows is lost."""

from __future__ import annotations

import csv
import io
import itertools
import json
import logging
import typing

import numpy
import pytest

from modeldata import settings
from modeldata.delivery import building, headers
from modeldata.encoding import layout
from modeldata.spool import records
from modeldata.tables import rows

DAY = 86_400_000_000


def files(
    calls: typing.Iterable[typing.Any],
    *,
    redactions: tuple[settings.Redaction, ...] = (),
    columns: settings.Columns = settings.Columns.LEADING,
    day: int = 0,
    known: headers.Headers | None = None,
) -> dict[bytes, list[dict[str, str]]]:
    """Return the rows of each file, by its header."""
    storage = settings.Storage("http://x", "c", "{designation}/{day}/{file}")
    now = settings.Settings(enabled=True, storage=storage, redactions=redactions, columns=columns)
    builder = building.Builder(now, known=known)
    for data in calls:
        for table in rows.take(data, names=(), input_rows=0):
            stream = records.Stream("m", "inputs", table.names)
            builder.add(records.Record(stream, day * DAY, "r", "", records.SINGLE, table))
    assert builder.drops == []
    found: dict[bytes, list[dict[str, str]]] = {}
    for block in builder.blocks():
        text = io.StringIO((block.header + block.data).decode(), newline="")
        found.setdefault(block.header, []).extend(csv.DictReader(text, strict=True))
    return found


@pytest.mark.parametrize("make", [lambda row: [row], lambda row: numpy.array([row], float)], ids=["lists", "arrays"])
def test_a_thousand_widths_make_some_files_and_one_of_objects(make: typing.Any) -> None:
    found = files(make(list(range(width))) for width in range(1, 1001))
    assert len(found) == headers.MOST + 1
    (objects,) = [each for header, each in found.items() if header.endswith(b",row\r\n")]
    assert len(objects) == 1000 - headers.MOST
    for row, width in zip(objects, range(headers.MOST + 1, 1001), strict=True):
        assert json.loads(row["row"]) == {f"feature_{n}": n for n in range(width)}


def test_objects_have_values_of_their_own_types_and_no_gaps() -> None:
    calls = [[{f"key {n}": n}] for n in range(headers.MOST)]
    calls.append([{"text": "12", "number": 12, "gap": None, "flag": True, "nested": {"a": [1]}, "nan": float("nan")}])
    *_, objects = files(calls).values()
    assert json.loads(objects[0]["row"]) == {
        "text": "12", "number": 12, "flag": True, "nested": {"a": [1]}, "nan": "NaN"
    }  # fmt: skip


def test_columns_of_one_name_are_both_in_the_object() -> None:
    known = headers.Headers()
    for n in range(headers.MOST):
        known.admit("inputs/01/{file}", b"%d" % n)
    (table,) = rows.take([[1, 2]], names=("a", "a"), input_rows=0)
    now = settings.Settings(storage=settings.Storage("http://x", "c", "{designation}/{day}/{file}"))
    builder = building.Builder(now, known=known)
    builder.add(records.Record(records.Stream("m", "inputs", ("a", "a")), 0, "r", "", records.SINGLE, table))
    (block,) = builder.blocks()
    assert block.data.endswith(b'"{""a.0"":1,""a"":2}"\r\n')


def test_what_is_redacted_is_in_no_object() -> None:
    calls = [[{f"key {n}": n, "ssn": "1-2"}] for n in range(30)]
    found = files(calls, redactions=(settings.Redaction("SSN", settings.Action.DROP),))
    assert len(found) == headers.MOST + 1
    assert "1-2" not in str(found)
    assert b"ssn" not in b"".join(found)


def test_the_columns_of_azure_ml_stay_beside_the_object() -> None:
    found = files(([{f"key {n}": n}] for n in range(30)), columns=settings.Columns.AZUREML)
    assert len(found) == headers.MOST + 1
    assert list(found[layout.header(("row", *layout.AZUREML))][0]) == ["row", *layout.AZUREML]


def test_a_new_day_has_headers_of_its_own() -> None:
    known = headers.Headers()
    first = files(([{f"key {n}": n}] for n in range(30)), known=known)
    second = files(([{f"other {n}": n}] for n in range(3)), known=known, day=1)
    assert len(first) == headers.MOST + 1
    assert len(second) == 3


def test_columns_that_are_known_keep_their_file() -> None:
    known = headers.Headers()
    files(([{f"key {n}": n}] for n in range(30)), known=known)
    assert list(files([[{"key 3": 1}]], known=known)) == [layout.header((*layout.LEADING, "key 3"))]


def test_it_is_said_once_a_folder(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        files([{f"key {n}": n}] for n in range(100))
    (said,) = caplog.messages
    assert "inputs/01 has 16 sets of columns" in said


def test_folders_that_are_remembered_take_some_memory_and_no_more() -> None:
    known = headers.Headers()
    for n in range(5000):
        known.admit(f"{n:01000}/data", b"header")
    assert len(known._known) < 1000


def test_headers_that_are_remembered_take_some_memory_and_no_more() -> None:
    for width in range(1, 2000):
        layout.header(layout.names((), width))
    assert sum(map(len, layout._headers.values())) < 2**20
    assert sum(map(len, itertools.chain(*layout._names.values()))) < 2**20
    for number in range(50):
        layout.header(("x" * 100_000 + str(number),))
    assert sum(map(len, layout._headers.values())) < 2**20
    layout.header(("y" * 2_000_000,))
    assert sum(map(len, layout._headers.values())) < 2**20
