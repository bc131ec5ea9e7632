"""What the cluster changes in the kernel, and how it is changed back: settings, mounts, cgroups."""

import contextlib
import ctypes
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from console import ProblemError
from layout import Layout, write

# The first is the cluster's own wish. The others the kubelet sets on its own, for a machine that is a node for good.
IP_FORWARD = "net/ipv4/ip_forward"
SETTINGS = (IP_FORWARD, "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")  # fmt: skip

# A cgroup of the cluster's own above all its pods: what is in it is ours to end.
CGROUP = "modeldata-localcluster"
CGROUPS = Path("/sys/fs/cgroup")

_MNT_DETACH = 2


def remember_settings(layout: Layout) -> None:
    """Notes the kernel's settings once, before the cluster changes them, and allows forwarding between pods."""
    noted = layout.state / "sysctl.before.json"
    if not noted.exists():
        write(noted, json.dumps({name: value for name in SETTINGS if (value := _setting(name)) is not None}))
    if _setting(IP_FORWARD) != "1":
        Path("/proc/sys", IP_FORWARD).write_text("1\n")


def restore_settings(layout: Layout) -> None:
    """Sets the kernel back to what remember_settings noted."""
    try:
        before: dict[str, str] = json.loads((layout.state / "sysctl.before.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return
    for name, value in before.items():
        if _setting(name) != value:
            with contextlib.suppress(OSError):  # read-only in a container: then the kubelet did not change it either
                Path("/proc/sys", name).write_text(f"{value}\n")


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def make_cgroup() -> None:
    """Makes the pods' cgroup: the kubelet wants it to exist, in each hierarchy of cgroup v1."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def pod_processes() -> list[int]:
    """What runs in the cluster's pods."""
    pids: set[int] = set()
    for hierarchy in _hierarchies():
        # os.walk passes over directories that go while it looks, which rglob fails on: pods are ending just now.
        for directory, _, _ in os.walk(hierarchy / CGROUP):
            with contextlib.suppress(OSError):
                pids.update(int(pid) for pid in Path(directory, "cgroup.procs").read_text().split())
    return sorted(pids)


def end_pods() -> None:
    """Ends whatever runs in the cluster's pods."""
    for _ in range(50):
        pids = pod_processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            return
        time.sleep(0.1)


def remove_cgroup() -> None:
    """Removes the pods' cgroup and all below it, once nothing runs there."""
    for hierarchy in _hierarchies():
        for directory, _, _ in os.walk(hierarchy / CGROUP, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()


def _hierarchies() -> list[Path]:
    """Where cgroups are made: each controller's mount in v1, the one root in v2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted({directory.resolve() for directory in CGROUPS.iterdir() if (directory / "cgroup.procs").exists()})


def unmount(layout: Layout) -> None:
    """Unmounts everything below the state directory, the last mounted first. Raises ProblemError if something stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(5):
        left = list(mounts(layout.state))
        if not left:
            return
        for mount in reversed(left):
            # Lazily: a process that is just ending may still hold it.
            libc.umount2(os.fsencode(mount), _MNT_DETACH)
    raise ProblemError(
        f"these mounts can't be undone: {', '.join(map(str, mounts(layout.state)))}. Look at who uses them."
    )


def network_namespaces(layout: Layout) -> list[Path]:
    """The network namespaces of pods that are there: each is a mount."""
    return [mount for mount in mounts(layout.state) if mount.parent.name == "netns"]


def mounts(below: Path) -> Iterator[Path]:
    """The mount points below a directory, in the order they were mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1].encode().decode("unicode_escape")
        if Path(point).is_relative_to(below):
            yield Path(point)
