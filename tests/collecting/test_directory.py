"""A directory in the place of a container: the appender's rules hold there, wherever its process is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing

import pytest

from modeldata.delivery import batches, journal
from modeldata.delivery.azure import answers, credentials
from modeldata.delivery.directory import container, folders
from modeldata.delivery.files import append
from modeldata.spool import locks

HEADER = b"a,b\r\n"
CHANGES = ("pwrite", "unlink", "fdatasync", "ftruncate", "mkdir", "rename", "fchmod", "fsync")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def directory(path: pathlib.Path) -> container.Directory:
    account = credentials.Account(path.parent.as_uri(), path.name, pathlib.Path("sas"))
    return container.Directory(account, path)


def batch(data: bytes, *, owner: str = "", name: str = "b") -> batches.Batch:
    block = batches.Block("file:///x", "data", "d/e/{file}", HEADER, data, 1, owner)
    return batches.Batch(name, (block,), {name: 1})


def deliver(spool: pathlib.Path, place: pathlib.Path, work: batches.Batch) -> None:
    """Deliver a batch from where an earlier process left it."""
    log = journal.Journal(spool)
    if log.batch is None:
        if work.id in log.consumed:
            return
        log.begin(work)
    assert log.batch is not None
    append.Appender(directory(place), log).deliver(log.batch, 0)
    log.finish({*log.consumed, work.id})


def files(place: pathlib.Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(place.rglob("*.csv")) if not each.name.startswith(".")}


def killed_at(step: int, cut: float, do: typing.Callable[[], object]) -> bool:
    """Do something in a process that is killed at a change that it makes on disk; return whether it came so far."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _die_at(step, cut)
            do()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def is_ours(descriptor: int) -> bool:
    """Return whether a file is the journal's: what is torn there is for its own tests."""
    return ".shipper" in str(pathlib.Path(f"/proc/self/fd/{descriptor}").readlink())


def _die_at(step: int, cut: float) -> None:
    made = 0

    def changed(name: str, change: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        def call(*arguments: typing.Any, **more: typing.Any) -> typing.Any:
            nonlocal made
            made += 1
            if made == step:
                if name == "pwrite" and not is_ours(arguments[0]):
                    descriptor, content, offset = arguments
                    change(descriptor, bytes(content)[: int(len(content) * cut)], offset)
                elif cut == 1:
                    with contextlib.suppress(OSError):
                        change(*arguments, **more)
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **more)

        return call

    for name in CHANGES:
        setattr(os, name, changed(name, getattr(os, name)))


@pytest.mark.parametrize("cut", [0, 0.5, 1], ids=["before", "amid", "after"])
@pytest.mark.parametrize("owner", ["", "pod"], ids=["shared", "own"])
@pytest.mark.parametrize("between", [False, True], ids=["alone", "another pod meanwhile"])
def test_killed_at_any_change_of_the_disk_each_row_is_there_once(
    tmp_path: pathlib.Path, place: pathlib.Path, cut: float, owner: str, between: bool
) -> None:
    ours, others = batch(b"1,2\r\n3,4\r\n", owner=owner), batch(b"5,6\r\n", owner=owner and "other")
    killed, step = True, 0
    while killed:
        step += 1
        there, spool = place / str(step), tmp_path / f"{step}/.shipper"
        there.mkdir()
        killed = killed_at(step, cut, lambda spool=spool, there=there: deliver(spool, there, ours))
        if between:
            deliver(tmp_path / f"{step}-other/.shipper", there, others)
            for name, content in files(there).items():
                assert not content or content.endswith(b"\r\n") or owner in name, f"{step}: {content!r}"
        deliver(spool, there, ours)
        found = files(there)
        assert all(content.startswith(HEADER) for content in found.values()), f"{step}: {found}"
        rows = [row for content in found.values() for row in content[len(HEADER) :].splitlines()]
        assert sorted(rows) == [b"1,2", b"3,4", *([b"5,6"] if between else [])], f"{step}: {found}"
        assert not list(there.rglob("*.pending"))
    assert step > 15, "a test of nothing"


