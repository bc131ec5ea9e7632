"""Two versions of the client in one pod, in both orders: each row arrives once, and what is not understood waits."""

from __future__ import annotations

import json
import pathlib
import struct
import subprocess
import sys
import typing
import zlib

import pytest

from modeldata.delivery import aside, batches, journal
from modeldata.encoding import csvtext
from modeldata.spool import records

pytestmark = pytest.mark.azurite

# What a version before writes, by its own means: a directory under a POSIX lock, and lines.
BEFORE = """
import fcntl, json, os, pathlib, sys, time
directory = pathlib.Path(os.environ["MODELDATA_DIR"], "spool", f"pod-1-{os.getpid()}-00000000")
directory.mkdir(parents=True)
life = (directory / "alive").open("wb")
fcntl.lockf(life, fcntl.LOCK_EX)
segment = (directory / "000000001.seg").open("ab", buffering=0)
stream = {"model": "m", "designation": "inputs", "names": ["n"], "version": "", "workspace": "", "webservice": ""}
segment.write(b"S" + json.dumps({**stream, "redactions": [], "number": 1}).encode() + b"\\n")
for line in sys.stdin:
    first, count = map(int, line.split())
    for n in range(first, first + count):
        now = time.time_ns() // 1000
        segment.write(b'[1,%d,"before-%d","",-1,1,[[%d]]]\\n' % (now, n, n))
    print("collected", flush=True)
"""
# A version to come: it writes another format, and reads that and ours.
AFTER = """
import modeldata
from modeldata.spool import segments
segments.FORMAT, segments.READS = 2, frozenset({1, 2})
"""


class _Before:
    def __init__(self, pod: typing.Any) -> None:
        self._pod = pod

    def __enter__(self) -> _Before:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BEFORE],
            env=self._pod.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def collect(self, first: int, count: int) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "collected\n"

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def write_journal_before(directory: pathlib.Path, document: dict[str, object], batch: dict[str, object]) -> None:
    """Write a journal and its batch as the version before does: no format is in them."""
    directory.mkdir(parents=True, exist_ok=True)
    content, slot = json.dumps(document).encode(), struct.Struct("<QII")
    half = bytearray(64 * 1024)
    half[: slot.size + len(content)] = slot.pack(1, len(content), zlib.crc32(content)) + content
    (directory / "journal").write_bytes(bytes(64 * 1024) + bytes(half))
    rows = typing.cast("bytes", batch.pop("rows"))
    head = json.dumps({**batch, "crc32": zlib.crc32(rows)}).encode()
    (directory / "batch.0").write_bytes(b"%08x%b\n" % (zlib.crc32(head), head) + rows)
    (directory / "batch.1").write_bytes(b"")


