"""Each sample runs as it is: what it collects is what was sent and what its model answered, once, joined by request."""

from __future__ import annotations

import json
import typing

import pytest
import yaml

from .churn import PORT, SAMPLES, Client, Collected, Customer, Protocol, Space, new_space

pytestmark = pytest.mark.timeout(300)

KSERVE = Protocol("/v1/models/churn:predict", "instances", "predictions")
SERVERS = {"fastapi": Protocol(), "flask": Protocol(), "kserve": KSERVE, "bentoml": Protocol()}


@pytest.fixture
def space(cluster: typing.Any, azurite: typing.Any, operator: None, serving_image: None) -> typing.Iterator[Space]:
    with new_space(cluster, azurite) as made:
        yield made


@pytest.fixture(scope="module")
def serving(cluster: typing.Any, azurite: typing.Any, operator: None, serving_image: None) -> typing.Iterator[Space]:
    """All servers at once, collected by the smallest DataCollection."""
    with new_space(cluster, azurite) as made:
        made.apply("datacollection")
        for server in SERVERS:
            made.apply(server)
        yield made


@pytest.mark.parametrize("server", SERVERS)
def test_rows_are_what_a_server_was_sent_and_answered(serving: Space, server: str) -> None:
    name = f"churn-{server}"
    serving.pods(name)
    client = Client(serving.service(name), protocol=SERVERS[server])
    client.send(requests=40)
    serving.assert_collected(name, client.said)
    # Sooner than the flush interval: only what the ending server sends can bring them.
    client.send(requests=8)
    serving.kubectl("delete", f"deployment/{name}", "--wait=false")
    serving.assert_collected(name, client.said)


def test_an_annotation_is_enough(space: Space) -> None:
    space.apply("annotation")
    (pod,) = space.pods("churn-annotated")
    client = Client(pod["status"]["podIP"], PORT)
    client.send(requests=8)
    space.assert_collected("churn-annotated", client.said)


def test_many_replicas_have_files_of_their_own(space: Space) -> None:
    space.apply("per-pod")
    space.apply("fastapi")
    space.kubectl("scale", "deployment/churn-fastapi", "--replicas=3")
    pods = space.pods("churn-fastapi", count=3)
    said: dict[Customer, Collected] = {}
    for pod in pods:
        client = Client(pod["status"]["podIP"], PORT)
        client.send(requests=8)
        said |= client.said
    space.assert_collected("churn-fastapi", said)
    names = {path.rpartition("/")[2] for path in space.files("inputs")}
    assert names == {f"data.{pod['metadata']['uid']}.csv" for pod in pods}


PERSONAL = """
from modeldata import ModelDataCollector
inputs = ModelDataCollector("churn", "inputs", ["age", "ssn", "email"])
predictions = ModelDataCollector("churn", "predictions", ["risk"])
for age in range(400):
    inputs.collect([[age, f"ssn-{age}", f"{age % 2}@example.com"]])
    predictions.collect([age / 400])
"""


def test_every_field_has_its_effect(space: Space) -> None:
    space.apply("full")
    (deployment, _) = yaml.safe_load_all((SAMPLES / "fastapi.yaml").read_text(encoding="utf-8"))
    template = deployment["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    template["spec"]["containers"][0].update(command=["python", "-c", PERSONAL], readinessProbe=None)
    for name, tier in (("model", "production"), ("tried", "test")):
        labels = {**template["metadata"]["labels"], "tier": tier}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": template["spec"],
        }
        space.kubectl("apply", "-f", "-", input=json.dumps(pod))
    injected = "jsonpath={.metadata.annotations.modeldata\\.dev/injected}"
    assert space.kubectl("get", "pod", "model", "-o", injected)
    assert not space.kubectl("get", "pod", "tried", "-o", injected)
    for name in ("model", "tried"):
        space.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")

    uid = space.kubectl("get", "pod", "model", "-o", "jsonpath={.metadata.uid}")
    tables = {designation: space.files(designation) for designation in ("inputs", "predictions")}
    for designation, files in tables.items():
        (path,) = files
        assert path.startswith(f"production/models/retail/churn/churn/10/{designation}/")
        assert path.endswith(f"/data.{uid}.csv")
    (inputs,), (predictions,) = (files.values() for files in tables.values())
    assert [*inputs] == ["$Timestamp", "$CorrelationId", "$RequestId", "age", "email"]
    assert inputs["email"].nunique() == 2
    assert not inputs["email"].str.contains("@").any()
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert len(joined) == len(inputs) == len(predictions)
    assert (joined["risk"] == joined["age"] / 400).all()
    assert 50 < len(joined) < 150  # a quarter of 400, but for one run in 10^8
