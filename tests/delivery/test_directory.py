"""Rows to a directory: as to Blob Storage, whatever is killed, full, gone or forbidden. No Azurite is needed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import typing

import pytest

from modeldata.spool import locks

from . import directories, fleet
from .test_disk import fill
from .test_doctor import doctor

LOADED = "sorted(name for name in __import__('sys').modules if name.partition('.')[0] in ('azure', 'requests'))"


@pytest.fixture
def pod(tmp_path: pathlib.Path) -> directories.Pod:
    return directories.pod(tmp_path)


@pytest.fixture
def disk(pod: directories.Pod) -> typing.Iterator[pathlib.Path]:
    """The directory that rows go to, on a disk of 16 MiB (mounting needs root)."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(pod.place)], check=True)
    try:
        yield pod.place
    finally:
        subprocess.run(["umount", "--lazy", str(pod.place)], check=True)


def refusals(model: typing.Any) -> str:
    return typing.cast("str", model.ask("modeldata.stats().refusals"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_processes_that_are_killed_lose_repeat_and_tear_nothing(tmp_path: pathlib.Path, file: str) -> None:
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    course = fleet.Course(rows=800, file=file, calls=60, most_rows=9, pause=0.03, restarts=0, kills=0.4)
    outcome = directories.run(tmp_path, seed=seed, course=course, pods=2, processes=2)
    print(f"{outcome.verdict}; {outcome.kills} kills, {outcome.amid} amid, {outcome.reader.looks} looks")
    assert not outcome.verdict.violations
    assert outcome.verdict.rows >= 800
    assert not outcome.reader.violations
    assert outcome.reader.looks > 100
    assert outcome.amid


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_rows_arrive_without_a_credential_and_without_the_sdk(
    tmp_path: pathlib.Path, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    pod = directories.pod(tmp_path, file=file)
    ours = model(pod)
    ours.collect(0, 100)
    eventually(pod.arrived(100))
    assert ours.ask(LOADED) == "[]\n"
    name = "data.csv" if file == "Shared" else f"data.{pod.uid}.csv"
    assert [each.rpartition("/")[2] for each in pod.blobs()] == [name]


def test_a_process_that_ends_has_sent_all(pod: directories.Pod) -> None:
    pod.settings(flushInterval="1h")
    pod.run("from modeldata import ModelDataCollector\nModelDataCollector('m', 'inputs', ['n']).collect([[0], [1]])")
    assert pod.numbers() == [0, 1]


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_on_a_full_disk_rows_wait_whole(
    tmp_path: pathlib.Path, disk: pathlib.Path, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    pod = directories.pod(tmp_path, file=file)
    ours = model(pod, "import modeldata\n")
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    ballast = fill(disk)
    ours.collect(10, 5000)
    eventually(lambda: "'disk'" in refusals(ours))
    (before,) = pod.blobs().values()
    assert before.endswith("\r\n")
    assert not list(disk.rglob("*.pending"))
    ours.kill()
    again = model(pod, "import modeldata\n")
    again.collect(5010, 10)
    eventually(lambda: "'disk'" in refusals(again))
    said = doctor(pod.environment())
    assert any("MiB left" not in each and "left: rows wait" in each for each in said.wrong)
    ballast.unlink()
    pod.settings(generation=2)
    eventually(pod.arrived(5020))
    assert "'storage_refused'" not in again.ask("modeldata.stats().dropped")


def test_on_a_disk_that_becomes_read_only_rows_wait(
    pod: directories.Pod, disk: pathlib.Path, model: typing.Any, eventually: typing.Any
) -> None:
    ours = model(pod, "import modeldata\n")
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ours.collect(10, 10)
    eventually(lambda: "'forbidden'" in refusals(ours))
    assert any("is read-only" in each for each in doctor(pod.environment()).wrong)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    pod.settings(generation=2)
    eventually(pod.arrived(20))


def test_where_this_user_may_not_write_rows_wait(pod: directories.Pod, eventually: typing.Any) -> None:
    pod.place.chmod(0o500)
    # Root may write everywhere: unless it gives up the right to.
    script = """
import sys, modeldata
from modeldata import ModelDataCollector
ModelDataCollector("m", "inputs", ["n"]).collect([[0]])
while "forbidden" not in modeldata.stats().refusals:
    modeldata.flush(0.1)
print("refused", flush=True)
while not modeldata.flush(60):
    pass
"""
    process = subprocess.Popen(
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", script],
        env=pod.environment(),
        text=True,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "refused\n"
        assert not pod.blobs()
        pod.place.chmod(0o700)
        eventually(pod.arrived(1))
        assert process.wait(60) == 0


def test_a_directory_that_is_gone_is_waited_for(
    pod: directories.Pod, model: typing.Any, eventually: typing.Any
) -> None:
    ours = model(pod, "import modeldata\n")
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    away = pod.place.rename(pod.place.with_name("away"))
    ours.collect(10, 10)
    eventually(lambda: "'container'" in refusals(ours))
    assert not pod.place.exists()
    assert any("does not exist" in each for each in doctor(pod.environment()).wrong)
    away.rename(pod.place)
    pod.settings(generation=2)
    eventually(pod.arrived(20))


def test_a_day_that_is_removed_begins_anew(pod: directories.Pod, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    shutil.rmtree(pod.place / "churn")
    ours.collect(10, 10)
    eventually(lambda: pod.numbers() == list(range(10, 20)))


def test_other_columns_go_to_another_file(pod: directories.Pod) -> None:
    for columns in (["n"], ["n", "m"]):
        pod.run(
            "from modeldata import ModelDataCollector\n"
            f"ModelDataCollector('m', 'inputs', {columns}).collect([[1] * {len(columns)}])"
        )
    first, other = sorted(pod.blobs().items(), key=lambda each: len(each[0]))
    assert first[0].endswith("/data.csv")
    assert [each.splitlines()[0].rpartition("$RequestId,")[2] for _, each in (first, other)] == ["n", "n,m"]


def test_who_holds_the_lock_keeps_rows_waiting_and_no_longer(
    pod: directories.Pod, model: typing.Any, eventually: typing.Any
) -> None:
    ours = model(pod, "import modeldata\nfrom modeldata.delivery import detour\ndetour.PATIENCE_SECONDS = 0.2\n")
    held = locks.take(pod.place / locks.STORAGE)
    ours.collect(0, 10)
    eventually(lambda: "'busy'" in refusals(ours))
    assert not pod.blobs()
    held.end()
    eventually(pod.arrived(10))


@pytest.mark.azurite
@pytest.mark.parametrize("back", [False, True], ids=["to a container", "to a directory"])
def test_rows_move_between_a_directory_and_a_container(
    local_azurite: typing.Any, tmp_path: pathlib.Path, model: typing.Any, eventually: typing.Any, back: bool
) -> None:
    from azure.storage.blob import ContainerClient

    from . import conftest

    local = directories.pod(tmp_path)
    container = ContainerClient(local_azurite.endpoint, f"test-{os.getpid()}-{back:d}", local_azurite.account_key)
    container.create_container()
    remote = conftest.Pod(local.directory, container, local_azurite, local_azurite.endpoint)
    first, then = (remote, local) if back else (local, remote)
    remote.credential()
    first.settings()
    ours = model(first)
    ours.collect(0, 10)
    eventually(first.arrived(10))
    then.settings()
    ours.collect(10, 10)
    eventually(lambda: sorted(first.numbers() + then.numbers()) == list(range(20)))
    ours.collect(20, 10)
    eventually(lambda: then.numbers()[-10:] == list(range(20, 30)))


def test_containers_of_different_users_append_to_one_file(tmp_path: pathlib.Path) -> None:
    script = """
import os, pathlib, sys
from modeldata.delivery.azure import answers, credentials
from modeldata.delivery.directory import container
place = pathlib.Path(sys.argv[1])
ours = container.Directory(credentials.Account(place.parent.as_uri(), place.name, place), place)
for user in (1001, 1002, 1003):
    if os.fork() == 0:
        os.umask(0o077)
        os.setgid(user)
        os.setuid(user)
        ours.create("d/data.csv")
        reply = ours.append("d/data.csv", b"%d" % user, ours.size("d/data.csv")[1])
        os._exit(reply.answer is not answers.Answer.DONE)
    assert os.wait()[1] == 0
"""
    with contextlib.ExitStack() as stack:
        place = pathlib.Path("/dev/shm" if pathlib.Path("/dev/shm").is_dir() else "/tmp") / f"modeldata-{os.getpid()}"
        place.mkdir()
        stack.callback(shutil.rmtree, place)
        place.chmod(0o777)  # as an emptyDir
        subprocess.run([sys.executable, "-c", script, str(place)], check=True, timeout=60)
        assert (place / "d/data.csv").read_bytes() == b"100110021003"
