"""A real model behind a real scoring server, in the real cluster."""

from __future__ import annotations

import http.client
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import typing

import pandas
import pytest
from azure.storage.blob import ContainerClient

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
FEATURES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


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
    deploy(cluster, namespace, azurite)
    pod = cluster.kubectl(
        "-n", namespace, "get", "pods", "-l", "app=diabetes", "-o", "jsonpath={.items[0].metadata.name}"
    )
    address = cluster.kubectl("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")
    rows = [tuple(random.uniform(-1, 1) for _ in FEATURES) for _ in range(50)]
    for row in rows:
        score(address, [row])
    # Sooner than the flush interval: only what the ending process sends can bring them.
    cluster.kubectl("-n", namespace, "delete", "pod", pod)
    eventually(lambda: sorted(collected(azurite, namespace)) == sorted(rows))


def deploy(cluster: typing.Any, namespace: str, azurite: typing.Any) -> None:
    """Deploy the demo's model, one replica, collected into a container named like its namespace."""
    cluster.kubectl(
        "-n", namespace, "create", "secret", "generic", "account",
        f"--from-literal=accountName={azurite.account_name}", f"--from-literal=accountKey={azurite.account_key}",
    )  # fmt: skip
    collection = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": "diabetes", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "diabetes"}},
            "storage": {
                "endpoint": azurite.endpoint,
                "container": namespace,
                "credential": {"secretRef": {"name": "account"}},
            },
        },
    }
    cluster.kubectl("apply", "-f", "-", input=json.dumps(collection))
    manifest = (REPOSITORY / "examples/diabetes/deployment.yaml").read_text()
    manifest = manifest.replace("namespace: models", f"namespace: {namespace}").replace("replicas: 2", "replicas: 1")
    cluster.kubectl("apply", "-f", "-", input=manifest)
    cluster.kubectl("-n", namespace, "rollout", "status", "deploy/diabetes", "--timeout=120s")


def score(address: str, rows: list[tuple[float, ...]]) -> None:
    connection = http.client.HTTPConnection(address, 5001, timeout=30)
    try:
        connection.request("POST", "/score", json.dumps({"data": rows}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
    finally:
        connection.close()


def collected(azurite: typing.Any, container: str) -> list[tuple[float, ...]]:
    """Return the features of all inputs in a container."""
    credential = {"account_name": azurite.account_name, "account_key": azurite.account_key}
    client = ContainerClient(azurite.outside, container, credential=credential)
    rows: list[tuple[float, ...]] = []
    for blob in client.list_blobs():
        if "/inputs/" in blob.name and blob.size:
            frame = pandas.read_csv(io.BytesIO(client.download_blob(blob.name).readall()))
            rows += list(frame[FEATURES].itertuples(index=False, name=None))
    return rows
