"""Calls of tens of MiB: what they take of a pod's memory, of who makes them and of who ships them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing

import orjson
import pytest

from modeldata.spool import records
from modeldata.tables import pieces

pytestmark = pytest.mark.azurite

MIB = 2**20
# Peaks are the kernel's, reset when all that is imported is there.
SHIPS = """
import pathlib, sys, time
import azure.storage.blob
import modeldata

def memory(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

model = modeldata.ModelDataCollector("m", "inputs", ["n", "text"])
model.collect([[-1, "warm"]])
data = {data}
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS:")
for each in data:
    model.collect(each)
while not modeldata.flush(60) or modeldata.stats().waiting_bytes:
    time.sleep(0.1)
print(memory("VmHWM:") - before, dict(modeldata.stats().dropped))
"""
CALLS = {
    "rows of text": '[[[n, "x" * 57_000] for n in range(1000)]]',
    "few rows of text": '[[[n, "x" * 3_000_000] for n in range(20)]]',
    "dicts": '[[{"n": n, "text": "x" * 57_000} for n in range(1000)]]',
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_57_mib_takes_a_part_of_it(pod: typing.Any, call: str) -> None:
    done = pod.run(SHIPS.format(data=CALLS[call]))
    used, _, dropped = done.stdout.partition(" ")
    print(done.stderr)
    assert dropped == "{}\n"
    # 230 MiB where it was one record. Of a row some fifteen copies are there at a time: of one of 3 MiB too.
    assert int(used) < (180 if call == "few rows of text" else 60) * MIB
    numbers = [n for n in pod.numbers() if n >= 0]
    assert numbers == list(range(20 if call == "few rows of text" else 1000))


@pytest.mark.parametrize("size", [57, 150])
def test_a_record_of_a_version_before_is_delivered_in_pieces(pod: typing.Any, size: int) -> None:
    rows = [[n, "x" * 10_000] for n in range(size * 105)]
    stream = records.Stream("m", "inputs", ("n", "text"), number=1)
    table = pieces.Table(stream.names, len(rows), pieces.Encoding.JSON, orjson.dumps(rows))
    directory = pod.directory / "spool/pod-1-1-00000000"
    directory.mkdir(parents=True)
    record = records.Record(stream, 1_700_000_000_000_000, "r", "", 0, table)
    (directory / "000000001.seg").write_bytes(stream.to_line() + record.to_line())
    done = pod.run(SHIPS.format(data="[]"))
    used, _, dropped = done.stdout.partition(" ")
    assert dropped == "{}\n"
    assert int(used) < 60 * MIB
    assert [n for n in pod.numbers() if n >= 0] == list(range(len(rows)))


def test_a_shipper_killed_while_it_cuts_a_record_leaves_each_row_once(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    rows = [[n] for n in range(600_000)]
    stream = records.Stream("m", "inputs", ("n",), number=1)
    table = pieces.Table(
        stream.names, len(rows), pieces.Encoding.JSON, orjson.dumps([[*row, "x" * 20] for row in rows])
    )
    directory = pod.directory / "spool/pod-1-1-00000000"
    directory.mkdir(parents=True)
    record = records.Record(stream, 1_700_000_000_000_000, "r", "", 0, table)
    (directory / "000000001.seg").write_bytes(stream.to_line() + record.to_line())
    for _ in range(3):
        first = model(pod)
        eventually(lambda: (directory / "000000001.seg.new").exists() or pod.waits() == 0)
        first.kill()
    model(pod)
    eventually(lambda: pod.waits() == 0, seconds=120)
    assert pod.numbers() == list(range(len(rows)))


def test_the_hub_of_gevent_goes_on_while_azure_is_imported(pod: typing.Any) -> None:
    script = """
import gevent.monkey
gevent.monkey.patch_all()
import json, sys, time
import gevent
import modeldata
model = modeldata.ModelDataCollector("m", "inputs", ["n"])
turns = 0
while not modeldata.stats().delivered:
    model.collect([[turns]])
    time.sleep(0.001)
    turns += "azure.storage.blob" not in sys.modules
    assert turns < 100_000
modules = [name for name in sys.modules if name.partition(".")[0] == "azure"]
print(json.dumps([turns, len(modules), modeldata.close(60)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=pod.environment(), text=True, capture_output=True, check=True, timeout=120
    )
    turns, modules, closed = json.loads(done.stdout)
    assert closed
    assert modules > 10
    # Without a thread of its own all of them are there when the second turn comes.
    assert turns > 20, (turns, os.cpu_count())
