"""Kubernetes' own controllers on a bare API server, and in the kubelets' place what says that pods run."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import typing

from . import server
from .server import ApiServer, Refused

CONTROLLERS = ("deployment", "replicaset", "statefulset", "daemonset", "disruption")
Manifest = dict[str, typing.Any]


class Controllers:
    """The controller manager, with those controllers that make and replace pods, or with others."""

    def __init__(self, api: ApiServer, names: typing.Sequence[str] = CONTROLLERS) -> None:
        self._log = (api.directory / "kube-controller-manager.log").open("ab")
        self._process = subprocess.Popen(
            [
                str(server.programs() / "kube-controller-manager"),
                f"--kubeconfig={api.kubeconfig}",
                f"--controllers={','.join(names)}",
                "--leader-elect=false",
                f"--secure-port={server.free_ports(1)[0]}",
                f"--cert-dir={api.directory}",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Kubelet:
    """Says of every pod that it runs and is ready, and lets go of each that is being deleted."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Go away, as a node does."""
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            with contextlib.suppress(OSError, Refused):
                for pod in self._api.get("/api/v1/pods")["items"]:
                    self._look_after(pod)

    def _look_after(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        with contextlib.suppress(Refused):
            if "deletionTimestamp" in metadata:
                self._api.delete(path)
            elif pod["status"].get("phase") != "Running":
                self._api.merge(f"{path}/status", {"status": running(pod)})


def running(pod: Manifest) -> Manifest:
    """The status of a pod that serves."""
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "restartCount": 0,
            "ready": True,
            "state": {"running": {}},
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": pod["metadata"]["creationTimestamp"]}
        for kind in ("Ready", "ContainersReady", "PodScheduled")
    ]
    return {"phase": "Running", "containerStatuses": containers, "conditions": conditions}


def node(api: ApiServer, name: str) -> None:
    """Make a node: nothing runs on it, but a DaemonSet wants a pod there."""
    api.create("/api/v1/nodes", {"metadata": {"name": name}})
    # It has a taint until its own controller has seen it ready.
    api.merge(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})
    conditions = [{"type": "Ready", "status": "True"}]
    resources = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    status = {"conditions": conditions, "capacity": resources, "allocatable": resources}
    api.merge(f"/api/v1/nodes/{name}/status", {"status": status})
