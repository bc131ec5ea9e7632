"""What a person sees of delivery: statistics, metrics, and a log that says things once."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import typing

import pytest
from prometheus_client import parser

pytestmark = pytest.mark.azurite

MODEL = """
import os, sys
import modeldata
from modeldata import ModelDataCollector
model = ModelDataCollector("m", "inputs", ["n"])
def collect(first, count):
    for n in range(first, first + count):
        model.collect([[n]])
"""


def test_statistics_follow_the_rows(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        MODEL
        + """
collect(0, 20)
assert (modeldata.stats().accepted, modeldata.stats().delivered) == (20, 0)
assert modeldata.stats().since_delivery is None
assert modeldata.flush(60)
seen = modeldata.stats()
assert (seen.accepted, seen.delivered, seen.dropped) == (20, 20, {})
assert seen.since_delivery is not None
"""
    )


def test_when_all_is_delivered_nothing_is_old(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        MODEL
        + """
import time
def eventually(look):
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, modeldata.stats()
        time.sleep(0.01)
collect(0, 20)
eventually(lambda: modeldata.stats().waiting_bytes > 0 and modeldata.stats().oldest_waiting_age > 0)
assert modeldata.flush(60)
eventually(lambda: modeldata.stats().waiting_bytes == 0 and modeldata.stats().oldest_waiting_age == 0)
"""
    )


def test_rows_of_a_table_with_many_columns_grow_old_too(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")
    pod.run(
        MODEL
        + """
import time
ModelDataCollector("wide", "inputs", [f"feature number {n}" for n in range(2000)]).collect([list(range(2000))])
deadline = time.monotonic() + 30
while not modeldata.stats().oldest_waiting_age:
    assert time.monotonic() < deadline, modeldata.stats()
    time.sleep(0.01)
assert modeldata.flush(60)
"""
    )


def test_in_multiprocess_mode_all_processes_deliveries_add_up(pod: typing.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shared").mkdir()
    script = """
import prometheus_client, prometheus_client.multiprocess
collect(0, 10)
children = []
for n in range(1, 4):
    child = os.fork()
    if child == 0:
        collect(10 * n, 10)
        os._exit(0 if modeldata.close(60) else 1)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
assert modeldata.close(60)
registry = prometheus_client.CollectorRegistry()
prometheus_client.multiprocess.MultiProcessCollector(registry)
print(prometheus_client.generate_latest(registry).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", MODEL + script],
        env=pod.environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "shared")),
        text=True,
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    families = parser.text_string_to_metric_families(done.stdout)
    shown = {sample.name: sample.value for family in families for sample in family.samples}
    assert shown["modeldata_rows_accepted_total"] == 40
    assert shown["modeldata_rows_delivered_total"] == 40
    assert shown["modeldata_spool_waiting_bytes"] == 0
    assert len(pod.rows("inputs")) == 40


def test_storage_that_is_down_is_said_once_and_so_is_its_return(
    pod: typing.Any, proxy: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.down = True
    script = """
collect(0, 10)
print("collected", flush=True)
sys.stdin.readline()
assert modeldata.flush(60)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", MODEL + script],
        env=pod.environment(),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "collected\n"
            eventually(lambda: proxy.requests >= 3)
            proxy.down = False
            process.stdin.write("go on\n")
            process.stdin.flush()
            # The rows are there a moment before it is said, and who ends at once says no more.
            log = ""
            while "again" not in log and (line := process.stderr.readline()):
                log += line
            process.stdin.write("end\n")
            process.stdin.flush()
            log += process.stderr.read()
            process.wait(120)
        finally:
            process.kill()
    assert process.returncode == 0, log
    lines = [line for line in log.splitlines() if line.startswith("modeldata: ")]
    waits, again = [line for line in lines if "rows wait" in line], [line for line in lines if "again" in line]
    assert len(waits) == len(again) == 1
    assert f"{pod.endpoint}/{pod.container.container_name}" in waits[0]
