"""Every rule of the CustomResourceDefinition, against the real API server: one object it accepts, one it refuses.

The table is compared with the CRD itself, so that no rule can be added without its two cases.
"""

from __future__ import annotations

import copy
import json
import pathlib
import typing

import pytest
import yaml

CRD = pathlib.Path(__file__).parents[2] / "crds/datacollections.yaml"
ENDPOINT = "https://account.blob.core.windows.net"
ABSENT = object()


class Case(typing.NamedTuple):
    rule: str
    """Where the rule stands, and its keyword; for CEL the start of its message."""
    path: str
    good: typing.Any
    bad: typing.Any
    message: str


STORAGE = "spec.storage"
SECRET = "spec.storage.credential.secretRef"
EXPRESSION = "spec.selector.matchExpressions[]"
DEFAULT_PATH = "{designation}/{year}/{month}/{day}/{file}"


def expressions(**changes: typing.Any) -> list[dict[str, typing.Any]]:
    entry = {"key": "app", "operator": "In", "values": ["churn"], **changes}
    return [{key: value for key, value in entry.items() if value is not ABSENT}]


def path_part(field: str, *, longest: int) -> list[Case]:
    where = f"spec.{field}"
    return [
        Case(f"{where}: maxLength", where, "a" * longest, "a" * (longest + 1), "Too long"),
        Case(
            f"{where}: {field} becomes a part of a path", where, "My_group(1).x-y", "../up", "becomes a part of a path"
        ),
    ]


