"""The local cluster comes up from whatever an interruption left, and goes without a trace. As root, on the machine."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.own_cluster, pytest.mark.timeout(900)]

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "namespace": "default"},
    # Its sandbox is the one image that every cluster has.
    "spec": {"containers": [{"name": "one", "image": "localhost/pause:1", "imagePullPolicy": "Never"}]},
}


class Cluster:
    """A cluster with a state directory of its own."""

    def __init__(self, state: Path):
        self.environment = {**os.environ, "LOCALCLUSTER_STATE": str(state)}
        self.state = state

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "localcluster", command],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, expect: int = 0) -> str:
        process = self.start(command)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == expect, output
        return output

    def interrupt(self, command: str, seconds: float, number: signal.Signals) -> None:
        """Runs a command and signals it after so many seconds."""
        process = self.start(command)
        time.sleep(seconds)
        process.send_signal(number)
        process.communicate(timeout=60)

    def kubectl(self, *arguments: str, content: object = None) -> str:
        done = subprocess.run(
            [Path(self.run("bin").strip()) / "kubectl", "--kubeconfig", self.run("kubeconfig").strip(), *arguments],
            input=json.dumps(content) if content else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_pod(self) -> None:
        self.kubectl("apply", "-f", "-", content=POD)
        self.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")


def traces() -> dict[str, object]:
    """Everything of the machine that a cluster could leave something in."""
    return {
        "mounts": sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        "interfaces": printed("ip", "-brief", "link", "show"),
        "addresses": printed("ip", "-oneline", "address", "show", "dev", "lo"),
        "routes": printed("ip", "route", "show"),
        "network namespaces": printed("ip", "netns", "list"),
        "packet filter": printed("nft", "list", "ruleset"),
        "processes": sorted(programs()),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/*localcluster*")),
        "settings": [
            Path("/proc/sys", name).read_text()
            for name in ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic")
        ],
        "directories": [
            path for path in ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd", "/etc/cni") if Path(path).exists()
        ],
    }


def programs() -> Iterator[str]:
    """What runs of any local cluster, its pods and their shims. Zombies run no more; another's etcd is not ours."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment, groups = (process / "environ").read_bytes(), (process / "cgroup").read_text()
                command = (process / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if (
                b"MODELDATA_LOCALCLUSTER_PROCESS=" in environment
                or "/modeldata-localcluster" in groups
                or command == "/pause"
            ):
                yield f"{process.name} {command}"


def printed(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.fail("this test starts a cluster, which needs root: run it with sudo, or run `make test-unit`")
    status = subprocess.run(
        [sys.executable, "localcluster", "status"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if status.returncode == 0:
        pytest.fail("the shared cluster is up, and a machine holds one: run `python3 localcluster down` first")
    with tempfile.TemporaryDirectory(prefix="lc-") as directory:
        own = Cluster(Path(directory) / "state")
        try:
            yield own
        finally:
            own.run("down")


def processes(state: Path) -> set[int]:
    """The cluster's own: those that name its directory."""
    found = subprocess.run(
        ["pgrep", "-f", f"(--config|--kubeconfig|--data-dir)[= ]{state}"], capture_output=True, text=True, check=False
    )
    return set(map(int, found.stdout.split()))


def test_up_and_down_leave_nothing(cluster: Cluster) -> None:
    before = traces()
    cluster.run("up")
    cluster.run_pod()
    running = processes(cluster.state)
    assert running
    cluster.run("up")
    assert processes(cluster.state) == running, "a second `up` has nothing to do"
    cluster.run("down")
    assert traces() == before
    assert not cluster.state.exists()
    cluster.run("down")


def test_up_goes_on_from_wherever_it_was_killed(cluster: Cluster) -> None:
    before = traces()
    moments = random.Random(20261120)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGKILL):
        cluster.interrupt("up", moments.uniform(0.1, 4), number)
    cluster.run("up")
    cluster.run_pod()
    cluster.run("down")
    assert traces() == before


def test_down_and_up_go_on_from_where_down_was_killed(cluster: Cluster) -> None:
    before = traces()
    cluster.run("up")
    cluster.run_pod()
    for seconds in (0.3, 0.6, 1.2):
        cluster.interrupt("down", seconds, signal.SIGKILL)
    cluster.run("up")
    cluster.run_pod()
    cluster.interrupt("down", 0.8, signal.SIGINT)
    cluster.run("down")
    assert traces() == before


@pytest.mark.parametrize("victim", ["etcd", "kube-apiserver", "kubelet", "containerd", "kube-proxy"])
def test_up_repairs_a_cluster_of_which_a_program_died(cluster: Cluster, victim: str) -> None:
    before = traces()
    cluster.run("up")
    cluster.run_pod()
    uid = cluster.kubectl("get", "pod", "one", "-o", "jsonpath={.metadata.uid}")
    os.kill(pid_of(cluster, victim), signal.SIGKILL)
    assert victim in cluster.run("status", expect=1)
    cluster.run("up")
    assert cluster.kubectl("get", "pod", "one", "-o", "jsonpath={.metadata.uid}") == uid, (
        "it was repaired, not made anew"
    )
    cluster.run("down")
    assert traces() == before


def test_a_second_cluster_is_refused_with_the_way_out(cluster: Cluster) -> None:
    cluster.run("up")
    other = Cluster(cluster.state.with_name("other"))
    output = other.run("up", expect=1)
    assert f"LOCALCLUSTER_STATE={cluster.state} python3 localcluster down" in output
    cluster.run("down")
    other.run("up")
    other.run("down")


def pid_of(cluster: Cluster, program: str) -> int:
    tag = f"MODELDATA_LOCALCLUSTER_PROCESS={cluster.state}|{program}".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if tag in environment and Path(command).name == program:
                return int(process.name)
    raise AssertionError(f"no {program} runs")
