"""Operator and client meet in settings.json: what one writes, the other reads, and the schema allows."""

from __future__ import annotations

import json
import pathlib
import typing

import jsonschema
import pytest

from modeldata import settings
from modeldata_operator import document, resources, workloads

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/contract/settings.schema.json").read_text())

COLLECTION = {
    "apiVersion": "modeldata.dev/v1alpha1",
    "kind": "DataCollection",
    "metadata": {"name": "churn", "namespace": "models", "uid": "u", "generation": 3},
    "spec": {
        "storage": {
            "endpoint": "https://account.blob.core.windows.net",
            "container": "rows",
            "credential": {"secretRef": {"name": "account"}},
            "path": "{workspace}/{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}",
        },
        "workspace": {"subscription": "s", "resourceGroup": "g", "name": "w"},
        "webservice": "scoring",
    },
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "pod", "namespace": "models", "uid": "p", "labels": {"app.kubernetes.io/version": "10"}},
    "spec": {"containers": [{"name": "scoring", "image": "model"}]},
}


def written(**spec: typing.Any) -> str:
    manifest = {**COLLECTION, "spec": {**COLLECTION["spec"], **spec}}
    collection = resources.collection(manifest)
    assert isinstance(collection, resources.DataCollection)
    return document.settings(collection, workloads.pod(POD), None, rotation=1)


def test_the_client_reads_what_the_operator_writes() -> None:
    text = written()
    jsonschema.validate(json.loads(text), SCHEMA)
    read = settings.parse(text.encode())
    assert read.enabled
    assert read.collection == "models/churn"
    assert read.generation == 4
    assert read.storage == settings.Storage(
        "https://account.blob.core.windows.net",
        "rows",
        "{workspace}/{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}",
    )
    assert read.identity == settings.Identity("s", "g", "w", "scoring", "10")
    assert read.flush_seconds == 5
    assert read.spool_bytes == 256 * 1024 * 1024


def test_switched_off_the_client_still_knows_where_waiting_rows_go() -> None:
    read = settings.parse(document.switched_off(written(), "models/churn").encode())
    assert not read.enabled
    assert read.storage is not None


@pytest.mark.parametrize(
    "demand", [{"redact": [{"feature": "ssn", "action": "Encrypt"}]}, {"sampling": {"percent": 0.5}}, {"version": 2}]
)
def test_a_demand_that_this_client_does_not_know_switches_it_off(demand: dict[str, typing.Any]) -> None:
    later = {**json.loads(written()), **demand}
    assert not settings.parse(json.dumps(later).encode()).enabled
