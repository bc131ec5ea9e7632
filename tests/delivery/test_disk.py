"""The spool's disk full, read-only or gone. Real disks: each test has a small one of its own (mounting needs root)."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing

import pytest

pytestmark = pytest.mark.azurite


@pytest.fixture
def disk(pod: typing.Any) -> typing.Iterator[pathlib.Path]:
    """The pod's spool, on a disk of 16 MiB."""
    spool = pod.directory / "spool"
    spool.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(spool)], check=True)
    try:
        yield spool
    finally:
        subprocess.run(["umount", "--lazy", str(spool)], check=True)


def fill(disk: pathlib.Path) -> pathlib.Path:
    """Take all the room that is left."""
    ballast = disk / ".ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    assert not shutil.disk_usage(disk).free
    return ballast


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_a_shipper_killed_in_mid_append_on_a_full_disk_repeats_nothing(
    pod: typing.Any, proxy: typing.Any, disk: pathlib.Path, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    pod.endpoint, pod.file = proxy.endpoint, file
    pod.settings()
    ours = model(pod, "import modeldata\n")
    ours.collect(0, 100)
    eventually(pod.arrived(100))
    pod.settings(flushInterval="1h")
    eventually(lambda: ours.ask("modeldata.process.running.existing().live.current().flush_seconds") == "3600.0\n")
    ours.collect(100, 100)
    fill(disk)
    proxy.rates = {"lost answer": 1.0}
    pod.settings()
    eventually(pod.arrived(200))  # applied, and the shipper does not know it
    ours.kill()
    proxy.rates = {}
    model(pod)
    eventually(lambda: not pod.waits())
    assert pod.numbers() == list(range(200))


def test_a_full_disk_drops_new_rows_and_delivers_those_that_wait(
    pod: typing.Any, disk: pathlib.Path, model: typing.Any, eventually: typing.Any
) -> None:
    pod.settings(flushInterval="1h")
    ours = model(pod, "import modeldata\n")
    ours.collect(0, 100)
    eventually((disk / ".shipper/batch.1").exists)  # made last: what it takes in vain would be free again
    ballast = fill(disk)
    ours.collect(100, 5000)
    dropped = int(re.findall(r"'disk': (\d+)", ours.ask("modeldata.stats().dropped"))[0])
    assert dropped > 4000
    pod.settings()
    eventually(pod.arrived(5100 - dropped))
    ballast.unlink()
    ours.collect(5100 - dropped, 100)
    eventually(pod.arrived(5200 - dropped))


def test_on_a_disk_that_becomes_read_only_rows_wait(
    pod: typing.Any, proxy: typing.Any, disk: pathlib.Path, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings(flushInterval="1h")
    ours = model(pod)
    ours.collect(0, 100)
    eventually((disk / ".shipper/batch.1").exists)  # made last: what it takes in vain would be free again
    ours.kill()  # or the disk would be busy
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    pod.settings()
    again = model(pod, "import modeldata\n")
    again.collect(100, 10)
    assert "'disk': 10" in again.ask("modeldata.stats().dropped")
    eventually(lambda: int(again.ask("modeldata.process.running.existing().shipper.ticks")) >= 4)
    assert not proxy.requests
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    eventually(pod.arrived(100))
    eventually(lambda: not pod.waits())


def test_where_the_disk_has_no_room_for_the_journal_rows_wait_for_it(
    pod: typing.Any, disk: pathlib.Path, model: typing.Any, eventually: typing.Any
) -> None:
    pod.settings(flushInterval="1h")
    ours = model(pod)
    ours.collect(0, 100)
    eventually((disk / ".shipper/batch.1").exists)  # made last: what it takes in vain would be free again
    ours.kill()
    shutil.rmtree(disk / ".shipper")
    ballast = fill(disk)
    pod.settings()
    again = model(pod, "import modeldata\n")
    eventually(lambda: int(again.ask("modeldata.process.running.existing().shipper.ticks")) >= 4)
    assert not pod.blobs()
    ballast.unlink()
    eventually(pod.arrived(100))


def test_a_spool_that_is_removed_is_made_anew(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 10)
    eventually(pod.arrived(10))

    def removed() -> bool:
        """Remove it; where a file was made in it meanwhile, that is tried again."""
        try:
            shutil.rmtree(pod.directory / "spool")
        except OSError:
            return False
        return True

    eventually(removed)
    collected = 10

    def arrives_again() -> bool:
        nonlocal collected
        ours.collect(collected, 1)
        collected += 1
        return len(pod.numbers()) > 10

    eventually(arrives_again)
    there = pod.numbers()
    assert len(there) == len(set(there))
    ours.collect(collected, 10)
    eventually(lambda: pod.numbers()[-10:] == list(range(collected, collected + 10)))


def test_a_journal_that_is_removed_in_mid_delivery_is_made_anew(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults = {"": "503"}
    ours = model(pod)
    ours.collect(0, 100)
    eventually(lambda: proxy.requests)
    eventually(lambda: not shutil.rmtree(pod.directory / "spool/.shipper"))  # while files in it come and go
    proxy.faults = {}
    eventually(pod.arrived(100))


def test_segments_of_another_user_wait_and_those_of_ours_arrive(pod: typing.Any, eventually: typing.Any) -> None:
    theirs = pod.directory / "spool/pod-0-another"
    theirs.mkdir(parents=True)
    segment = theirs / "000000001.seg"
    segment.write_bytes(b"not for everybody\n")
    segment.chmod(0o600)
    os.chown(segment, 65534, 65534)
    # Root may read everything: unless it gives up the right to.
    without_rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    script = """
import modeldata
from modeldata import ModelDataCollector
from modeldata.delivery import loop
loop.TICK_SECONDS = loop.SCAN_SECONDS = 0.05
model = ModelDataCollector("m", "inputs", ["n"])
for n in range(3):
    model.collect([[n]])
    assert modeldata.flush(60)
"""
    done = subprocess.run(
        [*without_rights, sys.executable, "-c", script],
        env=pod.environment(),
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert pod.numbers() == [0, 1, 2]
    assert done.stderr.count("can't be read") == 1
    assert segment.exists()


def test_containers_of_one_pod_may_run_as_different_users(pod: typing.Any, eventually: typing.Any) -> None:
    script = """
import os, signal, sys, modeldata
from modeldata import ModelDataCollector
model = ModelDataCollector("m", "inputs", ["n"])
model.collect([[0]])
assert modeldata.close(60)  # all is imported now that another user could not read

def begin(user, first, then):
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setgid(user)
        os.setuid(user)
        model.collect([[first]])
        assert modeldata.flush(60)  # by whichever of them ships
        os.write(told, b".")
        then()
        os._exit(0)
    assert os.read(ready, 1)

kill, killed = os.pipe()

def die():
    os.read(kill, 1)
    model.collect([[3]])
    os.kill(os.getpid(), signal.SIGKILL)

def go_on():
    os.write(killed, b".")
    sys.stdin.readline()
    model.collect([[4]])
    while not modeldata.flush(60):
        pass
    sys.stdin.readline()

begin(1001, 1, die)  # the first, so it ships
begin(1002, 2, go_on)
os.wait()
os.wait()
"""
    with tempfile.TemporaryDirectory() as temporary:  # pytest's own directory is closed to others
        pathlib.Path(temporary).chmod(0o755)
        pod.directory = pathlib.Path(temporary) / "modeldata"
        pod.settings()
        pod.credential()
        (pod.directory / "spool").mkdir()
        (pod.directory / "spool").chmod(0o777)  # as an emptyDir
        process = subprocess.Popen(
            [sys.executable, "-c", script], env=pod.environment(), stdin=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stdin is not None
        try:
            eventually(pod.arrived(4))  # that of the one that was killed too
            process.stdin.write("\n")
            eventually(pod.arrived(5))
            eventually(lambda: not pod.waits())
        finally:
            process.stdin.close()
            process.wait(60)
