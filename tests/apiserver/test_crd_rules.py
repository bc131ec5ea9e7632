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

from modeldata_operator.api import observed, resources, workloads
from modeldata_operator.decide import document

from .server import ApiServer, Refused

CRD = pathlib.Path(__file__).parents[2] / "crds/datacollections.yaml"
SAMPLES = pathlib.Path(__file__).parents[2] / "manifests/samples"
ENDPOINT = "https://account.blob.core.windows.net"
ABSENT, KEPT = object(), object()


class Case(typing.NamedTuple):
    rule: str
    """Where the rule stands, and its keyword; for CEL the start of its message."""
    path: str
    good: typing.Any
    bad: typing.Any
    message: str


STORAGE = "spec.storage"
CREDENTIAL = "spec.storage.credential"
SECRET = f"{CREDENTIAL}.secretRef"
TOKEN = f"{CREDENTIAL}.sasTokenSecretRef"
IDENTITY = f"{CREDENTIAL}.workloadIdentity"
GUID = "01234567-89ab-cdef-0123-456789abcdef"
WHO = {"clientId": GUID, "tenantId": GUID}
ACCOUNT = {"secretRef": {"name": "account"}}
DEFAULT_PATH = "{designation}/{year}/{month}/{day}/{file}"


def expressions(**changes: typing.Any) -> list[dict[str, typing.Any]]:
    entry = {"key": "app", "operator": "In", "values": ["churn"], **changes}
    return [{key: value for key, value in entry.items() if value is not ABSENT}]


def given_sas(**changes: typing.Any) -> dict[str, typing.Any]:
    reference = {"name": "writer", "key": "token", **changes}
    return {"sasTokenSecretRef": {key: value for key, value in reference.items() if value is not ABSENT}}


def redactions(*features: str, **changes: typing.Any) -> list[dict[str, typing.Any]]:
    entries = [{"feature": feature, "action": "Drop", **changes} for feature in features]
    return [{key: value for key, value in entry.items() if value is not ABSENT} for entry in entries]


def path_part(field: str, *, longest: int) -> list[Case]:
    where = f"spec.{field}"
    return [
        Case(f"{where}: maxLength", where, "a" * longest, "a" * (longest + 1), "Too long"),
        Case(
            f"{where}: {field} becomes a part of a path", where, "My_group(1).x-y", "../up", "becomes a part of a path"
        ),
    ]


def crossing(**storage: typing.Any) -> dict[str, typing.Any]:
    """A spec that serves other namespaces."""
    whole = {"endpoint": ENDPOINT, "credential": ACCOUNT, **storage}
    return {"namespaceSelector": {"matchLabels": {"team": "retail"}}, "storage": whole}


def label_selector(where: str) -> list[Case]:
    return [
        Case(
            f"{where}: {where.rpartition('.')[2]} must not be empty",
            where,
            {"matchLabels": {"a": "b"}},
            {},
            "must not be empty",
        ),
        Case(
            f"{where}.matchLabels: maxProperties",
            f"{where}.matchLabels",
            {f"l{number}": "x" for number in range(32)},
            {f"l{number}": "x" for number in range(33)},
            "Too many",
        ),
        Case(
            f"{where}.matchLabels.*: maxLength",
            f"{where}.matchLabels",
            {"a": "v" * 63},
            {"a": "v" * 64},
            "Too long",
        ),
        Case(
            f"{where}.matchExpressions: maxItems",
            f"{where}.matchExpressions",
            expressions() * 32,
            expressions() * 33,
            "Too many",
        ),
        *(
            Case(
                f"{where}.matchExpressions[]: required {field}",
                f"{where}.matchExpressions",
                expressions(),
                expressions(**{field: ABSENT}),
                f"{field}: Required value",
            )
            for field in ("key", "operator")
        ),
        Case(
            f"{where}.matchExpressions[]: values must be given",
            f"{where}.matchExpressions",
            expressions(operator="Exists", values=ABSENT),
            expressions(values=[]),
            "values must be given for In and NotIn",
        ),
        Case(
            f"{where}.matchExpressions[].key: minLength",
            f"{where}.matchExpressions",
            expressions(key="a"),
            expressions(key=""),
            "at least 1",
        ),
        Case(
            f"{where}.matchExpressions[].key: maxLength",
            f"{where}.matchExpressions",
            expressions(key="k" * 317),
            expressions(key="k" * 318),
            "Too long",
        ),
        Case(
            f"{where}.matchExpressions[].operator: enum",
            f"{where}.matchExpressions",
            expressions(operator="NotIn"),
            expressions(operator="Is"),
            "Unsupported value",
        ),
        Case(
            f"{where}.matchExpressions[].values: maxItems",
            f"{where}.matchExpressions",
            expressions(values=["v"] * 64),
            expressions(values=["v"] * 65),
            "Too many",
        ),
        Case(
            f"{where}.matchExpressions[].values[]: maxLength",
            f"{where}.matchExpressions",
            expressions(values=["v" * 63]),
            expressions(values=["v" * 64]),
            "Too long",
        ),
    ]


