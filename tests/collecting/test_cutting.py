"""Records of versions before, larger than one holds in memory: cut where they lie, each row once."""

from __future__ import annotations

import pathlib
import random
import tracemalloc
import typing

import numpy
import orjson
import pytest

from modeldata.spool import cutting, records, segments
from modeldata.tables import pieces

from .conftest import one_by_one

STREAM = records.Stream("m", "d", ("a", "b"))
Rows = list[typing.Any]


def line(rows: Rows, first: int = 0, *, at: int = 1, request: str = "r") -> bytes:
    table = pieces.Table(("a", "b"), len(rows), pieces.Encoding.JSON, orjson.dumps(rows))
    return records.Record(STREAM, at, request, "", first, table).to_line()


def array(rows: int, *, at: int = 1) -> bytes:
    cells = numpy.arange(rows * 10, dtype="<f8")
    table = pieces.Table((), rows, pieces.Encoding.ARRAY, cells.tobytes(), "<f8", 10)
    return records.Record(STREAM, at, "a", "", 0, table).to_line()


def read(path: pathlib.Path, start: int = 0) -> list[object]:
    """Return each row with what it is under; None for a damaged record."""
    found: list[object] = []
    for each in one_by_one(segments.Segment("s", path).read(start)):
        if each is None:
            found.append(None)
            continue
        table = each.table
        if table.encoding is pieces.Encoding.ARRAY:
            rows = numpy.frombuffer(table.payload, table.dtype).reshape(-1, table.width).tolist()
        else:
            rows = orjson.loads(table.payload)
        assert len(rows) == table.rows
        for place, row in enumerate(rows):
            number = each.first_row + place if each.first_row >= 0 else -1
            found.append((each.microseconds, each.request, number, row))
    return found


def drawn(count: int, seed: int) -> Rows:
    chance = random.Random(seed)
    texts = ['x"y\\z]}[{,', "\\", "é\n", '\\"', "", "],["]

    def cell() -> object:
        return chance.choice(
            [1.5, None, True, chance.choice(texts) * chance.randrange(60), {"a": [1, {"b": chance.choice(texts)}]}]
        )

    return [
        [cell() for _ in range(chance.randrange(1, 5))]
        if chance.random() < 0.95
        else chance.choice([1, "x,]", {"q": 1}])
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_each_row_is_there_once_under_its_own_number(tmp_path: pathlib.Path, seed: int) -> None:
    path, before = tmp_path / "1.seg", STREAM.to_line() + line([[0, 0]], -1)
    parts = [
        line(drawn(20_000, seed), 0, at=2, request='r"b\\q'),
        line([[7, 7]], -1, at=3),
        line(drawn(20_000, seed + 10), 100, at=4),
        array(40_000, at=5),
        array(10, at=6),
        line([["x" * 3_000_000]], -1, at=7),
        line([[8, 8]], -1, at=8),
    ]
    random.Random(seed).shuffle(parts)
    path.write_bytes(before + b"".join(parts))
    everything, waiting = read(path), read(path, len(before))
    cut = cutting.cut(path, len(before))
    assert cut.size == path.stat().st_size
    assert cut.too_large == []
    assert path.read_bytes().startswith(before)
    assert read(path) == everything
    assert read(path, len(before)) == waiting
    assert max(map(len, path.read_bytes().split(b"\n"))) < 3_000_100 + pieces.PIECE_BYTES  # of numbers before it
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_torn_at_the_end_is_left_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "1.seg"
    for torn in (line(drawn(20_000, 1))[:-1000], array(40_000)[:-1000], line([[1]])[:-1], b"A[1,"):
        path.write_bytes(STREAM.to_line() + line([[7, 7]], -1) + torn)
        cutting.cut(path, 0)
        assert read(path) == [(1, "r", -1, [7, 7])]


def test_what_is_damaged_counts_once_and_what_is_behind_it_is_there(tmp_path: pathlib.Path) -> None:
    path, large, numbers = tmp_path / "1.seg", line(drawn(20_000, 1)), array(40_000)
    for damaged in (
        large[:500_000] + b"\0" + large[500_001:],
        large[:-3] + b"\n",
        numbers[:500_000] + b"!" + numbers[500_001:],
        b'["' + large[2:],
        b"A" + large[1:],
    ):
        path.write_bytes(STREAM.to_line() + damaged + line([[7, 7]], -1))
        cutting.cut(path, 0)
        assert read(path) == [None, (1, "r", -1, [7, 7])]


def test_a_row_that_no_append_takes_is_left_out_and_said(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "1.seg"
    path.write_bytes(STREAM.to_line() + line([[1, "x"], [2, "y" * 5_000_000], [3, "z"]], 10) + line([[7, 7]], -1))
    cut = cutting.cut(path, 0)
    assert [size // 1_000_000 for size in cut.too_large] == [5]
    assert read(path) == [(1, "r", 10, [1, "x"]), (1, "r", 12, [3, "z"]), (1, "r", -1, [7, 7])]


def test_it_takes_the_memory_of_some_pieces(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "1.seg"
    path.write_bytes(STREAM.to_line() + line([[n, "x" * 1000] for n in range(40_000)]) + array(500_000))
    tracemalloc.start()
    try:
        cutting.cut(path, 0)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_it_can_be_stopped_and_then_nothing_has_changed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "1.seg"
    path.write_bytes(STREAM.to_line() + line(drawn(20_000, 1)))
    before, asked = path.read_bytes(), iter([False] * 3)
    with pytest.raises(cutting.Stopped):
        cutting.cut(path, 0, lambda: next(asked, True))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
