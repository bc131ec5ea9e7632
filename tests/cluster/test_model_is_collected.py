"""A real model behind a real scoring server, in the real cluster."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing

import pytest

from . import diabetes

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("operator", "azurite")
def test_the_demo_holds(cluster: typing.Any) -> None:
    path = f"{cluster.programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples/diabetes/demo.py")],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cluster.kubectl("delete", "namespace", "models", "--wait=false")


@pytest.mark.usefixtures("operator")
def test_rows_answered_before_a_pod_is_deleted_are_delivered_while_it_ends(
    cluster: typing.Any, namespace: str, azurite: typing.Any, eventually: typing.Any
) -> None:
    diabetes.collect(cluster, namespace, azurite)
    diabetes.deploy(cluster, namespace)
    pod = cluster.kubectl(
        "-n", namespace, "get", "pods", "-l", "app=diabetes", "-o", "jsonpath={.items[0].metadata.name}"
    )
    address = cluster.kubectl("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")
    rows = [diabetes.row() for _ in range(50)]
    for row in rows:
        diabetes.score(address, [row])
    # Sooner than the flush interval: only what the ending process sends can bring them.
    cluster.kubectl("-n", namespace, "delete", "pod", pod)
    eventually(lambda: sorted(diabetes.collected(azurite, namespace)) == sorted(rows))
