"""Spark sorts rows as DuckDB does: the same bytes, but for the order of rows of one key."""

from __future__ import annotations

import itertools
import os
import pathlib
import random
import typing

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from modeldata_analytics.engines import EngineError, Rows, duck, spark
from modeldata_analytics.records import pieces

from ..reading import tables
from .stores import LEADING, Row, parsed, row, written

pytestmark = pytest.mark.java

WIDTH = 6
NAMES = (*LEADING, "a", "#b", 'say "c"')


@pytest.fixture
def engines(request: pytest.FixtureRequest, scratch: pathlib.Path) -> tuple[spark.Spark, duck.DuckDB]:
    local = duck.DuckDB(memory="500MB", threads=1, scratch=scratch)
    return spark.Spark(request.getfixturevalue("spark"), local, scratch=scratch), local


def file(folder: pathlib.Path, name: str, rows: typing.Sequence[Row], header: Row = NAMES) -> pathlib.Path:
    path = folder / name
    path.write_bytes(written([header, *rows]))
    return path


def both(
    engines: typing.Sequence[typing.Any], sources: typing.Sequence[Rows], names: typing.Sequence[str], at: pathlib.Path
) -> tuple[bytes, bytes]:
    """Return what each engine writes of the same files."""
    found = []
    for number, engine in enumerate(engines):
        into = at / f"sorted-{number}.csv"
        done = engine.sort(sources, names, [2, 1], into)
        found.append(into.read_bytes())
        assert (done.rows, done.dropped) == (len(parsed(found[-1])[1]), 0)
    return found[0], found[1]


def test_each_cell_is_written_as_duckdb_does(engines: typing.Any, scratch: pathlib.Path) -> None:
    texts = [*tables.WORDS, "#", "a#b", "'", "\\N", "\ue000", "\x0b", "\x0c", "\x1c", "\u00a0", "a" * 70_000]
    texts += [one + other for one, other in itertools.product(("", "\r", '"', "\0", "\ufeff"), ("\n", "\0", '"', ","))]
    rows = [
        (None, f"r{number:03}", None if number % 2 else f"r{number:03}", text, None, texts[-number - 1])
        for number, text in enumerate(texts)
    ]
    one, other = both(engines, [Rows(file(scratch, "raw.csv", rows), tuple(range(WIDTH)))], NAMES, scratch)
    assert one == other
    assert parsed(one)[1] == rows


@pytest.mark.parametrize("size", [1, 10_000_000])
def test_generated_rows_of_files_with_other_columns(
    engines: typing.Any, scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(spark, "PIECE", size)
    monkeypatch.setattr(pieces, "_BLOCK", 97)
    cells = some.none() | tables.TEXTS
    lists: list[list[Row]] = []

    @given(some.lists(some.tuples(cells, cells, cells, cells, cells, cells), min_size=100, max_size=150))
    @settings(
        max_examples=3,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def collect(found: list[Row]) -> None:
        lists.append(found)

    collect()
    layouts = [(0, 1, 2, 3, 4, 5), (0, 1, 2, 5, 3), (0, 1, 2, 3, 4, 5)]
    sources, expected = [], list[Row]()
    numbers = itertools.count()
    for rows, places in zip(lists, layouts, strict=False):
        kept = [(*each[:2], f"{each[2]}-{next(numbers)}", *each[3 : len(places)]) for each in rows]
        name = f"raw-{len(sources)}.csv"
        sources.append(Rows(file(scratch, name, kept, tuple(f"n{place}" for place in places)), places))
        blank: Row = (None,) * WIDTH
        for each in kept:
            cell = dict(zip(places, each, strict=True))
            expected.append(tuple(cell.get(place, blank[place]) for place in range(WIDTH)))
    one, other = both(engines, sources, NAMES, scratch)
    assert one == other
    assert parsed(one) == (NAMES, sorted(expected, key=lambda each: (each[2] or "").encode()))


def test_rows_of_one_key_are_all_there(engines: typing.Any, scratch: pathlib.Path) -> None:
    rows = [("t", None, None, str(number), None, None) for number in range(50)]
    rows += [("t", None, "x", str(number), None, None) for number in range(50)]
    random.shuffle(rows)
    one, other = both(engines, [Rows(file(scratch, "raw.csv", rows), tuple(range(WIDTH)))], NAMES, scratch)
    assert sorted(parsed(one)[1], key=repr) == sorted(parsed(other)[1], key=repr)
    assert [each[2] for each in parsed(one)[1]] == [each[2] for each in parsed(other)[1]]


def test_files_without_rows_make_a_header(engines: typing.Any, scratch: pathlib.Path) -> None:
    one, other = both(engines, [Rows(file(scratch, "raw.csv", []), tuple(range(WIDTH)))], NAMES, scratch)
    assert one == other == written([NAMES])


def test_what_was_exchanged_is_gone_and_what_is_written_comes_back(
    engines: typing.Any,
    scratch: pathlib.Path,
    request: pytest.FixtureRequest,
    tmp_path: pathlib.Path,
) -> None:
    exchange = tmp_path / "seen by all"
    exchange.mkdir()
    left, others = exchange / "modeldata-sort-left", exchange / "modeldata-sort-of-another"
    for each in (left, others):
        each.mkdir()
    os.utime(left, (0, 0))
    copying = spark.Spark(request.getfixturevalue("spark"), engines[1], scratch=scratch, exchange=f"file://{exchange}")
    raw = [Rows(file(scratch, "raw.csv", [row(2, "x", None, ""), row(1, "\r\n", '"', ",")]), tuple(range(WIDTH)))]
    one, other = both((copying, engines[1]), raw, NAMES, scratch)
    assert one == other
    assert list(exchange.iterdir()) == [others]
    assert sorted(each.name for each in scratch.iterdir()) == ["raw.csv", "sorted-0.csv", "sorted-1.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"a","b"\r\n"1","2"\r\n', "its columns are wrong"),
        (b"a,b,c\r\n\xff,1,2\r\n", "can't be read as CSV"),
        (b'a,b,c\r\n1,"2,3\r\n', "its end is torn"),
    ],
)
def test_a_file_that_is_no_table_is_named_and_its_cells_are_not(
    engines: typing.Any, scratch: pathlib.Path, content: bytes, message: str
) -> None:
    path = scratch / "raw.csv"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=message) as found:
        engines[0].sort([Rows(path, (0, 1, 2))], ("a", "b", "c"), [2], scratch / "sorted.csv")
    assert found.value.reason == "Unreadable"


def test_executors_that_do_not_see_the_scratch_directory(
    engines: typing.Any, scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark._Shared, "send", lambda self, name: f"file:///not/here/{name}")
    raw = [Rows(file(scratch, "raw.csv", [row(1, "x", None, "")]), tuple(range(WIDTH)))]
    with pytest.raises(EngineError, match="--exchange"):
        engines[0].sort(raw, NAMES, [2], scratch / "sorted.csv")
