"""The cluster as a whole: up, down, and whether it is up."""

import shutil
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import api
import certificates
import control_plane
import image_store
import images
import kernel
import lock
import network
import node
import ports
import processes
import programs
import requirements
import traces
from console import ProblemError, note, step
from layout import MARKER, NODE_IP, Layout, write

PROGRAMS = (*control_plane.STORE, *control_plane.CONTROLLERS, *node.RUNTIME, *node.AGENTS)
LOCK = Path("/run/lock/modeldata-localcluster.lock")


def up(layout: Layout) -> None:
    """Brings the cluster up, from whatever state a former run left it in. Does nothing to a healthy one."""
    requirements.need_root()
    with lock.held(LOCK, "another localcluster command"):
        if healthy(layout):
            note(f"the cluster is up; kubeconfig: {layout.kubeconfig}")
            return
        begun = time.monotonic()
        _refuse_other_clusters(layout)
        _claim(layout)
        _refuse_what_would_fail(layout)
        directory = programs.find_or_build(layout)
        if _half_removed(layout):
            with step("finishing an interrupted `down`"):
                _take_down(layout)
                _claim(layout)
        repairing = bool(processes.running(layout))
        try:
            _bring_up(layout, directory)
        except ProblemError as problem:
            if not repairing:
                raise
            note(f"it can't be repaired ({problem}), so it is made anew")
            _take_down(layout)
            _claim(layout)
            _bring_up(layout, directory)
        note(f"the cluster is up after {time.monotonic() - begun:.1f} s; kubeconfig: {layout.kubeconfig}")


def down(layout: Layout) -> None:
    """Takes the cluster down and removes every trace of it. Does nothing where there is none."""
    requirements.need_root()
    with lock.held(LOCK, "another localcluster command"):
        if not layout.state.exists() and not processes.ours(layout):
            note("no cluster is up")
            return
        with step("taking the cluster down"):
            _take_down(layout)


def healthy(layout: Layout) -> bool:
    """Whether every program runs, the API server answers, and the node is ready."""
    return (
        not _half_removed(layout)
        and processes.running(layout).keys() >= set(PROGRAMS)
        and api.ready(layout)
        and api.node_ready(layout)
    )


def describe(layout: Layout) -> str:
    """What runs of the cluster, in a sentence."""
    running = processes.running(layout)
    missing = [name for name in PROGRAMS if name not in running]
    if healthy(layout):
        return f"up; state directory: {layout.state}"
    if not running:
        return f"down; state directory: {layout.state}"
    if missing:
        return f"broken: {', '.join(missing)} not running; `up` repairs it. Logs: {layout.log}"
    return f"not ready, though all programs run. Logs: {layout.log}"


def _bring_up(layout: Layout, directory: Path) -> None:
    """Starts whatever does not run yet, each part when what it needs is there."""
    pause = images.build(layout, "pause")
    traces.remember(layout)
    kernel.remember_settings(layout)
    kernel.make_cgroup()
    network.prepare(layout)
    certificates.make(layout)
    node.configure(layout)
    commands = {**control_plane.commands(layout, directory), **node.commands(layout, directory)}

    def start(names: Iterable[str]) -> None:
        running = processes.running(layout)
        for name in names:
            if name not in running:
                processes.start(layout, name, commands[name])

    with step("starting etcd, the API server and containerd"):
        start((*control_plane.STORE, *node.RUNTIME))
        _wait(layout, "containerd to answer", 30, node.RUNTIME, lambda: image_store.answers(layout))
        image_store.bring(layout, pause)
        _wait(layout, "the API server to be ready", 60, control_plane.STORE, lambda: api.ready(layout))
    with step("starting the controllers, the kubelet, kube-proxy and CoreDNS"):
        start((*control_plane.CONTROLLERS, *node.AGENTS))
        _wait(layout, "the node to be ready", 60, PROGRAMS, lambda: api.node_ready(layout))
        _wait(layout, "CoreDNS to listen", 30, PROGRAMS, lambda: _answers(NODE_IP, 53))
        _wait(layout, "kube-proxy to be healthy", 30, PROGRAMS, lambda: _answers("127.0.0.1", 10256))


