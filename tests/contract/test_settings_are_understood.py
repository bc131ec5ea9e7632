"""Operator and client meet in settings.json: what one writes, the other reads, and the schema allows."""

from __future__ import annotations

import json
import pathlib
import typing

import jsonschema
import pytest

from modeldata import settings
from modeldata.delivery.azure import credentials
from modeldata_operator.api import names, pod_token, resources, workloads
from modeldata_operator.decide import document

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
    assert read.origin == settings.Origin("s", "g", "w", "scoring", "10")
    assert read.flush_seconds == 5
    assert read.spool_bytes == 256 * 1024 * 1024


def signing_in() -> str:
    who = {"clientId": "c", "tenantId": "t"}
    return written(storage={**COLLECTION["spec"]["storage"], "credential": {"workloadIdentity": who}})


def test_the_client_reads_who_to_sign_in_as() -> None:
    text = signing_in()
    jsonschema.validate(json.loads(text), SCHEMA)
    read = settings.parse(text.encode())
    assert read.storage is not None
    assert read.storage.identity == settings.WorkloadIdentity("c", "t", "https://login.microsoftonline.com/")


def test_the_token_is_mounted_where_the_client_looks_for_it() -> None:
    account = credentials.Account("https://x", "c", pathlib.Path(names.DIRECTORY) / "credential" / names.SAS_KEY)
    assert account.token_file == pathlib.Path(pod_token.DIRECTORY) / names.TOKEN_FILE


def test_every_field_of_the_spec_is_obeyed_as_it_was_meant() -> None:
    storage = {**COLLECTION["spec"]["storage"], "file": "PerPod"}
    text = written(
        storage=storage,
        sampling={"percent": 25},
        redact=[
            {"feature": "ssn", "action": "Drop", "onMissing": "Hold"},
            {"feature": "e-mail", "action": "Hash", "onMissing": "Send"},
        ],
        columns="AzureML",
        flushInterval="2m",
        spool={"size": "64Mi"},
    )
    jsonschema.validate(json.loads(text), SCHEMA)
    read = settings.parse(text.encode())
    assert read.enabled
    assert read.storage is not None
    assert read.storage.file == settings.PER_POD
    assert read.percent == 25
    assert read.redactions == (
        settings.Redaction("ssn", settings.Action.DROP, hold=True),
        settings.Redaction("e-mail", settings.Action.HASH),
    )
    assert read.columns is settings.Columns.AZUREML
    assert read.flush_seconds == 120
    assert read.spool_bytes == 64 * 1024 * 1024


def test_every_word_that_a_collection_may_use_is_known_to_the_client_and_the_schema() -> None:
    properties = SCHEMA["properties"]
    action = properties["redact"]["items"]["properties"]["action"]
    assert list(resources.Columns) == [each.value for each in settings.Columns] == properties["columns"]["enum"]
    assert list(resources.Action) == [each.value for each in settings.Action] == action["enum"]
    on_missing = properties["redact"]["items"]["properties"]["onMissing"]
    assert list(resources.OnMissing) == [each.value for each in settings.OnMissing] == on_missing["enum"]
    kinds = properties["storage"]["properties"]["file"]["enum"]
    assert list(resources.FileKind) == [settings.SHARED, settings.PER_POD] == kinds


@pytest.mark.parametrize(("interval", "seconds"), [("1s", 1), ("5s", 5), ("300s", 300), ("1m", 60), ("5m", 300)])
def test_every_flush_interval_that_a_collection_may_have_is_read_as_its_seconds(interval: str, seconds: int) -> None:
    text = written(flushInterval=interval)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert settings.parse(text.encode()).flush_seconds == seconds


def fields(schema: dict[str, typing.Any], where: str = "") -> typing.Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        inner = list(fields(child, f"{where}{name}."))
        yield from inner or [f"{where}{name}"]


def leaves(content: dict[str, typing.Any], where: str = "") -> typing.Iterator[str]:
    for name, value in content.items():
        yield from leaves(value, f"{where}{name}.") if isinstance(value, dict) else [f"{where}{name}"]


@pytest.mark.parametrize(
    ("endpoint", "is_one"),
    [
        ("file:///data", True),
        ("file:///srv/what%20is%20collected", True),
        ("http://127.0.0.1:10000/devstoreaccount1", True),
        ("file:///data/", False),
        ("file:///", False),
        ("file://host/data", False),
        ("file:data", False),
        ("/data", False),
        ("ftp://host/data", False),
    ],
)
def test_a_directory_is_an_endpoint_where_no_operator_is(endpoint: str, is_one: bool) -> None:
    content = json.loads(written())
    content["storage"]["endpoint"] = endpoint
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(content) is is_one
    if is_one:
        assert settings.parse(json.dumps(content).encode()).storage is not None
    manifest = {**COLLECTION, "spec": {**COLLECTION["spec"], "storage": {**COLLECTION["spec"]["storage"]}}}
    manifest["spec"]["storage"]["endpoint"] = endpoint
    refused = isinstance(resources.collection(manifest), resources.UnreadableCollection)
    assert refused is not endpoint.startswith("http")


def test_the_operator_writes_every_field_of_the_schema_and_no_other() -> None:
    assert sorted(leaves(json.loads(signing_in()))) == sorted(fields(SCHEMA))


def test_the_clients_defaults_are_the_operators() -> None:
    content = json.loads(written())
    for name in ("sampling", "redact", "columns", "flushInterval", "spool"):
        less = {key: value for key, value in content.items() if key != name}
        assert settings.parse(json.dumps(less).encode()) == settings.parse(json.dumps(content).encode())


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
