"""Pods of nodes that can't carry what collecting needs, and pods in a mesh, with the real controller and webhook."""

from __future__ import annotations

import typing

import pytest

from ..conftest import Eventually
from .actors import CONTAINER, Actors
from .conftest import Start, healthy
from .server import ApiServer

VIRTUAL = {"nodeSelector": {"type": "virtual-kubelet"}}
WINDOWS = {"os": {"name": "windows"}}
VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


@pytest.mark.parametrize(("spec", "reason"), [(VIRTUAL, "VirtualNode"), (WINDOWS, "WindowsNode")])
def test_pods_of_other_nodes_start_unchanged_and_hold_up_nothing(
    actors: Actors, eventually: Eventually, spec: dict[str, typing.Any], reason: str
) -> None:
    actors.collection()
    labels = {"app": "churn"}
    eventually(lambda: actors.start({"name": "linux", "labels": labels}) == "churn")
    assert actors.get_pod("linux")["metadata"]["annotations"][VOLUMES] == "modeldata-spool"
    assert actors.start({"name": "other", "labels": labels}, spec) == ""
    assert "volumes" not in actors.get_pod("other")["spec"]
    eventually(lambda: actors.told("other")[0] == reason)
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))
    assert actors.status()["pods"]["matched"] == 1
    # Without the other, there is nothing left that could be collected.
    actors.delete_pod("linux")
    eventually(lambda: actors.condition("Stalled") == ("True", reason))


def test_a_model_behind_a_meshs_proxy_is_what_is_collected(actors: Actors, eventually: Eventually) -> None:
    actors.collection()
    containers = [{"name": "linkerd-proxy", "image": "proxy"}, CONTAINER]
    pod = {"name": "meshed", "labels": {"app": "churn"}}
    eventually(lambda: actors.start(pod, {"containers": containers}) == "churn")
    proxy, model = actors.get_pod("meshed")["spec"]["containers"]
    assert "env" not in proxy
    assert {"name": "MODELDATA_DIR", "value": "/var/run/modeldata"} in model["env"]


def test_a_proxy_is_asked_for_what_it_is_not_told_to_leave_out(
    api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    nobody = {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    exempt = {**nobody, "NO_PROXY": "127.0.0.1,.svc", "no_proxy": "127.0.0.1,.svc"}
    exempted = start_operator("controller", api.kubeconfig, environment=exempt)
    eventually(lambda: healthy(exempted.health_port))
    all_of_it = start_operator("controller", api.kubeconfig, environment={**nobody, "NO_PROXY": "", "no_proxy": ""})
    eventually(lambda: "Cannot connect to host 127.0.0.1:1" in all_of_it.said())
