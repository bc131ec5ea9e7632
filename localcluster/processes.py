"""The cluster's processes: started, recognised, and stopped, and never any other.

A process is recognised by what it was started with: its environment carries the state directory and its name. There are
no pid files: they lie once a pid is reused, and are missing for whatever was started just before a SIGKILL.
"""

import dataclasses
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from console import ProblemError
from layout import Layout

TAG = "MODELDATA_LOCALCLUSTER_PROCESS"

# A login shell's proxy settings would keep the kubelet from reaching the API server, so little is passed on.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that some localcluster of this machine started, or a child of one."""

    pid: int
    state: str
    name: str
    main: bool
    """Whether it is the program itself, not a child that inherited its environment (a shim, a CNI plugin)."""


def start(layout: Layout, name: str, command: Sequence[str]) -> None:
    """Starts a program in the background, in a session of its own so that Ctrl-C does not reach it."""
    layout.log.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ.get("PATH", "") + ":" + SEARCH_PATH, "HOME": "/", TAG: f"{layout.state}|{name}"}
    with (layout.log / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment, start_new_session=True
        )
    # Popen returns a moment before the kernel shows the new environment; nobody shall take it for dead in that moment.
    while process.poll() is None and recognise(process.pid) is None:
        time.sleep(0.001)


def running(layout: Layout) -> dict[str, int]:
    """The pid of each program of this cluster that runs."""
    return {process.name: process.pid for process in ours(layout) if process.main}


def ours(layout: Layout) -> list[Process]:
    """Every process of this cluster, children included (but not what runs in pods: see kernel.pod_processes)."""
    return [process for process in everyones() if process.state == str(layout.state)]


def others(layout: Layout) -> list[Process]:
    """The programs of local clusters with another state directory."""
    return [process for process in everyones() if process.main and process.state != str(layout.state)]


def everyones() -> list[Process]:
    found = (recognise(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [process for process in found if process is not None]


def recognise(pid: int, proc: Path = Path("/proc")) -> Process | None:
    """What this pid is to us now; None for everything that no localcluster started, and for a zombie."""
    prefix = f"{TAG}=".encode()
    try:
        environment = (proc / str(pid) / "environ").read_bytes().split(b"\0")
        tag = next((entry[len(prefix) :] for entry in environment if entry.startswith(prefix)), None)
        if tag is None:
            return None
        program = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")[0]
        session = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError, ValueError):
        return None  # it ended while we looked, or is not ours to look at
    state, _, name = os.fsdecode(tag).rpartition("|")
    # A child is for a moment, between fork and exec, a copy of the program; only the program leads a session.
    main = session == pid and Path(os.fsdecode(program)).name == name
    return Process(pid=pid, state=state, name=name, main=main)


def stop(layout: Layout, names: Iterable[str], patience: float = 5.0) -> None:
    """Ends these programs, all at once: SIGTERM, then SIGKILL for what is still there after `patience` seconds."""
    wanted = set(names)
    _end([process for process in ours(layout) if process.main and process.name in wanted], patience)


def stop_all(layout: Layout) -> None:
    """Ends every process of this cluster that is left, children included."""
    for _ in range(20):  # a child may be born while its parent is being ended
        left = ours(layout)
        if not left:
            return
        _end(left, patience=0)


def _end(targets: Iterable[Process], patience: float) -> None:
    handles = []
    for process in targets:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        # The handle can't pass to another process, as a pid can; so look again now that it is held.
        if recognise(process.pid) == process:
            handles.append(handle)
        else:
            os.close(handle)
    try:
        if patience:
            _signal(handles, signal.SIGTERM)
        waiting = _outlive(handles, patience)
        _signal(waiting, signal.SIGKILL)
        _outlive(waiting, 10)
    finally:
        for handle in handles:
            os.close(handle)


def _signal(handles: Iterable[int], number: signal.Signals) -> None:
    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            continue


def _outlive(handles: Sequence[int], seconds: float) -> list[int]:
    """Waits for the processes behind the handles to end, and returns the handles of those that did not."""
    poll = select.poll()
    left = set(handles)
    for handle in left:
        poll.register(handle, select.POLLIN)
    deadline = time.monotonic() + seconds
    while left and (remaining := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(remaining * 1000):
            poll.unregister(handle)
            left.discard(handle)
    return list(left)


def must_run(layout: Layout, names: Iterable[str]) -> None:
    """Raises ProblemError, with the end of its log, if one of these programs has ended."""
    dead = set(names) - running(layout).keys()
    if dead:
        name = min(dead)
        log = layout.log / f"{name}.log"
        raise ProblemError(f"{name} has ended; its log {log} ends with:\n{log_end(log)}")


def log_end(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join("  " + line[:300] for line in log.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"  ({error})"
