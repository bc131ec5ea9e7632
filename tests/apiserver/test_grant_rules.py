"""Every rule of a StorageGrant, against the real API server: one that it accepts, one that it refuses."""

from __future__ import annotations

import copy
import json
import pathlib
import typing

import pytest

from modeldata_operator.api import grants

from .server import ApiServer, Refused
from .test_crd_rules import ABSENT, KEPT, Case, assert_each_has_a_case, expressions, rules

CRD = pathlib.Path(__file__).parents[2] / "crds/storagegrants.yaml"
GRANTS = "/apis/modeldata.dev/v1alpha1/storagegrants"
ENDPOINT = "https://account.blob.core.windows.net"
NAMESPACES, EXPRESSION = "spec.namespaces", "spec.namespaces.matchExpressions[]"
LABEL = {"team": "retail"}


def selected(*given: typing.Any) -> dict[str, typing.Any]:
    return {"matchExpressions": list(given)}


CASES = [
    Case(": required spec", "spec", KEPT, ABSENT, "spec: Required value"),
    Case("spec: required namespaces", NAMESPACES, KEPT, ABSENT, "spec.namespaces: Required value"),
    Case("spec: required endpoint", "spec.endpoint", KEPT, ABSENT, "spec.endpoint: Required value"),
    Case("spec: required containers", "spec.containers", KEPT, ABSENT, "spec.containers: Required value"),
    Case(f"{NAMESPACES}: namespaces must not be empty", NAMESPACES, {"matchLabels": LABEL}, {}, "must not be empty"),
    Case(
        f"{NAMESPACES}.matchLabels: maxProperties",
        f"{NAMESPACES}.matchLabels",
        {f"l{number}": "x" for number in range(32)},
        {f"l{number}": "x" for number in range(33)},
        "Too many",
    ),
    Case(
        f"{NAMESPACES}.matchLabels.*: maxLength",
        f"{NAMESPACES}.matchLabels",
        {"a": "v" * 63},
        {"a": "v" * 64},
        "Too long",
    ),
    Case(
        f"{NAMESPACES}.matchExpressions: maxItems",
        f"{NAMESPACES}.matchExpressions",
        expressions() * 32,
        expressions() * 33,
        "Too many",
    ),
    *(
        Case(
            f"{EXPRESSION}: required {field}",
            f"{NAMESPACES}.matchExpressions",
            expressions(),
            expressions(**{field: ABSENT}),
            f"{field}: Required value",
        )
        for field in ("key", "operator")
    ),
    Case(
        f"{EXPRESSION}: values must be given",
        f"{NAMESPACES}.matchExpressions",
        expressions(operator="Exists", values=ABSENT),
        expressions(operator="Exists"),
        "values must be given for In and NotIn",
    ),
    Case(
        f"{EXPRESSION}.key: minLength",
        f"{NAMESPACES}.matchExpressions",
        expressions(key="a"),
        expressions(key=""),
        "at least 1",
    ),
    Case(
        f"{EXPRESSION}.key: maxLength",
        f"{NAMESPACES}.matchExpressions",
        expressions(key="k" * 317),
        expressions(key="k" * 318),
        "Too long",
    ),
    Case(
        f"{EXPRESSION}.operator: enum",
        f"{NAMESPACES}.matchExpressions",
        expressions(operator="NotIn"),
        expressions(operator="Equals"),
        "Unsupported value",
    ),
    Case(
        f"{EXPRESSION}.values: maxItems",
        f"{NAMESPACES}.matchExpressions",
        expressions(values=["a"] * 64),
        expressions(values=["a"] * 65),
        "Too many",
    ),
    Case(
        f"{EXPRESSION}.values[]: maxLength",
        f"{NAMESPACES}.matchExpressions",
        expressions(values=["v" * 63]),
        expressions(values=["v" * 64]),
        "Too long",
    ),
    Case("spec.endpoint: minLength", "spec.endpoint", "https://a", "", "at least 1"),
    Case("spec.endpoint: maxLength", "spec.endpoint", f"{ENDPOINT}/{'a' * 474}", f"{ENDPOINT}/{'a' * 475}", "Too long"),
    Case(
        "spec.endpoint: endpoint must be an https URL",
        "spec.endpoint",
        "https://account.blob.core.usgovcloudapi.net",
        "http://account.blob.core.usgovcloudapi.net",
        "not sent in plain text",
    ),
    Case(
        "spec.endpoint: endpoint must be written in one way",
        "spec.endpoint",
        "https://azurite.storage.svc:10000/devstoreaccount1",
        f"{ENDPOINT}/",
        "written in one way",
    ),
    Case("spec.endpoint: endpoint must not say port 443", "spec.endpoint", f"{ENDPOINT}:444", f"{ENDPOINT}:443", "443"),
    Case("spec.containers: minItems", "spec.containers", ["rows"], [], "at least 1"),
    Case(
        "spec.containers: maxItems",
        "spec.containers",
        [f"rows-{number}" for number in range(64)],
        [f"rows-{number}" for number in range(65)],
        "Too many",
    ),
    Case("spec.containers: unique", "spec.containers", ["rows", "rows-2"], ["rows", "rows"], "Duplicate value"),
    Case("spec.containers[]: minLength", "spec.containers", ["abc"], ["ab"], "at least 3"),
    Case("spec.containers[]: maxLength", "spec.containers", ["c" * 63], ["c" * 64], "Too long"),
    Case("spec.containers[]: containers must be", "spec.containers", ["rows-1"], ["$root"], "system containers"),
    Case(
        "spec.containers[]: containers may hold {namespace} once",
        "spec.containers",
        ["modeldata-{namespace}"],
        ["{namespace}-{namespace}"],
        "{namespace} once",
    ),
]
MORE = [
    *(
        Case("", "spec.endpoint", ENDPOINT, bad, "written in one way")
        for bad in (
            "https://ACCOUNT.blob.core.windows.net",
            f"{ENDPOINT}.",
            "https://user@account.blob.core.windows.net",
            f"{ENDPOINT}?sv=1",
            f"{ENDPOINT}#x",
            f"{ENDPOINT}/..",
            f"{ENDPOINT}//a",
            f"{ENDPOINT}/%2e",
            f"{ENDPOINT}:0443",
            "https://account%2eblob.core.windows.net",
        )
    ),
    *(Case("", "spec.containers", ["rows"], [bad], "system containers") for bad in ("$logs", "$web", "Rows", "a--b")),
    Case("", "spec.containers", ["{namespace}"], ["c" * 41 + "{namespace}"], "at most 40 characters"),
    Case("", NAMESPACES, selected(*expressions()), {"matchLabels": {}, "matchExpressions": []}, "must not be empty"),
]


