"""A day is closed on a real cluster of Spark: a master, two workers, and executors that are killed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing
import urllib.request

import pyspark
import pytest

from modeldata_analytics.catalog import open_store

from ..apiserver.server import free_ports
from ..conftest import REPOSITORY, Eventually
from . import stores
from .stores import FOLDER, LEADING, Row, row, written

pytestmark = [pytest.mark.java, pytest.mark.timeout(900)]  # JVMs start in a minute on a machine that is busy

HOME = pathlib.Path(pyspark.__file__).parent
SUBMITTED = REPOSITORY / "examples/spark/close.py"
QUICKLY = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Eight JVMs are started here, and none runs for long."""
ROWS = 100_000
"""Of 400 bytes in two files: enough for a shuffle that takes a moment."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    address: str
    page: str
    folder: pathlib.Path
    workers: list[subprocess.Popen[bytes]]

    def executors(self) -> list[int]:
        """Return the executors that run, which workers have started."""
        found = [pid for worker in self.workers for pid in children(worker.pid)]
        return [pid for pid in found if b"CoarseGrainedExecutorBackend" in command(pid)]

    def launched(self) -> int:
        """Return how many executors there have been."""
        return (self.folder / "master.Master-0.log").read_text().count(": Launching executor ")

    def status(self) -> dict[str, typing.Any]:
        with urllib.request.urlopen(f"{self.page}/json/", timeout=5) as answer:
            return dict(json.load(answer))


def children(pid: int) -> list[int]:
    """Return the processes that any thread of a process has started."""
    return [
        int(each) for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for each in file.read_text().split()
    ]


def command(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def environment(local: pathlib.Path) -> dict[str, str]:
    return {
        **os.environ,
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(local),
        "SPARK_DAEMON_JAVA_OPTS": QUICKLY,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Cluster]:
    """A master and two workers of one core and 1 GB."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = free_ports(2)
    program, host = str(HOME / "bin/spark-class"), ("--host", "127.0.0.1")
    with contextlib.ExitStack() as stack:

        def start(role: str, *arguments: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((folder / f"{role}-{len(started)}.log").open("wb"))
            process = subprocess.Popen(
                [program, f"org.apache.spark.deploy.{role}", *host, *arguments],
                env=environment(folder),
                cwd=folder,
                stdout=log,
                stderr=log,
            )
            started.append(process)
            return process

        started: list[subprocess.Popen[bytes]] = []
        try:
            start("master.Master", "--port", str(port), "--webui-port", str(page))
            address = f"spark://127.0.0.1:{port}"
            limits = ("--cores", "1", "--memory", "1g", "--webui-port", "0")
            workers = [start("worker.Worker", address, *limits, "--work-dir", str(folder / f"w{n}")) for n in range(2)]
            yield Cluster(address, f"http://127.0.0.1:{page}", folder, workers)
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(30)


def rows(first: int) -> list[Row]:
    numbers = range(first, first + ROWS // 2)
    return [row((each * 7919) % 1_000_003, str(each), f'"{each}"\r\n' + "x" * 350) for each in numbers]


def test_a_day_is_closed_though_its_executors_are_killed(
    cluster: Cluster, tmp_path: pathlib.Path, scratch: pathlib.Path, eventually: Eventually
) -> None:
    shared = [tmp_path / name for name in ("by-spark", "by-duckdb")]
    filled = [stores.Filled(open_store(str(each)), root=each) for each in shared]
    contents = [
        written([(*LEADING, "n", "text"), *rows(0)]),
        written([(*LEADING, "text", "n"), *((*each[:3], each[4], each[3]) for each in rows(ROWS))]),
    ]
    for each in filled:
        each.append("data.0.csv", contents[0])
        each.append("data.1.csv", contents[1])
    eventually(lambda: cluster.status()["aliveworkers"] == 2, seconds=300)

    log = (tmp_path / "driver.log").open("w+b")
    driver = subprocess.Popen(
        [
            *(HOME / "bin/spark-submit", "--master", cluster.address),
            *("--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.driver.bindAddress=127.0.0.1"),
            *("--driver-java-options", QUICKLY, "--conf", f"spark.executor.extraJavaOptions={QUICKLY}"),
            *("--conf", "spark.sql.shuffle.partitions=16"),
            *("--conf", "spark.ui.enabled=false", "--conf", "spark.executor.memory=800m"),
            *(SUBMITTED, shared[0], "--path", stores.PATH.text, "--scratch", scratch),
        ],
        env=environment(tmp_path),
        stdout=log,
        stderr=log,
    )
    try:
        # What a shuffle has left with an executor is lost with it, and made anew.
        eventually(lambda: any(cluster.folder.rglob("shuffle_*.data")) or driver.poll() is not None, seconds=300)
        killed = cluster.executors()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert driver.wait(300) == 0
    finally:
        driver.kill()
        driver.wait(30)
        log.seek(0)
        print(log.read().decode(errors="replace")[-8000:])
        log.close()
    assert killed
    assert cluster.launched() > 2  # others have come in their place

    stores.close(filled[1].store, scratch)
    name = f"closed/{FOLDER}/data.csv"
    assert filled[0].get(name) == filled[1].get(name)
    assert filled[0].manifest()["rows"] == ROWS
    (one,), (other,) = filled[0].parts(), filled[1].parts()
    assert one.equals(other)
    assert filled[0].names() == filled[1].names()
