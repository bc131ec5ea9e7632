"""Rows on disk: framing, torn tails, dead writers, full disks."""

from __future__ import annotations

import functools
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
import typing

import pytest

from modeldata.observe import counters
from modeldata.process import pipeline
from modeldata.spool import records, segments, writer
from modeldata.tables import pieces

from .conftest import one_by_one

BEGIN = 1_700_000_000_000_000


def row(number: int, designation: str = "inputs", payload: bytes = b"[[1]]") -> records.Record:
    table = pieces.Table(("a",), 1, pieces.Encoding.JSON, payload)
    return records.Record(stream(designation), BEGIN + number, f"r{number}", "", records.SINGLE, table)


@functools.lru_cache
def stream(designation: str) -> records.Stream:
    return records.Stream("m", designation, ("a",))


def put(into: writer.Writer, *some: records.Record) -> None:
    for each in some:
        into.write(each.stream, each.to_line(), each.table.rows, most=records.MOST_BYTES)


def end_of(process: writer.Writer) -> int:
    position = process.position()
    assert position is not None
    return position[1]


def collect(into: pipeline.Pipeline, each: records.Record) -> None:
    into.writer.write(each.stream, each.to_line(), each.table.rows, most=records.MOST_BYTES)


def read(path: pathlib.Path, start: int = 0) -> list[records.Record | None]:
    return one_by_one(segments.Segment("s", path).read(start))


def segment_files(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted(directory.glob("*/*.seg"))


@pytest.fixture
def process(tmp_path: pathlib.Path) -> writer.Writer:
    return writer.Writer(tmp_path, name=lambda: "pod-1-a", full_at=2**40, tally=counters.Counters())


@pytest.mark.parametrize(
    "table",
    [
        pieces.Table(("a", "ü"), 2, pieces.Encoding.ARRAY, b"1234567\n" * 2, "<f4", 2),
        pieces.Table(("a", "ü"), 2, pieces.Encoding.JSON, b'[[1,"\\n"],[2,null]]'),
    ],
    ids=["array", "json"],
)
@pytest.mark.parametrize(("request_id", "correlation"), [("request", ""), ('a"],[\\', "ü\n")], ids=["plain", "odd"])
def test_a_record_reads_as_it_was_written(
    process: writer.Writer, tmp_path: pathlib.Path, table: pieces.Table, request_id: str, correlation: str
) -> None:
    to = records.Stream("m", "d", ("a", "ü"), version="v", workspace="s/g/w", webservice="svc")
    written = records.Record(to, 2**50, request_id, correlation, 2000, table)
    put(process, written, row(1))
    assert read(segment_files(tmp_path)[0]) == [written, row(1)]


def test_a_tail_cut_anywhere_costs_only_the_last_record(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1))
    whole = end_of(process)
    put(process, row(2, "other"))
    (path,) = segment_files(tmp_path)
    content = path.read_bytes()
    torn = tmp_path / "torn"
    for size in range(whole, len(content)):
        torn.write_bytes(content[:size])
        assert read(torn) == [row(1)], size
    assert read(path) == [row(1), row(2, "other")]


def test_a_record_with_zeros_in_it_costs_only_itself(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    # What a crash of the node makes of bytes that had not reached the disk.
    put(process, row(1))
    start = end_of(process)
    put(process, row(2))
    end = end_of(process)
    put(process, row(3))
    (path,) = segment_files(tmp_path)
    content = path.read_bytes()
    damaged = tmp_path / "damaged"
    for offset in range(start, end - 1):
        damaged.write_bytes(content[:offset] + bytes(end - 1 - offset) + content[end - 1 :])
        assert read(damaged) == [row(1), None, row(3)], offset


def test_a_damaged_array_costs_only_itself(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1))
    table = pieces.Table(("a",), 2, pieces.Encoding.ARRAY, b"1234567\n" * 2, "<f8", 1)
    put(process, records.Record(stream("inputs"), 2, "r2", "", 0, table))
    end = end_of(process)
    put(process, row(3))
    (path,) = segment_files(tmp_path)
    content = path.read_bytes()
    damaged = tmp_path / "damaged"
    for offset in range(end - len(table.payload), end):
        damaged.write_bytes(content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1 :])
        assert read(damaged) == [row(1), None, row(3)], offset


def test_a_damaged_stream_costs_only_its_own_records(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1, "one"), row(2, "two"), row(3, "one"))
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    content[12] = 0
    path.write_bytes(content)
    assert read(path) == [None, row(2, "two"), None]


