"""A flat list is one row or a column: whatever tells which may be collected before it or behind it."""

from __future__ import annotations

import contextvars
import csv
import io
import pathlib
import shutil
import threading
import time
import typing

import numpy
import pandas
import pytest

from modeldata import ModelDataCollector, settings
from modeldata.delivery import settling, taking
from modeldata.observe import counters
from modeldata.process import running
from modeldata.requests import context
from modeldata.spool import records

from .conftest import Spooled

Files = typing.Callable[..., typing.Dict[str, typing.List[typing.List[str]]]]  # noqa: UP006


def taker(spool: pathlib.Path) -> taking.Taker:
    return taking.Taker(
        spool, own=lambda: "another", key_file=spool / "key", owner="", tally=counters.Counters()
    )  # fmt: skip


@pytest.fixture
def files(collecting: typing.Callable[..., Spooled], tmp_path: pathlib.Path) -> Files:
    """Collect, and return the rows of each file once the process has ended, by its path: id, then features."""
    collecting()

    def read() -> dict[str, list[list[str]]]:
        assert running.mine is not None
        storage = settings.Storage("http://x", "c", "{model}/{designation}/{file}")
        now = settings.Settings(enabled=True, storage=storage)
        ended = tmp_path / "ended"
        shutil.copytree(tmp_path / "spool", ended)  # nobody holds the lock of the copy
        taken = taker(ended).take(now, {}, most=10**9)
        assert taken is not None
        assert not taken.drops
        found: dict[str, list[list[str]]] = {}
        for block in taken.blocks:
            assert block.path not in found, "two headers"
            found[block.path] = [line[2:] for line in csv.reader(io.StringIO(block.data.decode(), newline=""))]
        return found

    return read


def request(*collects: tuple[ModelDataCollector, object]) -> None:
    def run() -> None:
        for collector, data in collects:
            collector.collect(data)

    contextvars.Context().run(run)


@pytest.mark.parametrize("make", [list, numpy.array, lambda each: numpy.array(each, object), pandas.Series, tuple])
@pytest.mark.parametrize("names", [("sal_inputs", "sal_predictions"), ("input", "output"), ("predictions", "inputs")])
@pytest.mark.parametrize("first", ["inputs", "predictions"])
def test_flat_predictions_of_a_batch_join_its_rows(
    files: Files, make: typing.Any, names: tuple[str, str], first: str
) -> None:
    inputs = ModelDataCollector("m", names[0], ["a", "b"])
    predictions = ModelDataCollector("m", names[1])
    batches = [[[10.5 * size + row, row] for row in range(size)] for size in (2, 3, 5)]
    for batch in batches:
        both = [(inputs, batch), (predictions, make([each[0] + each[1] for each in batch]))]
        request(*(both if first == "inputs" else reversed(both)))
    if first == "predictions" and names[1] == "inputs":
        return  # a flat list of the inputs is one row
    (left, right) = (files_of := files())[f"m/{names[0]}/{{file}}"], files_of[f"m/{names[1]}/{{file}}"]
    assert len(left) == len(right) == 10
    sums = {row[0]: float(row[1]) + float(row[2]) for row in left}
    assert {row[0]: float(row[1]) for row in right} == sums
    assert len(sums) == 10


def test_three_designations_whose_inputs_come_last(files: Files) -> None:
    risk, label, inputs = (ModelDataCollector("m", name) for name in ("risk", "label", "inputs"))
    request((risk, [0.1, 0.2]), (label, ["yes", None]), (inputs, [[1, 2, 3], [4, 5, 6]]))
    found = files()
    assert [row[1:] for row in found["m/risk/{file}"]] == [["0.1"], ["0.2"]]
    assert [row[1:] for row in found["m/label/{file}"]] == [["yes"], [""]]
    ids = {tuple(row[0] for row in rows) for rows in found.values()}
    assert len(ids) == 1


@pytest.mark.parametrize("data", [[0.1, 0.2, 0.7], numpy.array([0.1, 0.2, 0.7])], ids=["list", "array"])
@pytest.mark.parametrize("inputs", [[[1, 2]], [[1, 2], [3, 4]], None], ids=["one row", "two rows", "nothing"])
def test_a_flat_list_of_another_length_than_the_batch_is_one_row(files: Files, data: object, inputs: object) -> None:
    both = [(ModelDataCollector("m", "scores"), data)]
    if inputs is not None:
        both.append((ModelDataCollector("m", "inputs"), inputs))
    request(*both)
    assert [row[1:] for row in files()["m/scores/{file}"]] == [["0.1", "0.2", "0.7"]]


