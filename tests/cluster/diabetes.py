"""The demo's model, deployed, asked and read by tests."""

from __future__ import annotations

import http.client
import io
import json
import pathlib
import random
import typing

import pandas

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
FEATURES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]


def collect(cluster: typing.Any, namespace: str, azurite: typing.Any) -> None:
    """Collect the model into a container named like its namespace."""
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


def deploy(cluster: typing.Any, namespace: str, *, name: str = "diabetes") -> None:
    """Deploy it under a name, one replica, and wait until it serves."""
    manifest, _, _ = (REPOSITORY / "examples/diabetes/deployment.yaml").read_text().partition("---\n")
    for before, after in (
        ("name: diabetes, namespace: models", f"name: {name}, namespace: {namespace}"),
        ("{app: diabetes", f"{{app: diabetes, deployment: {name}"),
        ("replicas: 2", "replicas: 1"),
    ):
        assert before in manifest
        manifest = manifest.replace(before, after)
    cluster.kubectl("apply", "-f", "-", input=manifest)
    cluster.kubectl("-n", namespace, "rollout", "status", f"deploy/{name}", "--timeout=120s")


def row() -> tuple[float, ...]:
    """Return features that nobody else has."""
    return tuple(random.uniform(-1, 1) for _ in FEATURES)


def score(address: str, rows: list[tuple[float, ...]]) -> None:
    """Ask a pod for predictions."""
    connection = http.client.HTTPConnection(address, 5001, timeout=30)
    try:
        connection.request("POST", "/score", json.dumps({"data": rows}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
    finally:
        connection.close()


def collected(azurite: typing.Any, container: str) -> list[tuple[float, ...]]:
    """Return the features of all inputs in a container."""
    client = azurite.container(container)
    rows: list[tuple[float, ...]] = []
    for blob in client.list_blobs():
        if "/inputs/" in blob.name and blob.size:
            frame = pandas.read_csv(io.BytesIO(client.download_blob(blob.name).readall()))
            rows += list(frame[FEATURES].itertuples(index=False, name=None))
    return rows
