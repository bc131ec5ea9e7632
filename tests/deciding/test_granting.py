"""Which namespaces a StorageGrant lets use the operator's own identity, and for what."""

from __future__ import annotations

import dataclasses
import json
import shlex
import typing

import pytest

from modeldata_operator.api import grants, resources
from modeldata_operator.api.fields import ResourceError
from modeldata_operator.decide import granting

ENDPOINT = "https://account.blob.core.windows.net"
NAME = "kubernetes.io/metadata.name"
STORAGE = resources.Storage(ENDPOINT, "rows", "{file}", resources.OperatorIdentity(), resources.FileKind.SHARED)
RETAIL = {NAME: "models", "team": "retail"}


def grant(**spec: typing.Any) -> grants.StorageGrant:
    usual = {"namespaces": {"matchLabels": {"team": "retail"}}, "endpoint": ENDPOINT, "containers": ["rows"]}
    return grants.grant({"metadata": {"name": "retail"}, "spec": {**usual, **spec}})


def granted(
    *given: grants.StorageGrant,
    namespace: str = "models",
    labels: typing.Mapping[str, str] = RETAIL,
    **storage: str,
) -> bool:
    where = dataclasses.replace(STORAGE, **typing.cast("dict[str, typing.Any]", storage)).within(namespace)
    return granting.granted(given, where, namespace=namespace, labels=labels) is not None


def test_what_is_granted_is_granted_and_nothing_beside_it() -> None:
    assert granted(grant())
    assert not granted()
    assert not granted(grant(), labels={NAME: "models", "team": "risk"})
    assert not granted(grant(), labels={NAME: "models"})
    assert not granted(grant(), container="other")
    assert not granted(grant(), endpoint="https://other.blob.core.windows.net")


def test_two_halves_make_no_grant() -> None:
    here = grant(containers=["other"])
    elsewhere = grant(namespaces={"matchLabels": {"team": "risk"}})
    assert not granted(here, elsewhere)
    assert granted(here, elsewhere, grant())


@pytest.mark.parametrize("endpoint", [f"{ENDPOINT}/", "https://ACCOUNT.blob.core.windows.net", f"{ENDPOINT}:443"])
def test_the_endpoint_may_be_written_otherwise_in_the_collection(endpoint: str) -> None:
    assert granted(grant(), endpoint=endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://account.blob.core.windows.net",
        "http://account.blob.core.windows.net:443",
        f"{ENDPOINT}:444",
        f"{ENDPOINT}.",
        f"{ENDPOINT}/rows",
        f"{ENDPOINT}.attacker.example",
        f"{ENDPOINT}@attacker.example",
        "https://user@account.blob.core.windows.net",
        "https://account%2eblob.core.windows.net",
        "https://аccount.blob.core.windows.net",
        "https://xn--ccount-0nf.blob.core.windows.net",
    ],
)
def test_an_endpoint_that_only_looks_alike_is_not_granted(endpoint: str) -> None:
    assert not granted(grant(), endpoint=endpoint)


def test_a_container_called_after_the_namespace_is_that_namespaces_alone() -> None:
    every = grant(
        namespaces={"matchExpressions": [{"key": NAME, "operator": "Exists"}]}, containers=["rows-{namespace}"]
    )
    for namespace, other in (("models", "models-2"), ("a--b", "a-b"), ("n" * 63, "n" * 62)):
        labels = {NAME: namespace}
        assert granted(every, namespace=namespace, labels=labels, container="rows-{namespace}")
        own = STORAGE.within(namespace)
        theirs = dataclasses.replace(own, container="rows-{namespace}").within(other).container
        assert not granted(every, namespace=namespace, labels=labels, container=theirs)
        assert not granted(every, namespace=namespace, labels=labels, container="rows")


def test_one_that_makes_no_sense_grants_nothing() -> None:
    for spec in (
        {"namespaces": {}},
        {"namespaces": {"matchLabels": {}}},
        {"namespaces": None},
        {"endpoint": "http://account.blob.core.windows.net"},
        {"endpoint": f"{ENDPOINT}/"},
        {"endpoint": "https://ACCOUNT.blob.core.windows.net"},
        {"endpoint": f"{ENDPOINT}:443"},
        {"containers": []},
        {"containers": ["$root"]},
        {"containers": ["a--b"]},
        {"containers": ["{namespace}-{namespace}"]},
        {"containers": "rows"},
    ):
        with pytest.raises(ResourceError):
            grant(**typing.cast("dict[str, typing.Any]", spec))


def test_the_charts_list_grants_namespaces_by_their_names() -> None:
    found = grants.given(json.dumps([{"namespaces": ["models"], "endpoint": ENDPOINT, "containers": ["rows"]}]))
    assert granted(*found, labels={NAME: "models"})
    assert not granted(*found, namespace="others", labels={NAME: "others"})
    for text in ("{}", "[{}]", "no", '[{"namespaces": [], "endpoint": "https://a.b", "containers": ["rows"]}]'):
        with pytest.raises(ResourceError):
            grants.given(text)


def test_the_request_can_be_run_as_it_is_and_grants_what_was_asked_for() -> None:
    message = granting.request(STORAGE, namespace="models", by_values=False)
    assert "namespace models" in message
    assert "container rows" in message
    assert ENDPOINT in message
    assert len(message) <= 1024
    _, quoted, *rest = shlex.split(message.partition("run: ")[2])
    assert rest == ["|", "kubectl", "create", "-f", "-"]
    made = grants.grant(json.loads(quoted))
    assert granted(made, labels={NAME: "models"})
    assert not granted(made, namespace="others", labels={NAME: "others"})
    item = json.loads(granting.request(STORAGE, namespace="models", by_values=True).partition("storage.grants: ")[2])
    assert granted(*grants.given(json.dumps([item])), labels={NAME: "models"})


def test_the_longest_request_fits_into_a_condition() -> None:
    host = ".".join(["h" * 60] * 4)
    storage = dataclasses.replace(STORAGE, endpoint=f"https://{host}/account", container="c" * 63)
    message = granting.request(storage, namespace="n" * 63, by_values=False)
    assert len(message) <= 1024
    assert message.endswith("grant exactly that")


def test_a_request_for_another_than_azure_warns_and_no_request_is_made_of_what_is_no_endpoint() -> None:
    elsewhere = dataclasses.replace(STORAGE, endpoint="https://attacker.example")
    assert "no host of Azure Blob Storage" in granting.request(elsewhere, namespace="models", by_values=False)
    assert "no host of Azure" not in granting.request(STORAGE, namespace="models", by_values=False)
    odd = dataclasses.replace(STORAGE, endpoint="https://account.example/'$(reboot)'")
    message = granting.request(odd, namespace="models", by_values=False)
    assert "reboot" not in message
    assert "kubectl" not in message