def test_a_flat_list_as_long_as_its_names_is_one_row_whatever_comes_behind_it(files: Files) -> None:
    request((ModelDataCollector("m", "x", ["a", "b"]), [1, 2]), (ModelDataCollector("m", "y"), [[1], [2]]))
    assert [row[1:] for row in files()["m/x/{file}"]] == [["1", "2"]]


def test_flat_lists_alone_are_rows(files: Files) -> None:
    request((ModelDataCollector("m", "x"), [1, 2]), (ModelDataCollector("m", "y"), [3, 4]))
    assert [[row[1:] for row in rows] for rows in files().values()] == [[["1", "2"]], [["3", "4"]]]


def test_requests_that_run_at_once_are_not_mixed_up(files: Files) -> None:
    x, y = ModelDataCollector("m", "x"), ModelDataCollector("m", "y")
    barrier = threading.Barrier(4)

    def serve(size: int) -> None:
        x.collect([float(size)] * size)
        barrier.wait()
        y.collect([[size, 0]] * size)

    threads = [threading.Thread(target=serve, args=(size,)) for size in (2, 3, 4, 5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = files()
    assert sorted(row[0] for row in found["m/x/{file}"]) == sorted(row[0] for row in found["m/y/{file}"])
    assert sorted(row[1] for row in found["m/x/{file}"]) == sorted(f"{s}.0" for s in (2, 3, 4, 5) for _ in range(s))


def test_the_rest_of_a_request_may_lie_in_the_next_segment(files: Files) -> None:
    filler = ModelDataCollector("m", "filler")
    assert running.mine is not None
    for _ in range(3):
        x, y = ModelDataCollector("m", "x"), ModelDataCollector("m", "y")
        request((x, [1.5, 2.5]), (filler, [["x" * 100_000] * 7]), (y, [[1], [2]]))
    assert len(files()["m/x/{file}"]) == 6


def test_rows_of_a_request_under_way_are_waited_for(collecting: typing.Any, tmp_path: pathlib.Path) -> None:
    collecting()
    storage = settings.Storage("http://x", "c", "{model}/{designation}/{file}")
    now = settings.Settings(enabled=True, storage=storage)
    ModelDataCollector("m", "predictions").collect([1, 2])
    ours = taking.Taker(
        tmp_path / "spool",
        own=lambda: typing.cast("typing.Any", running.mine).shipper.own,
        key_file=tmp_path,
        owner="",
        tally=counters.Counters(),
    )
    taken = ours.take(now, {}, most=10**9)
    if not ours.holds:
        pytest.skip("this machine was too slow: the request is over")
    assert taken is None
    ModelDataCollector("m", "inputs").collect([[1], [2]])
    taken = ours.take(now, {}, most=10**9)
    assert taken is not None
    assert not ours.holds
    assert [block.rows for block in taken.blocks] == [2, 2]


def test_a_request_of_which_nothing_more_comes_is_not_waited_for_long(
    collecting: typing.Any, tmp_path: pathlib.Path
) -> None:
    collecting()
    now = settings.Settings(enabled=True, storage=settings.Storage("http://x", "c", "{file}"))
    ModelDataCollector("m", "predictions").collect([1, 2])
    own = typing.cast("typing.Any", running.mine).shipper.own
    ours = taking.Taker(
        tmp_path / "spool", own=lambda: own, key_file=tmp_path, owner="", tally=counters.Counters()
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while (taken := ours.take(now, {}, most=10**9)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [block.rows for block in taken.blocks] == [1]


def test_an_old_flat_list_is_not_waited_for() -> None:
    assert settling.HELD_SECONDS < 5, "flush() and the end of a process wait for 5 s"


def test_a_flat_list_that_is_very_long_is_a_row_at_once(collecting: typing.Any) -> None:
    spooled = collecting()
    for size in (10_001, 10_000):
        context.leave()
        ModelDataCollector("m", "x").collect([0] * size)
    assert [each.first_row for each in spooled()] == [records.SINGLE, records.UNSETTLED]