def grant(path: str, value: typing.Any) -> dict[str, typing.Any]:
    """A StorageGrant with one field as given."""
    manifest: dict[str, typing.Any] = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "StorageGrant",
        "metadata": {"name": "example"},
        "spec": {"namespaces": {"matchLabels": LABEL}, "endpoint": ENDPOINT, "containers": ["rows"]},
    }
    *parents, last = path.split(".")
    place = manifest
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is ABSENT:
        place.pop(last, None)
    elif value is not KEPT:
        place[last] = copy.deepcopy(value)
    return manifest


def create(api: ApiServer, manifest: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Have the API server judge an object, without storing it."""
    created: dict[str, typing.Any] = api.create(f"{GRANTS}?dryRun=All&fieldValidation=Strict", manifest)
    return created


def test_every_rule_has_its_two_cases() -> None:
    assert_each_has_a_case(rules(CRD), CASES)


@pytest.mark.parametrize("case", [*CASES, *MORE], ids=lambda case: case.rule or f"{case.path}={case.bad}")
def test_the_api_server_accepts_the_good_and_refuses_the_bad(api: ApiServer, case: Case) -> None:
    accepted = create(api, grant(case.path, case.good))
    grants.grant(accepted)  # the operator makes sense of what passes
    with pytest.raises(Refused) as refused:
        create(api, grant(case.path, case.bad))
    assert case.message in refused.value.message
    assert refused.value.status == 422


def test_kubectl_shows_who_may_write_where_and_explains_it(api: ApiServer) -> None:
    api.kubectl("api-resources", "--cached=false")  # kubectl goes by what it heard before the CRD was there
    api.kubectl("create", "-f", "-", input=json.dumps(grant("metadata.name", "shown")))
    try:
        head, row = api.kubectl("get", "mgrant", "shown").splitlines()
        assert head.split() == ["NAME", "ENDPOINT", "CONTAINERS", "NAMESPACES", "AGE"]
        assert all(each in row for each in (ENDPOINT, "rows", "retail"))
    finally:
        api.delete(f"{GRANTS}/shown")
    assert "operator's own Azure identity" in " ".join(api.kubectl("explain", "mgrant").split())