def read_journal_before(directory: pathlib.Path) -> tuple[dict[str, typing.Any], dict[str, typing.Any] | None]:
    """Read the journal, and the batch that is open, as the version before does."""
    content, slot = (directory / "journal").read_bytes(), struct.Struct("<QII")
    found = []
    for start in (0, len(content) // 2):
        number, length, checksum = slot.unpack_from(content, start)
        text = content[start + slot.size : start + slot.size + length]
        if number and zlib.crc32(text) == checksum:
            found.append((number, json.loads(text)))
    document = max(found, key=lambda each: each[0])[1]
    if document["open"] is None:
        return document, None
    line = (directory / f"batch.{document['open']['area']}").read_bytes().partition(b"\n")[0]
    assert zlib.crc32(line[8:]) == int(line[:8], 16)
    return document, json.loads(line[8:])


def test_rows_of_a_version_before_arrive_with_ours(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod, before="import modeldata\n")
    ours.collect(0, 10)
    with _Before(pod) as older:
        older.collect(10, 10)
        eventually(pod.arrived(20))
        older.collect(20, 10)  # its directory is not taken for a dead one's meanwhile
        eventually(pod.arrived(30))
    ours.collect(30, 10)
    eventually(pod.arrived(40))
    eventually(lambda: pod.waits() == 0)


def test_the_journal_of_a_version_before_is_gone_on_with(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    with _Before(pod) as older:
        older.collect(0, 3)
    (path,) = pod.directory.glob("spool/*/*.seg")
    lines = path.read_bytes().splitlines(keepends=True)
    first, second = len(lines[0] + lines[1]), len(b"".join(lines[:3]))
    key = f"{path.parent.name}/{path.name}"
    block = {
        **{"endpoint": pod.endpoint, "container": pod.container.container_name, "rows": 1, "owner": "", "writers": []},
        "path": "churn/m/10/inputs/2026/01/01/{file}",
        "header": "$Timestamp,$CorrelationId,$RequestId,n\r\n",
    }
    rows = b"2026-01-01T00:00:00.000000Z,r,r,1\r\n"
    write_journal_before(
        pod.directory / "spool/.shipper",
        {
            "pod": "",
            "consumed": {key: first},
            "files": {},
            "checkpoint": None,
            "open": {"id": "b", "area": 0},
            "intent": None,
        },
        {"id": "b", "upto": {key: second}, "aside": "", "blocks": [{**block, "bytes": len(rows)}], "rows": rows},
    )
    model(pod)
    eventually(lambda: pod.numbers() == [1, 2])  # the first is delivered, the second is in the batch
    eventually(lambda: pod.waits() == 0)


def test_a_version_before_reads_our_journal(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod, before="import modeldata\n")
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    pod.credential("r")  # from now on nothing is taken, so a batch stays open
    ours.collect(10, 10)
    eventually(lambda: read_journal_before(pod.directory / "spool/.shipper")[0]["consumed"])
    ours.kill()
    document, _ = read_journal_before(pod.directory / "spool/.shipper")
    assert {"pod", "consumed", "files", "checkpoint", "open", "intent"} <= set(document)
    assert all(isinstance(offset, int) for offset in document["consumed"].values())


def test_what_a_version_to_come_writes_waits_for_it(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    newer = model(pod, before=AFTER)
    newer.collect(0, 10)
    newer.kill()
    (path,) = pod.directory.glob("spool/*/*.seg2")
    ours = model(pod, before="import modeldata\n")
    ours.collect(10, 10)
    eventually(lambda: ours.ask("modeldata.flush(30)") == "True\n" or pod.numbers() == list(range(10, 20)))
    eventually(lambda: pod.numbers() in (list(range(10, 20)), list(range(20))))
    if pod.numbers() != list(range(20)):
        assert path.exists()
        assert int(ours.ask("modeldata.stats().waiting_bytes")) >= path.stat().st_size
        assert ours.ask("modeldata.stats().dropped") == "{}\n"
    again = model(pod, before=AFTER)
    again.collect(20, 10)
    # Ours has shipped what it knows, and leaves the rest to whoever knows all.
    eventually(pod.arrived(30), seconds=90)
    assert ours.ask("modeldata.stats().dropped") == again.ask("modeldata.stats().dropped") == "{}\n"


def test_a_journal_of_a_version_to_come_is_left_alone(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    newer = model(pod, before="from modeldata.delivery import batches; batches.FORMAT = 2\n")
    newer.collect(0, 10)
    eventually(pod.arrived(10))
    newer.kill()
    ours = model(pod, before="import modeldata\n")
    ours.collect(10, 10)
    before = (pod.directory / "spool/.shipper/journal").read_bytes()
    assert ours.ask("modeldata.flush(2)") == "False\n"
    assert (pod.directory / "spool/.shipper/journal").read_bytes() == before
    assert pod.arrived(10)()
    model(pod, before="from modeldata.delivery import batches; batches.FORMAT = 2\n")
    eventually(pod.arrived(20))
    assert ours.ask("modeldata.stats().dropped") == "{}\n"


def test_newer_formats_are_not_damage(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = batches.Block("http://x", "c", "a/{file}", b"h\r\n", b"1\r\n", 1)
    with monkeypatch.context() as newer:
        newer.setattr(batches, "FORMAT", 2)
        aside.Aside(tmp_path / "aside").put("b1-0", block, None)
        written = journal.Journal(tmp_path)
        written.begin(batches.Batch("b", (block,), {}))
        written.intend(journal.Intent("b", 0, "", 0))
        before = (tmp_path / "journal").read_bytes()
    with pytest.raises(batches.NewerError, match="format 2"):
        aside.Aside(tmp_path / "aside").get("b1-0")
    with pytest.raises(batches.NewerError, match="format 2"):
        journal.Journal(tmp_path)
    assert journal.consumed(tmp_path) == {}
    assert (tmp_path / "journal").read_bytes() == before
    assert list(aside.Aside(tmp_path / "aside").sizes) == ["b1-0"]


def test_what_our_encoder_can_not_write_is_kept_and_is_no_damage(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    broken = """
import modeldata
from modeldata.encoding import csvtext
def fails(of, wanted):
    if b"13" in of.table.payload:
        raise KeyError("13")
    return real(of, wanted)
real, csvtext.to_csv, csvtext.singles_to_csv = csvtext.to_csv, fails, lambda *_: None
"""
    ours = model(pod, before=broken)
    ours.collect(0, 20)
    eventually(lambda: pod.numbers() == [n for n in range(20) if n != 13])
    eventually(lambda: ours.ask("modeldata.stats().dropped") == "{'internal_error': 1}\n")
    (path,) = pod.directory.glob("spool/.shipper/kept/*.seg")
    ((record, _),) = records.Reader().read(path.read_bytes())
    assert isinstance(record, records.Run)
    (one,) = record.records()
    assert csvtext.to_csv(one).text.endswith(b",13\r\n")


def test_what_is_damaged_is_called_so(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    with _Before(pod) as older:
        older.collect(0, 3)
    (path,) = pod.directory.glob("spool/*/*.seg")
    path.write_bytes(path.read_bytes().replace(b"[[1]]", b'[["]]'))
    ours = model(pod, before="import modeldata\n")
    eventually(lambda: pod.numbers() == [0, 2])
    eventually(lambda: ours.ask("modeldata.stats().dropped") == "{'corrupt': 1}\n")
    assert not list(pod.directory.glob("spool/.shipper/kept/*"))