CASES = [
    Case(": required spec", "spec", KEPT, ABSENT, "spec: Required value"),
    Case(": metadata.name must be at most", "metadata.name", "n" * 52, "n" * 53, "at most 52 characters"),
    Case(": metadata.name must not be", "metadata.name", "default", "operator-default", "must not be operator-default"),
    Case(
        ": storage.credential must not name",
        CREDENTIAL,
        given_sas(name="modeldata-other"),
        {"secretRef": {"name": "modeldata-example"}},
        "must not name the Secret modeldata-<name>",
    ),
    Case("spec: required storage", "spec.storage", KEPT, ABSENT, "spec.storage: Required value"),
    *label_selector("spec.selector"),
    *label_selector("spec.namespaceSelector"),
    Case(
        "spec: with namespaceSelector either storage.container",
        "spec",
        crossing(container="modeldata-{namespace}"),
        crossing(container="modeldata"),
        "namespaces must not read each other's data",
    ),
    Case(
        "spec: with namespaceSelector the credential",
        "spec",
        crossing(file="PerPod", credential={"operatorIdentity": {}}),
        crossing(file="PerPod", credential=given_sas()),
        "only then has each namespace a SAS of its own",
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
    Case(f"{STORAGE}: required credential", CREDENTIAL, KEPT, ABSENT, "credential: Required value"),
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
        "file:///var/lib/kubelet",  # a client alone knows it: no tenant names a path of a node
        "endpoint must be an http or https URL",
    ),
    Case(
        f"{STORAGE}.endpoint: endpoint must be plain ASCII",
        f"{STORAGE}.endpoint",
        "https://account.blob.core.windows.net/a-b_c~%7B",
        "https://account.blob.core.windows.net/\u00e4",
        "endpoint must be plain ASCII",
    ),
    Case(
        f"{STORAGE}.endpoint: endpoint must have no query",
        f"{STORAGE}.endpoint",
        f"{ENDPOINT}/",
        f"{ENDPOINT}?sv=2024&sig=x",
        "a SAS does not belong here",
    ),
    Case(
        f"{STORAGE}: endpoint must be https: plain http",
        f"{STORAGE}.endpoint",
        "http://127.0.0.1:10000/devstoreaccount1",
        "http://account.blob.core.windows.net",
        "plain http is only for",
    ),
    Case(f"{STORAGE}.container: minLength", f"{STORAGE}.container", "abc", "ab", "at least 3"),
    Case(f"{STORAGE}.container: maxLength", f"{STORAGE}.container", "c" * 63, "c" * 64, "Too long"),
    Case(f"{STORAGE}.container: container must be", f"{STORAGE}.container", "my-data-1", "my--data", "single hyphens"),
    Case(
        f"{STORAGE}.container: container may hold {{namespace}} once",
        f"{STORAGE}.container",
        "modeldata-{namespace}",
        "c" * 41 + "{namespace}",
        "at most 40 characters",
    ),
    Case(f"{CREDENTIAL}: credential must be exactly one", CREDENTIAL, given_sas(), {}, "exactly one of secretRef"),
    Case(f"{TOKEN}: required name", CREDENTIAL, given_sas(key=ABSENT), given_sas(name=ABSENT), "name: Required value"),
    Case(f"{TOKEN}.name: minLength", CREDENTIAL, given_sas(name="a"), given_sas(name=""), "at least 1"),
    Case(f"{TOKEN}.name: maxLength", CREDENTIAL, given_sas(name="s" * 253), given_sas(name="s" * 254), "Too long"),
    Case(
        f"{TOKEN}.name: sasTokenSecretRef.name must be",
        CREDENTIAL,
        given_sas(name="my.sas-1"),
        given_sas(name="My_Sas"),
        "a Secret's name",
    ),
    Case(f"{TOKEN}.key: minLength", CREDENTIAL, given_sas(key="k"), given_sas(key=""), "at least 1"),
    Case(f"{TOKEN}.key: maxLength", CREDENTIAL, given_sas(key="k" * 253), given_sas(key="k" * 254), "Too long"),
    Case(
        f"{TOKEN}.key: sasTokenSecretRef.key must be",
        CREDENTIAL,
        given_sas(key="My_token-1.txt"),
        given_sas(key="a/b"),
        "a Secret's key",
    ),
    Case(f"{STORAGE}.file: enum", f"{STORAGE}.file", "PerPod", "PerNode", 'supported values: "Shared", "PerPod"'),
    Case(
        f"{STORAGE}: endpoint must be https with workloadIdentity",
        STORAGE,
        {"endpoint": ENDPOINT, "credential": {"workloadIdentity": WHO}},
        {"endpoint": "http://localhost:10000/account", "credential": {"workloadIdentity": WHO}},
        "a token is not sent in plain text",
    ),
    *(
        case
        for field in WHO
        for case in (
            Case(
                f"{IDENTITY}: required {field}",
                CREDENTIAL,
                {"workloadIdentity": WHO},
                {"workloadIdentity": {name: value for name, value in WHO.items() if name != field}},
                f"{field}: Required value",
            ),
            Case(
                f"{IDENTITY}.{field}: maxLength",
                CREDENTIAL,
                {"workloadIdentity": WHO},
                {"workloadIdentity": {**WHO, field: GUID + "0"}},
                "Too long",
            ),
            Case(
                f"{IDENTITY}.{field}: {field} must be a GUID",
                CREDENTIAL,
                {"workloadIdentity": {**WHO, field: GUID.upper()}},
                {"workloadIdentity": {**WHO, field: "my-identity"}},
                f"{field} must be a GUID",
            ),
        )
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
        f"{STORAGE}.path: path holds {{namespace}} too often",
        f"{STORAGE}.path",
        "{namespace}/" * 7 + DEFAULT_PATH,
        "{namespace}/" * 8 + DEFAULT_PATH,
        "it must have 512 at most",
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
    Case("spec.sampling.percent: minimum", "spec.sampling.percent", 1, 0, "greater than or equal to 1"),
    Case("spec.sampling.percent: maximum", "spec.sampling.percent", 100, 101, "less than or equal to 100"),
    Case(
        "spec.redact: maxItems",
        "spec.redact",
        redactions(*(f"feature-{number}" for number in range(40))),
        redactions(*(f"f{number}" for number in range(65))),
        "Too many",
    ),
    Case("spec.redact: unique", "spec.redact", redactions("ssn", "email"), redactions("ssn", "ssn"), "Duplicate value"),
    Case(
        "spec.redact: redact is too long",
        "spec.redact",
        redactions(*(f"{number:096}" for number in range(14))),
        redactions(*(f"{number:096}" for number in range(15))),
        "must add up to 1792 at most",
    ),
    *(
        Case(
            f"spec.redact[]: required {field}",
            "spec.redact",
            redactions("ssn"),
            redactions("ssn", **{field: ABSENT}),
            f"{field}: Required value",
        )
        for field in ("feature", "action")
    ),
    Case("spec.redact[].feature: minLength", "spec.redact", redactions("a"), redactions(""), "at least 1"),
    Case("spec.redact[].feature: maxLength", "spec.redact", redactions("f" * 128), redactions("f" * 129), "Too long"),
    Case(
        "spec.redact[].action: enum",
        "spec.redact",
        redactions("ssn", action="Hash"),
        redactions("ssn", action="Encrypt"),
        'supported values: "Drop", "Hash"',
    ),
    Case(
        "spec.redact[].onMissing: enum",
        "spec.redact",
        redactions("ssn", onMissing="Hold"),
        redactions("ssn", onMissing="Wait"),
        'supported values: "Send", "Hold"',
    ),
    Case("spec.columns: enum", "spec.columns", "AzureML", "Trailing", 'supported values: "Leading", "AzureML"'),
    Case("spec.flushInterval: maxLength", "spec.flushInterval", "5m", "000000001s", "Too long"),
    Case("spec.flushInterval: flushInterval must be", "spec.flushInterval", "1s", "0s", "from 1s to 5m"),
    Case("spec.spool.size: maxLength", "spec.spool.size", "1000000000", "1" * 17, "Too long"),
    Case("spec.spool.size: spool.size must be", "spec.spool.size", "1Mi", "1023Ki", "from 1Mi to 100Gi"),
    Case("spec.rollout: enum", "spec.rollout", "Manual", "Never", 'supported values: "Automatic", "Manual"'),
    Case(
        "spec.closing: closing.delta needs Parquet",
        "spec.closing",
        {"formats": ["Parquet"], "delta": True},
        {"formats": ["CSV"], "delta": True},
        "closing.delta needs Parquet",
    ),
    Case("spec.closing.after: maxLength", "spec.closing.after", "4320m", "000000006h", "Too long"),
    Case("spec.closing.after: closing.after must be", "spec.closing.after", "90m", "59m", "from 1h to 72h"),
    Case("spec.closing.formats: minItems", "spec.closing.formats", ["CSV"], [], "at least 1"),
    Case("spec.closing.formats: maxItems", "spec.closing.formats", ["Parquet"], ["CSV"] * 3, "Too many"),
    Case("spec.closing.formats: unique", "spec.closing.formats", ["Parquet", "CSV"], ["CSV", "CSV"], "Duplicate value"),
    Case(
        "spec.closing.formats[]: enum", "spec.closing.formats", ["CSV"], ["ORC"], 'supported values: "CSV", "Parquet"'
    ),
    Case("spec.closing.deleteAfter: maxLength", "spec.closing.deleteAfter", "87600h", "00000720h", "Too long"),
    Case(
        "spec.closing.deleteAfter: closing.deleteAfter must be",
        "spec.closing.deleteAfter",
        "168h",
        "167h",
        "longer than any row may wait",
    ),
    Case(
        "spec.closing.engine.name: enum",
        "spec.closing.engine.name",
        "DuckDB",
        "pandas",
        'supported values: "DuckDB", "Spark"',
    ),
    Case(
        "spec.closing.engine.name: closing.engine.name must be DuckDB",
        "spec.closing.engine",
        {"name": "DuckDB"},
        {"name": "Spark"},
        "modeldata close --engine spark",
    ),
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
    Case(
        "",
        STORAGE,
        {"endpoint": "http://10.0.0.1/x", "allowHttp": True, "credential": ACCOUNT},
        {"endpoint": "http://10.0.0.1/x", "allowHttp": False, "credential": ACCOUNT},
        "unless allowHttp is true",
    ),
    Case(
        "",
        STORAGE,
        {"endpoint": ENDPOINT, "allowHttp": True, "credential": {"workloadIdentity": WHO}},
        {"endpoint": "http://10.0.0.1/x", "allowHttp": True, "credential": {"workloadIdentity": WHO}},
        "a token is not sent in plain text",
    ),
    Case("", f"{STORAGE}.path", DEFAULT_PATH, f"/{DEFAULT_PATH}", "must not start with /"),
    Case("", f"{STORAGE}.path", DEFAULT_PATH, f"a//{DEFAULT_PATH}", "empty, . or .. parts"),
    Case("", f"{STORAGE}.container", "000", "-abc", "single hyphens"),
    Case("", f"{STORAGE}.container", "a-{namespace}-b", "a{namespaces}", "single hyphens"),
    Case("", CREDENTIAL, ACCOUNT, {**ACCOUNT, **given_sas()}, "exactly one of secretRef"),
    Case("", CREDENTIAL, {"workloadIdentity": WHO}, {**ACCOUNT, "workloadIdentity": WHO}, "exactly one of secretRef"),
    Case("", CREDENTIAL, {"operatorIdentity": {}}, {**given_sas(), "operatorIdentity": {}}, "exactly one of secretRef"),
    Case(
        "",
        STORAGE,
        {"endpoint": ENDPOINT, "credential": {"operatorIdentity": {}}},
        {"endpoint": "http://localhost:10000/account", "credential": {"operatorIdentity": {}}},
        "a token is not sent in plain text",
    ),
    Case("", CREDENTIAL, ACCOUNT, given_sas(name="modeldata-example"), "must not name the Secret"),
    Case("", f"{STORAGE}.endpoint", f"{ENDPOINT}/a", f'{ENDPOINT}/"', "endpoint must be plain ASCII"),
    Case("", f"{STORAGE}.endpoint", f"{ENDPOINT}/b", f"{ENDPOINT}/\\", "endpoint must be plain ASCII"),
    Case("", "spec", crossing(file="PerPod"), crossing(file="Shared"), "namespaces must not read each other's data"),
    Case(
        "",
        "spec",
        crossing(file="PerPod"),
        crossing(file="PerPod", credential={"workloadIdentity": WHO}),
        "only then has each namespace a SAS of its own",
    ),
    # Counted as the settings carry them: bytes, and six of them for what JSON has to escape.
    Case(
        "",
        "spec.redact",
        redactions("\u6f22" * 128, "b"),
        redactions(*(str(n) + "\u6f22" * 120 for n in range(5))),
        "1792",
    ),
    Case(
        "",
        "spec.redact",
        redactions(*(f"{number:096}" for number in range(12)), onMissing="Hold"),
        redactions(*(f"{number:096}" for number in range(13)), onMissing="Hold"),
        "1792",
    ),
    Case("", "spec.redact", redactions('"' * 128), redactions(*(str(n) + '"' * 120 for n in range(3))), "1792"),
    Case("", "spec.redact", redactions("a\n" * 64), redactions(*(str(n) + "\n" * 120 for n in range(3))), "1792"),
    Case("", "spec.sampling.percent", 50, 12.5, "must be of type integer"),
    Case("", "spec.flushInterval", "300s", "301s", "from 1s to 5m"),
    Case("", "spec.flushInterval", "5m", "6m", "from 1s to 5m"),
    Case("", "spec.flushInterval", "90s", "1m30s", "whole seconds or minutes"),
    Case("", "spec.flushInterval", "10s", "500ms", "whole seconds or minutes"),
    Case("", "spec.flushInterval", "2m", "-5s", "whole seconds or minutes"),
    Case("", "spec.spool.size", "100Gi", "101Gi", "from 1Mi to 100Gi"),
    Case("", "spec.spool.size", "1e9", "much", "must be a quantity such as 256Mi"),
    Case("", "spec.spool.size", "1.5Gi", "-1Gi", "from 1Mi to 100Gi"),
    Case("", "spec.closing.after", "72h", "73h", "from 1h to 72h"),
    Case("", "spec.closing.after", "1h", "1h30m", "whole minutes or hours"),
    Case("", "spec.closing.deleteAfter", "720h", "30d", "whole hours"),
    Case("", "spec.closing.deleteAfter", "1000h", "87601h", "from 168h"),
    Case("", "spec.closing", {}, {"after": "0h"}, "from 1h to 72h"),
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
        "spec": {"storage": {"endpoint": ENDPOINT, "credential": copy.deepcopy(ACCOUNT)}},
    }
    if path.startswith("spec.namespaceSelector"):
        manifest["spec"]["storage"]["file"] = "PerPod"
    *parents, last = path.split(".")
    place = manifest
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is ABSENT:
        place.pop(last, None)
    elif value is not KEPT:
        place[last] = copy.deepcopy(value)
    return manifest


def rules(crd: pathlib.Path) -> set[str]:
    """Name every rule of a CRD's spec as the table does."""
    schema = yaml.safe_load(crd.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"].pop("status", None)
    found = set()

    def walk(node: dict[str, typing.Any], where: str) -> None:
        for keyword in ("minLength", "maxLength", "maxItems", "minItems", "maxProperties", "enum", "pattern", "format"):
            if keyword in node:
                found.add(f"{where}: {keyword}")
        for keyword in ("minimum", "maximum"):
            if keyword in node:
                found.add(f"{where}: {keyword}")
        if node.get("x-kubernetes-list-type") in ("set", "map"):
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
    assert_each_has_a_case(rules(CRD), CASES)


def assert_each_has_a_case(found: set[str], cases: typing.Sequence[Case]) -> None:
    """Each rule that a CRD has is tried once, and no other."""
    named = [case.rule for case in cases]
    covered = {rule for rule in found if any(rule.startswith(name) for name in named)}
    assert found - covered == set()
    assert [name for name in named if not any(rule.startswith(name) for rule in found)] == []
    assert len(named) == len(set(named)) == len(found)


def create(api: ApiServer, namespace: str, manifest: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Have the API server judge an object, without storing it."""
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections"
    created: dict[str, typing.Any] = api.create(f"{path}?dryRun=All&fieldValidation=Strict", manifest)
    return created


@pytest.mark.parametrize("case", [*CASES, *MORE], ids=lambda case: case.rule or f"{case.path}={case.bad}")
def test_the_api_server_accepts_the_good_and_refuses_the_bad(api: ApiServer, namespace: str, case: Case) -> None:
    create(api, namespace, collection(case.path, case.good, namespace))
    with pytest.raises(Refused) as refused:
        create(api, namespace, collection(case.path, case.bad, namespace))
    assert case.message in refused.value.message
    assert refused.value.status == 422


@pytest.mark.parametrize("kind", ["secretRef", "sasTokenSecretRef"])
def test_a_secret_of_another_namespace_can_not_be_named(api: ApiServer, namespace: str, kind: str) -> None:
    manifest = collection(CREDENTIAL, {kind: {"name": "account", "namespace": "kube-system"}}, namespace)
    with pytest.raises(Refused, match="unknown field"):
        create(api, namespace, manifest)
    # Whoever does not ask for strictness gets it without that word.
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections?dryRun=All&fieldValidation=Ignore"
    assert "namespace" not in api.create(path, manifest)["spec"]["storage"]["credential"][kind]


def test_all_defaults_stand_in_the_schema(api: ApiServer, namespace: str) -> None:
    manifest = collection(CREDENTIAL, {"sasTokenSecretRef": {"name": "writer"}}, namespace)
    assert create(api, namespace, manifest)["spec"] == {
        "enabled": True,
        "storage": {
            "endpoint": ENDPOINT,
            "allowHttp": False,
            "container": "modeldata",
            "credential": {"sasTokenSecretRef": {"name": "writer", "key": "sas"}},
            "path": "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/" + DEFAULT_PATH,
            "file": "Shared",
        },
        # The rest depends on the cluster and the pod.
        "workspace": {"subscription": "default"},
        "sampling": {"percent": 100},
        "columns": "Leading",
        "flushInterval": "5s",
        "spool": {"size": "256Mi"},
        "rollout": "Automatic",
    }


def test_whoever_closes_days_gets_the_documented_defaults(api: ApiServer, namespace: str) -> None:
    manifest = collection("spec.closing", {}, namespace)
    stored = {**manifest, "spec": create(api, namespace, manifest)["spec"]}
    assert stored["spec"]["closing"] == {
        "after": "6h",
        "formats": ["CSV", "Parquet"],
        "delta": False,
        "suspend": False,
        "engine": {"name": "DuckDB"},
    }
    bare, whole = resources.collection(manifest), resources.collection(stored)
    assert isinstance(bare, resources.DataCollection)
    assert bare == whole


def test_the_operators_own_defaults_are_those_of_the_schema(api: ApiServer, namespace: str) -> None:
    manifest = collection("spec.enabled", ABSENT, namespace)
    bare = resources.collection(manifest)
    stored = resources.collection({**manifest, "spec": create(api, namespace, manifest)["spec"]})
    assert isinstance(bare, resources.DataCollection)
    assert bare == stored


def test_the_full_sample_shows_every_field() -> None:
    schema = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    def absent(node: dict[str, typing.Any], value: typing.Any, where: str) -> typing.Iterator[str]:
        for name, child in node.get("properties", {}).items():
            if name not in value:
                yield f"{where}.{name}"
            elif child["type"] == "object":
                yield from absent(child, value[name], f"{where}.{name}")
            elif child["type"] == "array":
                yield from absent(child["items"], value[name][0], f"{where}.{name}[]")

    sample = yaml.safe_load((SAMPLES / "full.yaml").read_text(encoding="utf-8"))
    # One credential excludes the other.
    others = [TOKEN, IDENTITY, f"{CREDENTIAL}.operatorIdentity"]
    assert list(absent(schema["properties"]["spec"], sample["spec"], "spec")) == others


@pytest.mark.parametrize("version", ["v" * 5000, "\x01" * 5000])
def test_the_largest_collection_and_the_largest_pod_make_settings_that_every_runtime_takes(
    api: ApiServer, namespace: str, version: str
) -> None:
    # As tests/deciding/test_settings_document.py, here with what the API server takes and not a byte more.
    path = "{namespace}/" * 6 + DEFAULT_PATH
    storage = {
        "endpoint": "https://" + ".".join(["e" * 60] * 8)[: 512 - 8 - 22] + ".blob.core.windows.net",
        "container": "c" * 63,
        "credential": {"workloadIdentity": WHO},
        "path": "p" * (512 - len(path) - 6 * 52) + path,
        "file": "PerPod",
    }
    manifest = collection("metadata.name", "n" * 52, namespace)
    manifest["spec"] = {
        "storage": storage,
        "workspace": {"subscription": "s" * 64, "resourceGroup": "g" * 90, "name": "n" * 64},
        "redact": redactions(*(f"{number:096}" for number in range(14))),
        "columns": "AzureML",
        "flushInterval": "300s",
        "spool": {"size": "100Gi"},
    }
    stored = create(api, namespace, manifest)
    longer = copy.deepcopy(manifest)
    longer["spec"]["storage"]["path"] = "p" + storage["path"]
    with pytest.raises(Refused, match="512"):
        create(api, namespace, longer)
    parsed = resources.collection(stored)
    assert isinstance(parsed, resources.DataCollection)
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w" * 253, "uid": "u", "controller": True}
    metadata = {"namespace": "n" * 63, "name": "x", "ownerReferences": [owner]}
    metadata["annotations"] = {"modeldata.dev/model-version": version}
    pod = workloads.pod({"metadata": metadata, "spec": {"containers": [{"name": "scoring"}]}})
    text = document.settings(parsed, pod, None, rotation=observed.MOST_ROTATIONS)
    assert len("modeldata.dev/settings") + len(text.encode()) + 2 < 4096
    # The bound is not far off: what is tried is the largest.
    assert len(text.encode()) > 3900


def test_explain_reads_like_documentation(api: ApiServer) -> None:
    api.kubectl("api-resources", "--cached=false")  # explain goes by what kubectl heard before the CRD was there
    assert "Collects what goes into models" in api.kubectl("explain", "mdc")
    explained = api.kubectl("explain", "mdc.spec.storage")
    assert "Each pod has its own".casefold() in explained.casefold()
    fields = api.kubectl("explain", "mdc.spec", "--recursive")
    assert all(name in fields for name in ("sampling", "redact", "columns", "flushInterval", "spool", "rollout"))

    def undescribed(node: dict[str, typing.Any], where: str) -> typing.Iterator[str]:
        for name, child in node.get("properties", {}).items():
            if not child.get("description"):
                yield f"{where}.{name}"
            yield from undescribed(child, f"{where}.{name}")
            yield from undescribed(child.get("items", {}), f"{where}.{name}[]")

    schema = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    missing = [name for part in ("spec", "status") for name in undescribed(schema["properties"][part], part)]
    assert missing == []


def test_the_table_of_get_shows_what_matters(api: ApiServer) -> None:
    crd = json.loads(api.kubectl("get", "crd", "datacollections.modeldata.dev", "-o", "json"))
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column.get("priority")]
    assert shown == ["Enabled", "Matched", "Injected", "Ready", "Reason", "Age"]
    # With -o wide.
    assert [column["name"] for column in columns if column.get("priority")] == ["Closed through", "Days closed"]