def test_the_requests_are_answered_as_by_blob_storage(place: pathlib.Path) -> None:
    ours = directory(place)
    assert ours.append("d/data.csv", b"x", 0).answer is answers.Answer.NO_BLOB
    assert ours.size("d/data.csv")[0].answer is answers.Answer.NO_BLOB
    assert ours.read("d/data.csv", 0, 1)[0].answer is answers.Answer.NO_BLOB
    assert ours.create("d/data.csv").answer is answers.Answer.DONE
    assert ours.create("d/data.csv").answer is answers.Answer.EXISTS
    assert ours.append("d/data.csv", b"ab", 0).answer is answers.Answer.DONE
    assert ours.append("d/data.csv", b"ab", 0).answer is answers.Answer.POSITION
    assert ours.append("d/data.csv", b"cd", 3).answer is answers.Answer.POSITION
    assert ours.append("d/data.csv", b"cd", 2).answer is answers.Answer.DONE
    assert ours.size("d/data.csv") == (answers.Reply(answers.Answer.DONE), 4)
    assert ours.read("d/data.csv", 1, 2)[1] == b"bc"
    assert ours.read("d/data.csv", 3, 9)[1] == b"d"
    assert ours.read("d/data.csv", 9, 9)[1] == b""
    place.rename(place.with_name("elsewhere"))
    assert ours.append("d/data.csv", b"ef", 4).answer is answers.Answer.NO_CONTAINER
    assert ours.create("d/data.csv").answer is answers.Answer.NO_CONTAINER


