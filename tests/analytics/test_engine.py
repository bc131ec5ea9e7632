"""DuckDB behind the engine's interface: rows and names as they are, failures without a value of theirs."""

from __future__ import annotations

import pathlib

import duckdb
import pytest

from modeldata_analytics.engines import EngineError, Rows, Sorted, duck
from modeldata_analytics.records import scanner

from .stores import written


@pytest.fixture
def engine(scratch: pathlib.Path) -> duck.DuckDB:
    return duck.DuckDB(memory="300MB", threads=2, scratch=scratch)


def stored(path: pathlib.Path, *rows: tuple[str | None, ...]) -> pathlib.Path:
    path.write_bytes(written(rows))
    return path


def test_under_one_setting_it_reads_nothing_and_says_nothing(tmp_path: pathlib.Path) -> None:
    """So rows are counted apart from it. Where this fails, a release has mended it."""
    path = stored(tmp_path / "a.csv", ("a", "b"), ("1", "2"), ("3", "4"))
    options = "header = true, delim = ',', quote = '\"', escape = '\"', new_line = '\\r\\n'"
    for strict, rows in (("", 2), (", strict_mode = true", 0)):
        found = duckdb.connect().execute(f"select count(*) from read_csv('{path}', {options}{strict})").fetchone()
        assert found == (rows,)
    assert scanner.count(path.read_bytes()) == 3


def test_many_files_of_several_layouts(engine: duck.DuckDB, tmp_path: pathlib.Path) -> None:
    sources = [
        Rows(stored(tmp_path / f"{number}'s.csv", ("k", "v"), (f"k{number}", "")), (0, 1) if number % 2 else (0, 2))
        for number in range(300)
    ]
    into = tmp_path / "sorted.csv"
    assert engine.count(sources) == 300
    assert engine.sort(sources, ("k", "v", "w"), [0], into) == Sorted(300, 0)
    lines = into.read_bytes().split(b"\r\n")
    assert lines[:3] == [b"k,v,w", b'k0,,""', b'k1,"",']
    assert lines[-1] == b""
    assert len(lines) == 302


@pytest.mark.parametrize(
    "content",
    [b"secret,1,2\r\n", b'secret,"1\r\n', b"secret\r\n", b"secret,\xff\r\n"],
    ids=["more cells", "an open quote", "fewer cells", "no UTF-8"],
)
def test_what_is_no_table_is_refused_without_a_value(
    engine: duck.DuckDB, tmp_path: pathlib.Path, content: bytes
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"k,v\r\na,b\r\n" + content)
    with pytest.raises(EngineError) as raised:
        engine.sort([Rows(path, (0, 1))], ("k", "v"), [0], tmp_path / "sorted.csv")
    assert raised.value.reason == "Unreadable"
    assert "secret" not in str(raised.value)


def test_too_little_memory_and_disk_are_told_apart(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    rows = [(f"{number * 7919 % 100_003}", "x" * 500) for number in range(60_000)]
    path = stored(tmp_path / "a.csv", ("k", "v"), *rows)
    engine = duck.DuckDB(memory="20MB", threads=1, scratch=scratch)
    with pytest.raises(EngineError) as raised:
        engine.sort([Rows(path, (0, 1))], ("k", "v"), [0], tmp_path / "sorted.csv")
    assert raised.value.reason == "OutOfMemory"
    assert "--memory" in str(raised.value)
