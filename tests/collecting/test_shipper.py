"""The shipper's thread, where something is wrong that is none of storage's doing."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
import typing

import pytest

from modeldata import ModelDataCollector
from modeldata.delivery import loop
from modeldata.process import lifecycle, pipeline, running
from modeldata.spool import records
from modeldata.tables import pieces
from modeldata.threads import forking, names


@pytest.fixture
def ours(collected: typing.Callable[..., pipeline.Pipeline]) -> typing.Iterator[pipeline.Pipeline]:
    made = collected(spool={"bytes": 1000})
    made.shipper.running = False
    yield made
    made.close(0)


def test_a_fault_in_what_people_see_does_not_end_delivery(
    ours: pipeline.Pipeline, eventually: typing.Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> typing.NoReturn:
        raise RuntimeError("a value that was collected")

    ours.shipper.ticked = fail
    ours.shipper.start()
    eventually(lambda: ours.shipper.ticks >= 3, seconds=30)
    assert ours.shipper.running
    assert caplog.text.count("shipping failed and goes on: RuntimeError in test_shipper.py") == 1
    assert "collected" not in caplog.text


def test_what_is_collected_after_the_end_is_shipped_all_the_same(
    ours: pipeline.Pipeline, eventually: typing.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "mine", ours)
    collector = ModelDataCollector("m", "inputs")
    ours.shipper.start()
    collector.collect([[1]])
    ours.close(0)
    eventually(lambda: all(each.name != names.SHIPPER for each in threading.enumerate()), seconds=30)
    collector.collect([[2]])  # at once, where the settings need no look yet
    assert ours.shipper.running


def test_a_journal_that_can_not_be_made_is_said_and_what_waits_is_looked_at(
    ours: pipeline.Pipeline, eventually: typing.Any, caplog: pytest.LogCaptureFixture, tmp_path: pathlib.Path
) -> None:
    segment = tmp_path / "spool/pod-1-dead/000000001.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"123")
    (tmp_path / "spool/.shipper").write_text("in the way")
    ours.shipper.start()
    eventually(lambda: ours.shipper.waiting_bytes == 3, seconds=30)
    assert "rows wait, as the spool can't be changed: Not a directory" in caplog.text
    assert "shipping failed" not in caplog.text


def test_what_other_processes_left_counts_against_the_bound(
    ours: pipeline.Pipeline, eventually: typing.Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = records.Stream("m", "inputs")
    table = pieces.Table((), 1, pieces.Encoding.JSON, b'[["%s"]]' % (b"x" * 900))
    line = stream.to_line() + records.Record(stream, 1, "r", "", records.SINGLE, table).to_line()
    segment = tmp_path / "spool/pod-1-dead/000000001.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(line)
    monkeypatch.setattr(running, "mine", ours)
    collector = ModelDataCollector("m", "inputs")
    ours.shipper.start()
    eventually(lambda: ours.writer.full_at == 1000 - len(line), seconds=30)
    collector.collect([[1]])
    assert ours.counters.dropped == {"spool_full": 1}
    segment.unlink()
    eventually(lambda: ours.writer.full_at == 1000, seconds=30)
    collector.collect([[2]])
    assert ours.counters.accepted == 1


def test_whoever_ships_leaves_half_of_the_room_to_the_others(
    ours: pipeline.Pipeline, eventually: typing.Any, tmp_path: pathlib.Path
) -> None:
    writes = "import fcntl, pathlib, sys; life = open(sys.argv[1] + '/alive', 'w'); fcntl.lockf(life, fcntl.LOCK_EX); "
    writes += "pathlib.Path(sys.argv[1], '000000001.seg').write_bytes(b'x' * 200); print(flush=True); sys.stdin.read()"
    other = tmp_path / "spool/pod-1-other"
    other.mkdir(parents=True)
    command = [sys.executable, "-c", writes, str(other)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ours.shipper.start()
        eventually(lambda: ours.shipper.ships and ours.writer.full_at == (1000 - 200) // 2, seconds=30)
        process.communicate()
    eventually(lambda: ours.writer.full_at > 800 - 1, seconds=30)


def test_whoever_starts_it_at_once_with_another_makes_no_second_thread(
    ours: pipeline.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, again = loop.time.monotonic, [True]

    def in_between() -> float:  # a signal handler, or another thread
        if again and threading.current_thread() is threading.main_thread():
            again.clear()
            ours.shipper.start()
        return now()

    def threads() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if each.name == names.SHIPPER}

    before = threads()  # those of other tests may be ending just now
    monkeypatch.setattr(loop.time, "monotonic", in_between)
    assert ours.shipper.start()
    assert not again
    assert len(threads() - before) == 1


def test_a_signal_handler_may_collect_while_the_pipeline_is_made(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Interrupted(pipeline.Pipeline):
        def __init__(self, directory: pathlib.Path) -> None:
            super().__init__(directory)
            if not made:
                made.append(None)
                made.append(lifecycle.begin())

    def make() -> None:
        made.append(lifecycle.begin())

    monkeypatch.setenv(lifecycle.DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setattr(running, "mine", None)
    monkeypatch.setattr(running, "making", forking.Lock())
    monkeypatch.setattr(pipeline, "Pipeline", Interrupted)
    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    _, inner, outer = made
    assert inner is outer is running.existing()
    inner.close(0)  # type: ignore[union-attr]


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), 3600.0, -1.0])
def test_whoever_waits_for_a_flush_waits_no_longer_when_it_is_closed(
    ours: pipeline.Pipeline, eventually: typing.Any, timeout: float
) -> None:
    ours.writer.write(stream := records.Stream("m", "d"), b'[%d,1,"r","",-1,1,[[1]]]\n' % stream.number, 1)
    ours.shipper.start()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(ours.flush(timeout)))
    waiting.start()
    if timeout > 0:
        eventually(lambda: (ours.shipper._journal_directory / "flush").exists() or ours.shipper.ticks > 1)
        assert waiting.is_alive()
    ours.close(0.0)
    waiting.join(30)
    assert answers == [False]
    assert ours.shipper.join(30)