def test_a_block_that_a_kill_has_torn_is_completed_by_the_next_append(place: pathlib.Path) -> None:
    block = b"".join(b"%07d,%s\r\n" % (number, b"x" * 90) for number in range(30_000))
    ours, file, beside = directory(place), place / "data.csv", place / ".data.csv.pending"
    ours.create("data.csv")
    torn, deadline = 0, time.monotonic() + 60
    while torn < 3:
        assert time.monotonic() < deadline, "no kill hit a write"
        child = os.fork()
        if child == 0:
            while True:
                ours.append("data.csv", block, ours.size("data.csv")[1])
        while not beside.exists():
            time.sleep(0.0001)
        before = file.stat().st_size
        while file.stat().st_size == before and beside.exists():
            pass  # a write takes a millisecond
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        torn += file.stat().st_size % len(block) != 0
        assert ours.append("data.csv", b"anything", 0).answer is answers.Answer.POSITION
        content = file.read_bytes()
        assert content == block * (len(content) // len(block))
        if len(content) > 40 * len(block):
            os.truncate(file, 0)


@pytest.mark.parametrize("instead", [False, True], ids=["gone", "another"])
def test_a_directory_that_goes_in_the_middle_of_a_request_is_no_missing_file(
    place: pathlib.Path, monkeypatch: pytest.MonkeyPatch, instead: bool
) -> None:
    ours, take = directory(place), locks.take
    ours.create("d/data.csv")

    def taken(path: pathlib.Path) -> locks.Lock:
        place.rename(place.with_name("away"))
        if instead:
            place.mkdir()
        return take(path)

    monkeypatch.setattr(locks, "take", taken)
    reply = ours.append("d/data.csv", HEADER, 0)
    assert (reply.answer, reply.code) == (answers.Answer.DISK, "ESTALE")


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_file_of_ours_is_left_and_the_next_name_taken(
    tmp_path: pathlib.Path, place: pathlib.Path, kind: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(HEADER)
    name = place / "d/e/data.csv"
    name.parent.mkdir(parents=True)
    {"folder": name.mkdir, "link": lambda: name.symlink_to(theirs), "pipe": lambda: os.mkfifo(name)}[kind]()
    deliver(tmp_path / "spool", place, batch(b"1,2\r\n"))
    assert (place / "d/e/data.1.csv").read_bytes() == HEADER + b"1,2\r\n"
    assert theirs.read_bytes() == HEADER


def test_rows_of_other_columns_go_to_another_file(tmp_path: pathlib.Path, place: pathlib.Path) -> None:
    (place / "d/e").mkdir(parents=True)
    (place / "d/e/data.csv").write_bytes(b"c,d\r\n8,9\r\n")
    deliver(tmp_path / "spool", place, batch(b"1,2\r\n"))
    there = files(place)
    assert there.pop("data.csv") == b"c,d\r\n8,9\r\n"
    assert list(there.values()) == [HEADER + b"1,2\r\n"]


@pytest.mark.parametrize("name", ["../x/data.csv", "d/../../data.csv", "..", ""])
def test_no_name_leads_out_of_the_directory(place: pathlib.Path, name: str) -> None:
    assert directory(place).create(name).answer is answers.Answer.REFUSED
    assert [each.name for each in place.parent.iterdir()] == [place.name]


def test_no_link_on_the_way_leads_elsewhere(tmp_path: pathlib.Path, place: pathlib.Path) -> None:
    (tmp_path / "theirs").mkdir()
    (place / "d").symlink_to(tmp_path / "theirs")
    reply = directory(place).create("d/data.csv")
    assert reply.answer is answers.Answer.REFUSED
    assert reply.code in ("ENOTDIR", "ELOOP")
    assert not list((tmp_path / "theirs").iterdir())


def test_names_that_are_too_long_for_a_disk_stay_apart(place: pathlib.Path) -> None:
    ours, long = directory(place), "日" * 128
    for name in (f"{long}/data.csv", f"{long}本/data.csv", f"d/{long}.csv", f"d/{long}本.csv"):
        assert ours.create(name).answer is answers.Answer.DONE
        assert ours.append(name, HEADER, 0).answer is answers.Answer.DONE
    assert len(list(place.rglob("*.csv"))) == 4


def test_a_lock_that_others_hold_is_waited_for_and_then_the_rows_wait(place: pathlib.Path) -> None:
    ours = directory(place)
    ours.create("data.csv")
    held, ours.read_seconds = locks.take(place / locks.STORAGE), 0.05
    reply = ours.append("data.csv", HEADER, 0)
    assert (reply.answer, reply.code) == (answers.Answer.DISK, "EAGAIN")
    held.end()
    assert ours.append("data.csv", HEADER, 0).answer is answers.Answer.DONE


def test_a_full_disk_leaves_no_part_of_a_block(place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, write = directory(place), os.pwrite
    ours.create("data.csv")
    ours.append("data.csv", HEADER, 0)

    def half(descriptor: int, content: bytes, offset: int) -> int:
        if offset == len(HEADER) and len(content) > 2:
            return write(descriptor, bytes(content)[:2], offset)
        if offset == len(HEADER) + 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", half)
    reply = ours.append("data.csv", b"1,2\r\n", len(HEADER))
    assert (reply.answer, reply.code) == (answers.Answer.DISK, "ENOSPC")
    assert (place / "data.csv").read_bytes() == HEADER
    assert not list(place.glob("*.pending"))


def test_what_somebody_else_wrote_or_removed_is_not_mended(
    place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = directory(place)
    ours.create("data.csv")
    ours.append("data.csv", HEADER, 0)
    block = b"1,2\r\n3,4\r\n"
    step = next(each for each in range(1, 9) if left_amid(place, each, block))
    assert (place / "data.csv").read_bytes() == HEADER + block[:4], step
    (place / "data.csv").write_bytes(b"by hand\r\n")
    assert ours.append("data.csv", b"5,6\r\n", 9).answer is answers.Answer.DONE
    assert (place / "data.csv").read_bytes() == b"by hand\r\n5,6\r\n"


def left_amid(place: pathlib.Path, step: int, block: bytes) -> bool:
    """Kill an append at a change that it makes; return whether that was in the middle of the file."""
    killed_at(step, 0.4, lambda: directory(place).append("data.csv", block, len(HEADER)))
    return (place / "data.csv").stat().st_size > len(HEADER)


def test_who_may_use_the_directory_may_use_what_is_in_it(place: pathlib.Path) -> None:
    place.parent.chmod(0o755)
    place.chmod(0o777)
    before = os.umask(0o077)
    try:
        directory(place).create("d/data.csv")
        directory(place).append("d/data.csv", HEADER, 0)
    finally:
        os.umask(before)
    assert (place / "d").stat().st_mode & 0o777 == 0o777
    assert (place / "d/data.csv").stat().st_mode & 0o777 == 0o666
    place.chmod(0o700)
    directory(place).create("e/data.csv")
    assert (place / "e/data.csv").stat().st_mode & 0o777 == 0o600


def test_a_forked_child_does_not_keep_the_lock(place: pathlib.Path) -> None:
    script = """
import os, pathlib, sys
from modeldata.spool import locks
path = pathlib.Path(sys.argv[1])
for give_up in (locks.forget_in_child, lambda: None):
    ours = locks.take(path)
    told, tell = os.pipe()
    end, ended = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ended)
        give_up()
        os.write(tell, b".")
        os.read(end, 1)
        os._exit(0)
    os.read(told, 1)
    if give_up is locks.forget_in_child:
        ours.release()  # as the kernel does where the parent is killed
    else:
        ours.end()
    locks.take(path).end()
    os.close(ended)
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", script, str(place / locks.STORAGE)], check=True, timeout=60)


def test_every_way_a_request_fails_has_a_cause() -> None:
    from modeldata.delivery.azure import refusal
    from modeldata.observe import causes

    for code, cause in (
        (errno.EACCES, causes.Cause.FORBIDDEN),
        (errno.EROFS, causes.Cause.FORBIDDEN),
        (errno.ENOTDIR, causes.Cause.DIRECTORY),
        (errno.ENOSPC, causes.Cause.DISK),
        (errno.EIO, causes.Cause.DISK),
        (errno.EAGAIN, causes.Cause.BUSY),
    ):
        assert refusal.cause(container._reply(OSError(code, os.strerror(code)))) is cause
    assert refusal.cause(container._reply(folders.NotOursError(errno.ENXIO, "x"))) is causes.Cause.NAMES
