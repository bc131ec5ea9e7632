"""Locks of the spool: between processes, between copies of the package in one, and with versions before."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import logging
import os
import pathlib
import signal
import subprocess
import sys
import types
import typing

import pytest

from modeldata.spool import locks


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / ".shipper").mkdir()
    return tmp_path / ".shipper" / locks.SHIPPER


@pytest.fixture(params=["of descriptions", "flock"])
def copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[types.ModuleType]:
    """Two copies of the module, as a kernel has its locks."""
    if request.param == "flock":
        real = fcntl.fcntl

        def without(descriptor: int, command: int, argument: typing.Any = 0) -> typing.Any:
            if command in (fcntl.F_OFD_SETLK, fcntl.F_OFD_GETLK):
                raise OSError(errno.EINVAL, "Invalid argument")
            return real(descriptor, command, argument)

        monkeypatch.setattr(fcntl, "fcntl", without)
    return [copy(), copy()]


def copy() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("modeldata.spool.locks", locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_one_copy_in_a_process_does_not_get_anothers(copies: list[typing.Any], path: pathlib.Path) -> None:
    first, second = copies
    held = first.take(path)
    for _ in range(2):  # asking gives up nothing
        assert first.is_taken(path)
        assert second.is_taken(path)
        for each in copies:
            with pytest.raises(each.TakenError):
                each.take(path)
    held.release()
    assert not second.is_taken(path)
    second.take(path).release()


def test_another_process_does_not_get_it(copies: list[typing.Any], path: pathlib.Path) -> None:
    script = "import pathlib, sys; from modeldata.spool import locks; locks.take(pathlib.Path(sys.argv[1]))"
    held = copies[0].take(path)
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    assert "TakenError" in done.stderr
    held.release()
    subprocess.run([sys.executable, "-c", script, path], check=True)


def test_a_version_before_does_not_get_it_nor_gives_it_up(copies: list[typing.Any], path: pathlib.Path) -> None:
    before = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'ab'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    held = copies[0].take(path)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", before, path], capture_output=True, text=True, check=False)
        assert "BlockingIOError" in done.stderr
    held.release()
    subprocess.run([sys.executable, "-c", before, path], check=True)


def test_what_a_version_before_holds_is_taken(copies: list[typing.Any], path: pathlib.Path) -> None:
    before = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", before, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for each in copies:
            assert each.is_taken(path)
            with pytest.raises(each.TakenError):
                each.take(path)
        process.communicate(b"\n")
    for each in copies:
        assert not each.is_taken(path)


def test_that_the_kernel_has_none_is_said_once(
    copies: list[typing.Any], path: pathlib.Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            copies[0].take(path).release()
    wanted = 1 if "flock" in request.node.callspec.id else 0
    assert caplog.text.count("no locks of open file descriptions") == wanted


def test_a_file_system_without_locks_is_an_error(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="No locks") as refused:
        locks.take(path)
    assert not isinstance(refused.value, locks.TakenError)


def test_a_forked_child_gives_up_what_any_copy_holds_and_keeps_its_own(
    copies: list[typing.Any], path: pathlib.Path, tmp_path: pathlib.Path, eventually: typing.Any
) -> None:
    held = [copies[0].take(path), copies[1].take(tmp_path / locks.ALIVE)]
    other = (tmp_path / "lock").open("w+b")  # not ours, whatever it is called
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        copies[0].forget_in_child()
        mine = copies[0].take(tmp_path / "mine")
        copies[1].forget_in_child()
        other.write(b"there")
        other.flush()
        os.write(writing, b"x" if mine.status() else b"-")
        signal.pause()
    try:
        assert os.read(reading, 1) == b"x"
        assert all(copies[0].is_taken(each) for each in (path, tmp_path / locks.ALIVE, tmp_path / "mine"))
        for each in held:
            each.release()
        assert not copies[0].is_taken(path)  # the child is still there
        assert not copies[0].is_taken(tmp_path / locks.ALIVE)
        assert copies[0].is_taken(tmp_path / "mine")
        assert (tmp_path / "lock").read_bytes() == b"there"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for end in (reading, writing):
            os.close(end)
        other.close()