@pytest.mark.parametrize("garbage", [b"\xff" * 40, b"R\xff\xff\xff\xff" + bytes(40), bytes(4096)])
def test_garbage_ends_a_segment(process: writer.Writer, tmp_path: pathlib.Path, garbage: bytes) -> None:
    put(process, row(1))
    (path,) = segment_files(tmp_path)
    path.write_bytes(path.read_bytes() + garbage)
    assert read(path) == [row(1)]


def test_whole_records_behind_garbage_are_read(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1))
    (path,) = segment_files(tmp_path)
    path.write_bytes(path.read_bytes() + b"A garbage\n\n[1,2]\n" + path.read_bytes())
    assert read(path) == [row(1), None, None, None, row(1)]


def test_streams_are_learnt_again_from_any_offset(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    ends = []
    for number, stream in enumerate(["one", "two", "one", "three", "two"]):
        put(process, row(number, stream))
        ends.append(end_of(process))
    (path,) = segment_files(tmp_path)
    everything = read(path)
    for number, end in enumerate(ends):
        assert read(path, end) == everything[number + 1 :]


def test_a_reader_goes_on_where_it_was(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1, "one"))
    segment = segments.Segment("s", segment_files(tmp_path)[0])
    ((_, end),) = segment.read(0)
    put(process, row(2, "two"))
    put(process, row(3, "one"))
    assert one_by_one(segment.read(end)) == [row(2, "two"), row(3, "one")]


def test_a_full_segment_is_followed_by_the_next(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    big = b'[["' + b"x" * writer.SEGMENT_BYTES + b'"]]'
    put(process, row(1, payload=big))
    put(process, row(2))
    first, second = segment_files(tmp_path)
    assert read(second) == [row(2)]
    assert [(each.path, each.complete) for each in segments.scan(tmp_path, lambda: "pod-1-a")] == [
        (first, True),
        (second, False),
    ]


WRITER = """
import sys, pathlib
from modeldata.observe import counters
from modeldata.spool import records, writer
from modeldata.tables import pieces, rows
process = writer.Writer(pathlib.Path(sys.argv[1]), name=lambda: sys.argv[2], full_at=2**40, tally=counters.Counters())
table = pieces.Table(("a",), 1, pieces.Encoding.JSON, b"[[1]]")
row = records.Record(records.Stream("m", "d"), 1, "r", "", -1, table)
process.write(row.stream, row.to_line(), 1)
print("ready", flush=True)
sys.stdin.read()
"""


def other_process(directory: pathlib.Path, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, directory, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_write_beside_each_other(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1))
    other = other_process(tmp_path, "pod-2-b")
    found = segments.scan(tmp_path, lambda: "pod-1-a")
    assert [(each.key, each.complete) for each in found] == [
        ("pod-1-a/000000001.seg", False),
        ("pod-2-b/000000001.seg", False),
    ]
    other.communicate()


def test_a_killed_writer_is_seen(tmp_path: pathlib.Path) -> None:
    process = other_process(tmp_path, "pod-2-b")
    (before,) = segments.scan(tmp_path, str)
    process.kill()
    process.wait()
    (after,) = segments.scan(tmp_path, str)
    assert (before.complete, after.complete) == (False, True)
    process.communicate()


def test_an_empty_directory_of_a_dead_writer_is_removed(tmp_path: pathlib.Path) -> None:
    process = other_process(tmp_path, "pod-2-b")
    process.kill()
    process.communicate()
    (tmp_path / "pod-2-b/000000001.seg").unlink()
    assert segments.scan(tmp_path, str) == []
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_being_made_is_not_a_dead_writers(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".pod-3-c").mkdir()
    segments.scan(tmp_path, str)
    assert (tmp_path / ".pod-3-c").exists()


def test_a_forked_child_does_not_keep_its_parents_directory_alive(
    tmp_path: pathlib.Path, eventually: typing.Any
) -> None:
    script = "from modeldata.process import lifecycle; lifecycle.install()\n" + WRITER.replace("sys.stdin.read()", "")
    script += (
        "import os, signal\n"
        "child = os.fork()\n"
        "if child == 0: signal.pause()\n"
        "print(child, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path, "pod-2-b"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MODELDATA_DIR": str(tmp_path)},
    )
    assert process.stdout is not None
    child = int([process.stdout.readline() for _ in range(2)][1])
    process.wait()
    try:
        eventually(lambda: [each.complete for each in segments.scan(tmp_path, str)] == [True])
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