def _refuse_what_would_fail(layout: Layout) -> None:
    """Says what is missing or in the way before minutes have gone into building the programs."""
    requirements.need((*requirements.CLUSTER, *requirements.IMAGES))
    requirements.need_kernel()
    network.refuse_closed_forwarding()
    ports.refuse_taken(set(PROGRAMS) - processes.running(layout).keys())


def _take_down(layout: Layout) -> None:
    """First what makes pods, then the pods while kubelet and CNI can still clean up after them, then the rest.

    What this leaves, because something hung or a former `down` was killed, the sweep after it ends by force.
    """
    if layout.state.exists():
        (layout.state / "removing").touch()
    processes.stop(layout, control_plane.CONTROLLERS)
    _delete_pods(layout)
    processes.stop(layout, node.AGENTS)
    # What they store is about to be deleted: they need no time to close it. The API server would wait for watchers.
    processes.stop(layout, control_plane.STORE, patience=0)
    kernel.end_pods()
    image_store.remove_containers(layout)
    processes.stop(layout, node.RUNTIME)

    processes.stop_all(layout)
    kernel.end_pods()
    kernel.remove_cgroup()
    kernel.unmount(layout)
    network.remove(layout)
    kernel.restore_settings(layout)
    traces.remove(layout)
    _remove_state(layout)


def _delete_pods(layout: Layout) -> None:
    """Deletes all pods, and waits a little for their processes and network namespaces to be gone."""
    if not processes.running(layout).keys() >= {"etcd", "kube-apiserver", "kubelet", "containerd"}:
        return
    with suppress(api.Unreachable):
        api.delete_pods(layout)
        deadline = time.monotonic() + 5
        while (kernel.pod_processes() or kernel.network_namespaces(layout)) and time.monotonic() < deadline:
            time.sleep(0.1)


def _claim(layout: Layout) -> None:
    """Makes the state directory, marked as one that `down` may remove."""
    if layout.state.exists() and any(layout.state.iterdir()) and not (layout.state / MARKER).exists():
        raise ProblemError(f"{layout.state} holds something else already. Set LOCALCLUSTER_STATE to another directory.")
    # Others may pass, not list: pods of any user reach their volumes below it.
    layout.state.mkdir(parents=True, exist_ok=True)
    layout.state.chmod(0o711)
    if not (layout.state / MARKER).exists():
        write(layout.state / MARKER, "")


def _remove_state(layout: Layout) -> None:
    if not layout.state.exists():
        return
    if any(layout.state.iterdir()) and not (layout.state / MARKER).exists():
        raise ProblemError(f"{layout.state} was not made by localcluster, so it is not removed.")
    # Marker and note of the removal go last: interrupted before, the next `down` or `up` knows what it has before it.
    last = ("removing", MARKER)
    for entry in sorted(layout.state.iterdir(), key=lambda entry: last.index(entry.name) if entry.name in last else -1):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    layout.state.rmdir()


def _half_removed(layout: Layout) -> bool:
    return (layout.state / "removing").exists()


def _refuse_other_clusters(layout: Layout) -> None:
    for process in processes.others(layout):
        raise ProblemError(
            f"a local cluster with the state directory {process.state} is up ({process.name} has pid {process.pid}), "
            f"and a machine holds one. `LOCALCLUSTER_STATE={process.state} python3 localcluster down` removes it."
        )


def _wait(layout: Layout, what: str, seconds: float, needs: Iterable[str], come: Callable[[], bool]) -> None:
    """Waits until it has come. Raises ProblemError after so many seconds, or once a program it needs has ended."""
    deadline = time.monotonic() + seconds
    while not come():
        processes.must_run(layout, needs)
        if time.monotonic() > deadline:
            raise ProblemError(f"waited {seconds:.0f} s for {what} in vain. The logs are in {layout.log}.")
        time.sleep(0.1)


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def environment(layout: Layout) -> str:
    """Lines for a shell to eval."""
    return f"export KUBECONFIG={layout.kubeconfig}\nexport PATH={programs.directory(layout)}:$PATH"