CASES = [
    Case(": required spec", "spec", {}, ABSENT, "spec: Required value"),
    Case(": metadata.name must be at most", "metadata.name", "n" * 52, "n" * 53, "at most 52 characters"),
    Case(": metadata.name must not be", "metadata.name", "default", "operator-default", "must not be operator-default"),
    Case("spec: required storage", "spec.storage", {}, ABSENT, "spec.storage: Required value"),
    Case(
        "spec.selector: selector must not be empty",
        "spec.selector",
        {"matchLabels": {"a": "b"}},
        {},
        "must not be empty",
    ),
    Case(
        "spec.selector.matchLabels: maxProperties",
        "spec.selector.matchLabels",
        {f"l{number}": "x" for number in range(32)},
        {f"l{number}": "x" for number in range(33)},
        "Too many",
    ),
    Case(
        "spec.selector.matchLabels.*: maxLength",
        "spec.selector.matchLabels",
        {"a": "v" * 63},
        {"a": "v" * 64},
        "Too long",
    ),
    Case(
        "spec.selector.matchExpressions: maxItems",
        "spec.selector.matchExpressions",
        expressions() * 32,
        expressions() * 33,
        "Too many",
    ),
    *(
        Case(
            f"{EXPRESSION}: required {field}",
            "spec.selector.matchExpressions",
            expressions(),
            expressions(**{field: ABSENT}),
            f"{field}: Required value",
        )
        for field in ("key", "operator")
    ),
    Case(
        f"{EXPRESSION}: values must be given",
        "spec.selector.matchExpressions",
        expressions(operator="Exists", values=ABSENT),
        expressions(values=[]),
        "values must be given for In and NotIn",
    ),
    Case(
        f"{EXPRESSION}.key: minLength",
        "spec.selector.matchExpressions",
        expressions(key="a"),
        expressions(key=""),
        "at least 1",
    ),
    Case(
        f"{EXPRESSION}.key: maxLength",
        "spec.selector.matchExpressions",
        expressions(key="k" * 317),
        expressions(key="k" * 318),
        "Too long",
    ),
    Case(
        f"{EXPRESSION}.operator: enum",
        "spec.selector.matchExpressions",
        expressions(operator="NotIn"),
        expressions(operator="Is"),
        "Unsupported value",
    ),
    Case(
        f"{EXPRESSION}.values: maxItems",
        "spec.selector.matchExpressions",
        expressions(values=["v"] * 64),
        expressions(values=["v"] * 65),
        "Too many",
    ),
    Case(
        f"{EXPRESSION}.values[]: maxLength",
        "spec.selector.matchExpressions",
        expressions(values=["v" * 63]),
        expressions(values=["v" * 64]),
        "Too long",
    ),
    Case(
        "spec.containers: maxItems",
        "spec.containers",
        [f"c{number}" for number in range(32)],
        [f"c{number}" for number in range(33)],
        "Too many",
    ),
    Case("spec.containers: unique", "spec.containers", ["a", "b"], ["a", "a"], "Duplicate value"),
    Case(
        "spec.containers: containers must be", "spec.containers", ["scoring-1"], ["Scoring"], "must be container names"
    ),
    Case("spec.containers[]: minLength", "spec.containers", ["a"], [""], "at least 1"),
    Case("spec.containers[]: maxLength", "spec.containers", ["c" * 63], ["c" * 64], "Too long"),
    Case(f"{STORAGE}: required endpoint", f"{STORAGE}.endpoint", ENDPOINT, ABSENT, "endpoint: Required value"),
    Case(f"{STORAGE}: required credential", f"{STORAGE}.credential", {}, ABSENT, "credential: Required value"),
    Case(f"{STORAGE}.endpoint: minLength", f"{STORAGE}.endpoint", ENDPOINT, "", "at least 1"),
    Case(
        f"{STORAGE}.endpoint: maxLength",
        f"{STORAGE}.endpoint",
        f"https://a/{'e' * 502}",
        f"https://a/{'e' * 503}",
        "Too long",
    ),
    Case(
        f"{STORAGE}.endpoint: endpoint must be an http",
        f"{STORAGE}.endpoint",
        "http://azurite.storage.svc:10000/devstoreaccount1",
        "ftp://account.blob.core.windows.net",
        "endpoint must be an http or https URL",
    ),
    Case(
        f"{STORAGE}.endpoint: endpoint must have no query",
        f"{STORAGE}.endpoint",
        f"{ENDPOINT}/",
        f"{ENDPOINT}?sv=2024&sig=x",
        "a SAS does not belong here",
    ),
    Case(
        f"{STORAGE}.endpoint: endpoint must be https",
        f"{STORAGE}.endpoint",
        "http://127.0.0.1:10000/devstoreaccount1",
        "http://account.blob.core.windows.net",
        "plain http is only for",
    ),
    Case(f"{STORAGE}.container: minLength", f"{STORAGE}.container", "abc", "ab", "at least 3"),
    Case(f"{STORAGE}.container: maxLength", f"{STORAGE}.container", "c" * 63, "c" * 64, "Too long"),
    Case(f"{STORAGE}.container: container must be", f"{STORAGE}.container", "my-data-1", "my--data", "single hyphens"),
    Case(
        f"{STORAGE}.credential: required secretRef",
        SECRET,
        {"name": "account"},
        ABSENT,
        "secretRef: Required value",
    ),
    Case(f"{SECRET}: required name", f"{SECRET}.name", "account", ABSENT, "name: Required value"),
    Case(f"{SECRET}.name: minLength", f"{SECRET}.name", "a", "", "at least 1"),
    Case(f"{SECRET}.name: maxLength", f"{SECRET}.name", "s" * 253, "s" * 254, "Too long"),
    Case(f"{SECRET}.name: secretRef.name must be", f"{SECRET}.name", "my.account-1", "My_Account", "a Secret's name"),
    Case(f"{STORAGE}.path: minLength", f"{STORAGE}.path", DEFAULT_PATH, "", "at least 1"),
    Case(
        f"{STORAGE}.path: maxLength",
        f"{STORAGE}.path",
        "p" * (512 - len(DEFAULT_PATH) - 1) + "/" + DEFAULT_PATH,
        "p" * (512 - len(DEFAULT_PATH)) + "/" + DEFAULT_PATH,
        "Too long",
    ),
    Case(
        f"{STORAGE}.path: path may contain",
        f"{STORAGE}.path",
        "x=1/{subscription}/{model}-{version}/{designation}/{year}-{month}-{day}/{file}",
        "{hour}/{designation}/{year}/{month}/{day}/{file}",
        "and the fields {subscription}",
    ),
    Case(
        f"{STORAGE}.path: path must end",
        f"{STORAGE}.path",
        DEFAULT_PATH,
        "{designation}/{year}/{month}/{day}/x-{file}",
        "path must end with /{file}",
    ),
    Case(
        f"{STORAGE}.path: path must contain {{designation}}",
        f"{STORAGE}.path",
        DEFAULT_PATH,
        "{year}/{month}/{day}/{file}",
        "path must contain {designation}",
    ),
    Case(
        f"{STORAGE}.path: path must contain {{year}}",
        f"{STORAGE}.path",
        "{designation}/{year}{month}{day}/{file}",
        "{designation}/{year}/{month}/{file}",
        "path must contain {year}, {month} and {day}",
    ),
    Case(
        f"{STORAGE}.path: path must not start",
        f"{STORAGE}.path",
        f"a.b/..c/{DEFAULT_PATH}",
        f"a/../{DEFAULT_PATH}",
        "empty, . or .. parts",
    ),
    *path_part("workspace.subscription", longest=64),
    *path_part("workspace.resourceGroup", longest=90),
    *path_part("workspace.name", longest=64),
    *path_part("webservice", longest=253),
]

