import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import processes
from console import ProblemError
from layout import Layout

PROGRAM = "sleep"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    made = Layout(state=tmp_path / "state", cache=tmp_path / "cache")
    yield made
    processes.stop_all(made)


def fake(proc: Path, pid: int, *, environment: bytes, command: bytes, session: int) -> None:
    """A process as /proc shows it."""
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    (directory / "environ").write_bytes(environment)
    (directory / "cmdline").write_bytes(command)
    (directory / "stat").write_text(f"{pid} (a) b) S 1 {session} {session} 0 -1")


TAGGED = b"PATH=/bin\0MODELDATA_LOCALCLUSTER_PROCESS=/var/lib/x|etcd\0"


def test_a_program_is_recognised_by_its_environment(tmp_path: Path) -> None:
    fake(tmp_path, 7, environment=TAGGED, command=b"/cache/etcd\0--data-dir=x\0", session=7)
    assert processes.recognise(7, tmp_path) == processes.Process(7, "/var/lib/x", "etcd", main=True)


def test_a_reused_pid_is_nobody_of_ours(tmp_path: Path) -> None:
    fake(tmp_path, 7, environment=b"PATH=/bin\0", command=b"/cache/etcd\0", session=7)
    assert processes.recognise(7, tmp_path) is None
    assert processes.recognise(8, tmp_path) is None


def test_a_zombie_is_nobody(tmp_path: Path) -> None:
    fake(tmp_path, 7, environment=b"", command=b"", session=7)
    assert processes.recognise(7, tmp_path) is None


@pytest.mark.parametrize(("command", "session"), [(b"/usr/bin/containerd-shim-runc-v2\0", 7), (b"/cache/etcd\0", 6)])
def test_a_child_is_ours_but_not_the_program(tmp_path: Path, command: bytes, session: int) -> None:
    fake(tmp_path, 7, environment=TAGGED, command=command, session=session)
    process = processes.recognise(7, tmp_path)
    assert process is not None
    assert not process.main


def test_what_is_started_runs_until_it_is_stopped(layout: Layout) -> None:
    processes.start(layout, PROGRAM, ["/bin/sleep", "60"])
    pid = processes.running(layout)[PROGRAM]
    assert os.getsid(pid) == pid, "Ctrl-C must not reach it"
    processes.must_run(layout, [PROGRAM])
    processes.stop(layout, [PROGRAM])
    assert processes.running(layout) == {}


def test_a_process_that_does_not_listen_is_killed(layout: Layout) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    processes.start(layout, Path(sys.executable).name, [sys.executable, "-c", script])
    log = layout.log / f"{Path(sys.executable).name}.log"
    while "deaf" not in log.read_text():
        time.sleep(0.01)
    processes.stop(layout, processes.running(layout), patience=0.1)
    assert processes.ours(layout) == []


def test_only_our_own_are_stopped(layout: Layout) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        processes.start(layout, PROGRAM, ["/bin/sleep", "60"])
        processes.stop_all(layout)
        assert processes.ours(layout) == []
        assert other.poll() is None
        other.kill()


def test_another_state_directory_s_programs_are_told_apart(layout: Layout, tmp_path: Path) -> None:
    other = Layout(state=tmp_path / "other", cache=tmp_path)
    processes.start(other, PROGRAM, ["/bin/sleep", "60"])
    try:
        assert processes.running(layout) == {}
        assert (str(other.state), PROGRAM) in [(process.state, process.name) for process in processes.others(layout)]
        processes.stop(layout, [PROGRAM])
        assert PROGRAM in processes.running(other)
    finally:
        processes.stop_all(other)


def test_a_dead_program_is_named_with_the_end_of_its_log(layout: Layout) -> None:
    processes.start(layout, "sh", ["/bin/sh", "-c", "echo no such flag; exit 3"])
    while "sh" in processes.running(layout):
        time.sleep(0.01)
    with pytest.raises(ProblemError, match=r"sh has ended; its log .*sh\.log ends with:\n.*no such flag"):
        processes.must_run(layout, ["sh"])


def test_signals_reach_no_process_that_took_over_the_pid(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda handle, number: sent.append(number))
    stale = processes.Process(os.getpid(), str(layout.state), PROGRAM, main=True)
    processes._end([stale], patience=0)
    assert sent == []
