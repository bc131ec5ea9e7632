"""Calls of any size: cut, bounded and counted in bytes before they are in the spool."""

from __future__ import annotations

import logging
import pathlib
import subprocess
import sys
import tracemalloc
import typing

import numpy
import orjson
import pandas
import polars
import pyarrow
import pytest

from modeldata import ModelDataCollector, collector
from modeldata.process import pipeline, running
from modeldata.requests import context
from modeldata.spool import cutting, records, segments
from modeldata.tables import adapter, pieces, rows

from .conftest import one_by_one

MIB = 1024 * 1024


@pytest.fixture
def ours(
    collected: typing.Callable[..., pipeline.Pipeline], monkeypatch: pytest.MonkeyPatch
) -> typing.Callable[..., pipeline.Pipeline]:
    def make(**changes: object) -> pipeline.Pipeline:
        made = collected(**changes)
        monkeypatch.setattr(running, "mine", made)
        return made

    return make


def found(directory: pathlib.Path) -> list[records.Record]:
    paths = sorted(directory.glob("spool/*/*.seg"))
    every = [each for path in paths for each in one_by_one(segments.Segment("s", path).read(0))]
    assert None not in every
    return typing.cast("list[records.Record]", every)


SHAPES: dict[str, typing.Callable[[], typing.Any]] = {
    "rows of text": lambda: [[n, "x" * 30_000] for n in range(1000)],
    "small rows, then large ones": lambda: [[n, "x" * (0 if n < 500 else 30_000)] for n in range(1000)],
    "large rows, then small ones": lambda: [[n, "x" * (0 if n > 200 else 30_000)] for n in range(5000)],
    "dicts": lambda: [{"n": n, "text": "x" * 30_000} for n in range(500)],
    "nested": lambda: [[n, {"a": ["x" * 1000] * 20}] for n in range(500)],
    "one large row": lambda: [[0, "x" * 3 * MIB]],
    "large rows": lambda: [[n, "x" * 2 * MIB] for n in range(5)],
    "a frame of text": lambda: pandas.DataFrame({"n": range(2000), "text": ["x" * 10_000] * 2000}),
    "a frame of many rows": lambda: pandas.DataFrame({"n": range(60_000), "text": ["x" * 50] * 60_000}),
    "polars": lambda: polars.DataFrame({"n": range(60_000), "text": ["x" * 50] * 60_000}),
    "arrow": lambda: pyarrow.table({"n": range(60_000), "text": ["x" * 50] * 60_000}),
    "a structured array": lambda: numpy.array(
        [(n, "x" * 50) for n in range(60_000)], dtype=[("n", "i8"), ("text", "U50")]
    ),
    "an array of objects": lambda: numpy.array([[n, "x" * 50] for n in range(60_000)], dtype=object),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_record_is_no_larger_than_one_holds_in_memory(
    ours: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path, shape: str
) -> None:
    pipe, data = ours(), SHAPES[shape]()
    ModelDataCollector("m", "inputs", ["n", "text"]).collect(data)
    every = found(tmp_path)
    assert max(len(each.table.payload) for each in every) <= (3 if "large row" in shape else 1) * MIB + 100
    assert max(path.stat().st_size for path in tmp_path.glob("spool/*/*.seg")) < cutting.LARGE_BYTES
    numbers = [row[0] for each in every for row in orjson.loads(each.table.payload)]
    assert numbers == list(range(len(data)))
    assert [each.first_row for each in every] == (
        [sum(other.table.rows for other in every[:place]) for place in range(len(every))] if len(data) > 1 else [-1]
    )
    assert pipe.counters.dropped == {}
    assert pipe.counters.accepted == len(data)


@pytest.mark.parametrize(
    "data",
    [
        [[1, "x" * 5 * MIB]],
        [["a", 1], [1, "x" * 5 * MIB], ["b", 2]],
        [[n, "x" * (5 * MIB if n == 1500 else 0)] for n in range(3000)],
        [['"' * 3 * MIB]],  # twice as long where it is quoted
        [[{"a": ["b"] * 800_000}]],
        numpy.full((2, 400_000), 1 / 3),
    ],
    ids=["alone", "between others", "among many", "of quotes", "nested", "an array"],
)
def test_a_row_that_no_append_takes_is_refused_there(
    ours: typing.Callable[..., pipeline.Pipeline],
    tmp_path: pathlib.Path,
    data: typing.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipe = ours()
    with caplog.at_level(logging.WARNING):
        ModelDataCollector("m", "inputs").collect(data)
    large = 2 if isinstance(data, numpy.ndarray) else 1
    assert pipe.counters.dropped == {"row_too_large": large}
    assert "m/inputs: a row of " in caplog.text
    assert "(row_too_large): collect less in a row" in caplog.text
    every = found(tmp_path)
    assert sum(each.table.rows for each in every) == len(data) - large
    numbered = [each.first_row + place for each in every for place in range(each.table.rows)]
    assert (
        numbered
        == [n for n, row in enumerate(data) if not any(len(str(cell)) > 2 * MIB for cell in row)][: len(numbered)]
    )


def test_what_fits_as_text_is_not_refused_for_its_length_in_memory(
    ours: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours()
    ModelDataCollector("m", "inputs").collect(numpy.zeros((1, 700_000)))  # 5.3 MiB, but 2.7 as text
    assert [each.table.rows for each in found(tmp_path)] == [1]


def test_room_is_asked_for_before_anything_is_encoded(
    ours: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = ours(spool={"bytes": MIB})
    encoded: list[object] = []
    monkeypatch.setattr(pieces, "_json", lambda rows: encoded.append(rows) or orjson.dumps(rows))
    ModelDataCollector("m", "inputs").collect(pandas.DataFrame({"a": range(600_000), "b": "x"}))
    assert encoded == []
    ModelDataCollector("m", "predictions").collect(numpy.zeros((200_000, 1)))
    assert pipe.counters.dropped == {"spool_full": 800_000}
    assert not list(tmp_path.glob("spool/*/*.seg"))


def test_a_call_that_fills_the_spool_is_not_encoded_to_its_end(
    ours: typing.Callable[..., pipeline.Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = ours(spool={"bytes": 3 * MIB})
    encode, encoded = pieces._json, []

    def counted(some: typing.Sequence[object]) -> bytes:
        encoded.append(len(some))
        return encode(some)

    monkeypatch.setattr(pieces, "_json", counted)
    ModelDataCollector("m", "inputs").collect([["x" * 10_000] for _ in range(5000)])
    assert pipe.counters.accepted + pipe.counters.dropped["spool_full"] == 5000
    assert 200 < pipe.counters.accepted < 320
    assert sum(encoded) < 1000


def test_a_large_call_without_a_spool_is_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    script = "from modeldata import ModelDataCollector; ModelDataCollector('m').collect([[n] for n in range(5000)])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"AML_MODEL_DC_DEBUG": "true", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.rpartition(",")[2] for line in done.stdout.splitlines() if not line.startswith("$")] == [
        str(n) for n in range(5000)
    ]


def test_rows_of_a_large_table_are_made_some_at_a_time() -> None:
    made: list[tuple[int, int]] = []

    def make(start: int, end: int) -> list[tuple[int]]:
        made.append((start, end))
        return [(n,) for n in range(start, end)]

    wide = adapter.sliced(1000, 1000, make)
    assert [row for start in range(0, 1000, 7) for row in wide[start : start + 7]] == [(n,) for n in range(1000)]
    assert wide[-1] == (999,)
    assert made == [(start, start + 50) for start in range(0, 1000, 50)]


LARGE_FRAMES: dict[str, typing.Callable[[typing.Any], typing.Any]] = {
    "numbers": lambda cells: pandas.DataFrame(cells, columns=["a", "b", "c"]),
    "narrow numbers, of which a column is missing": lambda cells: pandas.DataFrame(
        cells[:, :2].astype("f4"), columns=["a", "b"]
    ),
    "mixed": lambda cells: pandas.DataFrame(cells, columns=["a", "b", "c"]).astype({"b": int}),
    "polars": lambda cells: polars.DataFrame({"a": cells[:, 0], "b": cells[:, 1].astype(int)}),
    "arrow": lambda cells: pyarrow.table({"b": cells[:, 1], "a": cells[:, 0]}),
    "a structured array": lambda cells: numpy.rec.fromarrays(cells.T, names="a,b,c").view(numpy.ndarray),
}


@pytest.mark.parametrize("shape", LARGE_FRAMES)
def test_a_large_frame_is_put_in_order_some_rows_at_a_time(shape: str) -> None:
    columns = adapter.Columns()
    columns.labels = ("c", "b", "a")
    data = LARGE_FRAMES[shape](numpy.arange(300_000.0).reshape(-1, 3))
    found: list[list[float | None]] = []
    tracemalloc.start()
    try:
        for table in rows.take(data, names=(), input_rows=0, columns=columns):
            assert isinstance(table, pieces.Table)
            assert table.names == ("c", "b", "a")
            if table.encoding is pieces.Encoding.ARRAY:
                found += numpy.frombuffer(table.payload, table.dtype).reshape(-1, table.width)[:1].tolist()
            else:
                found.append(orjson.loads(table.payload)[0])
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB  # as rows, all of it takes 20 MiB
    finally:
        tracemalloc.stop()
    assert len(found) > 3
    for c, b, a in found:
        assert b == a + 1
        assert c in (None, a + 2)
    assert [row[2] for row in found] == sorted(row[2] for row in found)
    assert found[0][2] == 0


def test_half_of_a_frame_in_another_order_has_the_digits_of_its_own_width() -> None:
    columns = adapter.Columns()
    columns.labels = ("b", "a", "gone")
    frame = pandas.DataFrame({"a": [0.1, 0.2], "b": [0.3, float("nan")]}, dtype="f4")
    (table,) = rows.take(frame, names=(), input_rows=0, columns=columns)
    assert table.payload == b'[[0.3,0.1,null],["NaN",0.2,null]]'


def test_an_unsettled_list_stays_one_row_however_large_it_is(
    ours: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    pipe = ours()
    for length in (300, 500):
        context.leave()
        ModelDataCollector("m", "predictions").collect(["x" * length] * 10_000)
    (record,) = found(tmp_path)
    assert (record.first_row, record.table.rows) == (records.UNSETTLED, 1)
    assert pipe.counters.dropped == {"row_too_large": 1}


@pytest.mark.parametrize("data", [[["x" * 2 * MIB]], [[number, "x" * 2 * MIB] for number in range(3)]], ids=len)
def test_what_fails_on_its_way_into_the_spool_is_counted(
    ours: typing.Callable[..., pipeline.Pipeline], monkeypatch: pytest.MonkeyPatch, data: list[list[object]]
) -> None:
    pipe = ours()
    tried = 0

    def fails_in_the_end(of: records.Record) -> int:
        nonlocal tried
        tried += 1
        if tried == len(data):
            raise RuntimeError
        return 0

    monkeypatch.setattr(collector, "_exceeds", fails_in_the_end)
    ModelDataCollector("m", "x").collect(data)
    assert pipe.counters.accepted == len(data) - 1
    assert pipe.counters.dropped == {"internal_error": 1}