# Rules that say the same with other values; their good and bad ones are worth having too.
MORE = [
    Case("", f"{STORAGE}.endpoint", "http://localhost:10000/x", "http://localhost.evil.com/x", "plain http"),
    Case("", f"{STORAGE}.endpoint", "http://azurite:10000/x", "http://10.0.0.1/x", "plain http"),
    Case("", f"{STORAGE}.endpoint", "http://[::1]:10000/x", "HTTP://account.blob.core.windows.net", "plain http"),
    Case("", f"{STORAGE}.endpoint", "http://a.b.svc.cluster.local/x", "http://127.evil.com/x", "plain http"),
    Case(
        "", f"{STORAGE}.endpoint", ENDPOINT, "https://user:key@account.blob.core.windows.net", "a SAS does not belong"
    ),
    Case("", f"{STORAGE}.endpoint", ENDPOINT, "account.blob.core.windows.net", "must be an http or https URL"),
    Case("", f"{STORAGE}.path", DEFAULT_PATH, f"/{DEFAULT_PATH}", "must not start with /"),
    Case("", f"{STORAGE}.path", DEFAULT_PATH, f"a//{DEFAULT_PATH}", "empty, . or .. parts"),
    Case("", f"{STORAGE}.container", "000", "-abc", "single hyphens"),
    Case("", "spec.enabled", False, "yes", "must be of type boolean"),
    Case("", "spec.selector", {"matchExpressions": expressions()}, {"matchLabels": {}}, "must not be empty"),
    Case(
        "",
        "spec.selector.matchExpressions",
        expressions(operator="DoesNotExist", values=[]),
        expressions(operator="Exists"),
        "left out for Exists",
    ),
]


def collection(path: str, value: typing.Any, namespace: str) -> dict[str, typing.Any]:
    manifest: dict[str, typing.Any] = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": "example", "namespace": namespace},
        "spec": {"storage": {"endpoint": ENDPOINT, "credential": {"secretRef": {"name": "account"}}}},
    }
    *parents, last = path.split(".")
    place = manifest
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is ABSENT:
        place.pop(last, None)
    elif not (value == {} and last in place):  # {} as the good value means: as it stands
        place[last] = copy.deepcopy(value)
    return manifest


def rules() -> set[str]:
    """Name every rule of the CRD's spec as the table does."""
    schema = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["status"]
    found = set()

    def walk(node: dict[str, typing.Any], where: str) -> None:
        for keyword in ("minLength", "maxLength", "maxItems", "minItems", "maxProperties", "enum", "pattern", "format"):
            if keyword in node:
                found.add(f"{where}: {keyword}")
        for keyword in ("minimum", "maximum"):
            if keyword in node:
                found.add(f"{where}: {keyword}")
        if node.get("x-kubernetes-list-type") == "set":
            found.add(f"{where}: unique")
        for field in node.get("required", ()):
            found.add(f"{where}: required {field}")
        for rule in node.get("x-kubernetes-validations", ()):
            found.add(f"{where}: {rule['message']}")
        for name, child in node.get("properties", {}).items():
            walk(child, f"{where}.{name}".lstrip("."))
        if "items" in node:
            walk(node["items"], f"{where}[]")
        if isinstance(node.get("additionalProperties"), dict):
            walk(node["additionalProperties"], f"{where}.*")

    walk(schema, "")
    return found


def test_every_rule_has_its_two_cases() -> None:
    named = [case.rule for case in CASES]
    found = rules()
    covered = {rule for rule in found if any(rule.startswith(name) for name in named)}
    assert found - covered == set()
    assert [name for name in named if not any(rule.startswith(name) for rule in found)] == []
    assert len(named) == len(set(named)) == len(found)


@pytest.mark.parametrize("case", [*CASES, *MORE], ids=lambda case: case.rule or f"{case.path}={case.bad}")
def test_the_api_server_accepts_the_good_and_refuses_the_bad(cluster, operator, namespace, case) -> None:
    create = ("create", "--dry-run=server", "--validate=ignore", "-f", "-")
    cluster.kubectl(*create, input=json.dumps(collection(case.path, case.good, namespace)))
    refused = cluster.kubectl(*create, input=json.dumps(collection(case.path, case.bad, namespace)), check=False)
    assert case.message in refused


def test_all_defaults_stand_in_the_schema(cluster, operator, namespace) -> None:
    manifest = json.dumps(collection("spec.enabled", ABSENT, namespace))
    spec = json.loads(cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=manifest))["spec"]
    assert spec["enabled"] is True
    assert spec["storage"]["container"] == "modeldata"
    assert spec["storage"]["path"].endswith("{designation}/{year}/{month}/{day}/{file}")
    assert spec["workspace"] == {"subscription": "default", "resourceGroup": "default", "name": "default"}


def test_explain_reads_like_documentation(cluster, operator) -> None:
    text = cluster.kubectl("explain", "mdc", "--recursive=false")
    assert "Collects what goes into models" in text

    def undescribed(node: dict[str, typing.Any], where: str) -> typing.Iterator[str]:
        for name, child in node.get("properties", {}).items():
            if not child.get("description"):
                yield f"{where}.{name}"
            yield from undescribed(child, f"{where}.{name}")
            yield from undescribed(child.get("items", {}), f"{where}.{name}[]")

    schema = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    missing = [name for part in ("spec", "status") for name in undescribed(schema["properties"][part], part)]
    assert missing == []


def test_the_table_of_get_shows_what_matters(cluster, operator) -> None:
    columns = cluster.kubectl("get", "mdc", "-A", "--ignore-not-found=false", "-o", "json")
    assert json.loads(columns)["kind"] == "List"
    crd = json.loads(cluster.kubectl("get", "crd", "datacollections.modeldata.dev", "-o", "json"))
    names = [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]
    assert names == ["Enabled", "Matched", "Injected", "Ready", "Reason", "Age"]