def test_a_full_disk_is_counted_and_leaves_the_spool_readable(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours = collected()
    collect(ours, row(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        for number in range(2, 50):
            collect(ours, row(number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = ours.counters.accepted
    collect(ours, row(50))
    (path,) = segment_files(tmp_path / "spool")
    assert 1 < kept < 49
    assert ours.counters.dropped == {"disk": 49 - kept}
    assert [each.microseconds - BEGIN for each in read(path) if each] == [*range(1, kept + 1), 50]


def test_a_disk_that_is_full_from_the_start_is_recovered_from(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours = collected()
    (tmp_path / "spool").write_text("in the way")
    collect(ours, row(1))
    (tmp_path / "spool").unlink()
    collect(ours, row(2))
    assert (ours.counters.dropped, ours.counters.accepted) == ({"disk": 1}, 1)


def test_a_spool_that_is_removed_is_made_anew(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours = collected()
    collect(ours, row(1, payload=b'[["' + b"x" * writer.SEGMENT_BYTES + b'"]]'))
    (before,) = segment_files(tmp_path / "spool")
    before.unlink()
    (before.parent / "alive").unlink()
    before.parent.rmdir()
    collect(ours, row(2))
    (path,) = segment_files(tmp_path / "spool")
    assert read(path) == [row(2)]
    assert path.parent != before.parent


@pytest.mark.parametrize("name", ["000000001.seg", "alive"])
def test_a_file_that_is_removed_alone_is_noticed(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path, name: str
) -> None:
    ours = collected()
    collect(ours, row(1))
    (path,) = segment_files(tmp_path / "spool")
    ours.writer.leave_if_removed()
    collect(ours, row(2))
    assert segment_files(tmp_path / "spool") == [path]
    (path.parent / name).unlink()
    ours.writer.leave_if_removed()
    collect(ours, row(3))
    (new,) = (each for each in segment_files(tmp_path / "spool") if each.parent != path.parent)
    assert read(new) == [row(3)]


def test_beyond_the_limit_the_newest_rows_are_dropped(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours = collected(spool={"bytes": 1000})
    for number in range(100):
        collect(ours, row(number))
    kept = ours.counters.accepted
    assert ours.counters.dropped == {"spool_full": 100 - kept}
    segment = segment_files(tmp_path / "spool")[0]
    assert [each.microseconds - BEGIN for each in read(segment) if each] == list(range(kept))
    assert segment.stat().st_size <= 1000


def test_first_rows_of_many_threads_make_one_directory(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    import threading

    ours = collected()
    barrier = threading.Barrier(8)

    def one(number: int) -> None:
        barrier.wait()
        collect(ours, row(number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = segment_files(tmp_path / "spool")
    assert len(read(path)) == ours.counters.accepted == 8


def test_a_signal_handler_may_collect_in_the_middle_of_a_write(
    collected: typing.Callable[..., pipeline.Pipeline], tmp_path: pathlib.Path
) -> None:
    ours = collected()
    fired = 0

    def handler(*_: object) -> None:
        nonlocal fired
        fired += 1
        collect(ours, row(10_000 + fired, "handler"))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        number = 0
        deadline = time.monotonic() + 20
        while fired < 50 and time.monotonic() < deadline:
            collect(ours, row(number))
            number += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    collect(ours, row(number))
    written = [each for path in segment_files(tmp_path / "spool") for each in read(path)]
    assert len(written) == ours.counters.accepted == number + 1 + fired
    assert sum(each is not None and each.stream.designation == "handler" for each in written) == fired


def test_a_directory_that_comes_to_be_during_a_look_is_not_taken_for_a_dead_processs(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ""

    def name() -> str:
        nonlocal own
        own = "pod-1-a"
        return own

    ours = writer.Writer(tmp_path, name=name, full_at=2**40, tally=counters.Counters())
    listdir = os.listdir

    def late(path: pathlib.Path) -> list[str]:
        if not own:
            put(ours, row(1))
        return listdir(path)

    monkeypatch.setattr(segments.os, "listdir", late)
    (found,) = segments.scan(tmp_path, lambda: own)
    assert not found.complete
    assert found.path.exists()


def test_where_no_segment_can_be_opened_the_position_stays_in_the_last_one(
    collected: typing.Callable[..., pipeline.Pipeline],
) -> None:
    # A flush would take rows for delivered whose segment is not there.
    ours = collected()
    collect(ours, row(1, payload=b'[["' + b"x" * writer.SEGMENT_BYTES + b'"]]'))
    before = ours.writer.position()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        collect(ours, row(2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert ours.counters.dropped == {"disk": 1}
    assert ours.writer.position() == before
    collect(ours, row(3))
    assert ours.counters.accepted == 2


def test_an_id_that_is_no_text_any_more_costs_only_its_record(process: writer.Writer, tmp_path: pathlib.Path) -> None:
    put(process, row(1), row(2), row(3))
    (path,) = segment_files(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"r2"', b'"r\xff"'))
    assert read(path) == [row(1), None, row(3)]
