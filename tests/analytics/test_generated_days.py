"""Generated tables, collected by the client and closed, are what they were: texts in the CSV, values in Parquet."""

from __future__ import annotations

import datetime
import decimal
import itertools
import json
import math
import pathlib
import struct
import typing

import hypothesis
import pytest
from hypothesis import strategies

from modeldata_analytics import columns
from modeldata_analytics.catalog import open_store

from ..reading import tables
from ..reading.conftest import write  # noqa: F401 (a fixture)
from .stores import Filled, Row, close, parsed

FILES = strategies.lists(
    strategies.tuples(tables.tables(), strategies.sampled_from(list(tables.SHAPES)), strategies.booleans()),
    min_size=1,
    max_size=3,
)
"""Each with whether it comes when the day is closed already."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[pathlib.Path]:
    return (tmp_path_factory.mktemp("day") for _ in itertools.count())


@hypothesis.given(files=FILES)
@hypothesis.settings(
    deadline=None, max_examples=25, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None
)
def test_each_cell_is_the_one_collected(
    write: typing.Any,  # noqa: F811
    folders: typing.Iterator[pathlib.Path],
    files: list[tuple[tables.Table, str, bool]],
) -> None:
    folder = next(folders)
    (folder / "store").mkdir()
    filled = Filled(open_store(str(folder / "store")), root=folder / "store")
    collected: dict[str, dict[str, str | None]] = {}
    for late in (False, True):
        for number, (table, shape, comes_late) in enumerate(files):
            if comes_late is not late:
                continue
            content = write(tables.SHAPES[shape](table), table.names, request=f"t{number}").read_bytes()
            filled.append(f"data.{number}.csv", content)
            header, rows = parsed(content)
            collected |= {str(each[2]): _named(header, each) for each in rows}
        close(filled.store, folder)
    header, rows = filled.closed()
    assert [each[2] for each in rows] == sorted(collected)
    for each in rows:
        cells = _named(header, each)
        assert {name: text for name, text in cells.items() if text is not None} == {
            name: text for name, text in collected[str(each[2])].items() if text is not None
        }
    typed = list(itertools.chain.from_iterable(part.to_pylist() for part in filled.parts()))
    assert sorted(each["$RequestId"] for each in typed) == sorted(collected)
    for found in typed:
        rescued = json.loads(found[columns.RESCUED] or "{}")
        for name, text in collected[found["$RequestId"]].items():
            value = rescued.get(name, found[name])
            assert survived(text, value), (name, text, value)
    assert len({_types(part) for part in filled.parts()}) <= 2


def _named(header: Row, cells: Row) -> dict[str, str | None]:
    return {str(name): cell for name, cell in zip(header, cells, strict=True)}


def _types(part: typing.Any) -> tuple[str, ...]:
    return tuple(map(str, part.schema.types))


def survived(text: str | None, value: object) -> bool:
    """Return whether a typed value says all that its text said."""
    if text is None or isinstance(value, str) or value is None:
        return text == value
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int):
        return text == str(value)
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return text == "NaN" if math.isnan(value) else float(text) == value
        same = decimal.Decimal(text) == decimal.Decimal(repr(value))
        return same and struct.pack("d", float(text)) == struct.pack("d", value)
    if isinstance(value, datetime.datetime):
        return datetime.datetime.fromisoformat(text) == value
    return isinstance(value, datetime.date) and text == value.isoformat()


def test_it_tells_what_survived() -> None:
    assert survived("1.10", 1.1)
    assert not survived("0.1", 0.2)
    assert not survived("9007199254740993", 9007199254740992.0)
    assert not survived("", None)
