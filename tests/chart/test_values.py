"""Values that make no sense are refused with their name, and every one that there is, is in the schema and the docs."""

from __future__ import annotations

import importlib.util
import json
import typing

import pytest
import yaml

from .conftest import CHART, REPOSITORY, Helm, Manifest, Refused

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

ENDPOINT = "https://account.blob.core.windows.net"
REFUSED: list[tuple[Manifest, str]] = [
    ({"imagee": {}}, "imagee"),
    ({"image.tagg": "1"}, "tagg"),
    ({"image.pullPolicy": "Sometimes"}, "pullPolicy"),
    ({"image.digest": "sha256:1"}, "digest"),
    ({"webhook.replicas": 0}, "replicas"),
    ({"controller.replicas": 0}, "replicas"),
    ({"webhook.namespaceSelector": [{"key": "a"}]}, "operator"),
    ({"controller.sasLifetimeSeconds": 60}, "sasLifetimeSeconds"),
    ({"controller.resyncSeconds": "30s"}, "resyncSeconds"),
    ({"controller.restartsAtOnce": -1}, "restartsAtOnce"),
    ({"storage.allowedHosts": ["https://store.example"]}, "allowedHosts"),
    ({"storage.allowedHosts": ["*.example"]}, "allowedHosts"),
    ({"storage.identity": "Node"}, "identity"),
    ({"storage.grants": [{"endpoint": ENDPOINT, "containers": ["rows"]}]}, "namespaces"),
    ({"storage.grants": [{"namespaces": [], "endpoint": ENDPOINT, "containers": ["rows"]}]}, "namespaces"),
    ({"storage.grants": [{"namespaces": ["models"], "endpoint": f"{ENDPOINT}/", "containers": ["rows"]}]}, "endpoint"),
    ({"storage.grants": [{"namespaces": ["models"], "endpoint": f"{ENDPOINT}:443", "containers": ["a"]}]}, "endpoint"),
    ({"storage.grants": [{"namespaces": ["models"], "endpoint": ENDPOINT, "containers": []}]}, "containers"),
    ({"storage.grants": [{"namespaces": ["models"], "endpoint": ENDPOINT, "containers": ["$root"]}]}, "containers"),
    ({"closing.jobsAtOnce": 0}, "jobsAtOnce"),
    ({"closing.deadlineSeconds": 60}, "deadlineSeconds"),
    ({"closing.memory": "much"}, "memory"),
    ({"closing.scratch.size": "20"}, "size"),
    ({"closing.image.pullPolicy": "Sometimes"}, "pullPolicy"),
    (
        {"storage.grants": [{"namespaces": ["a"], "endpoint": ENDPOINT, "containers": ["rows"], "closing": 1}]},
        "closing",
    ),
    ({"certificates.from": "nobody"}, "from"),
    ({"namespaces": "models"}, "namespaces"),
    ({"clusterName": "-west"}, "clusterName"),
    ({"clusterName": "w" * 91}, "clusterName"),
    ({"namespaces": ["Models"]}, "namespaces"),
    ({"networkPolicy.apiServerPorts": []}, "apiServerPorts"),
    ({"monitoring.serviceMonitor.interval": "often"}, "interval"),
    ({"logLevel": "LOUD"}, "logLevel"),
    ({"crds.enabled": "yes"}, "enabled"),
    ({"controller.serviceAccountAnnotations": {}}, "serviceAccountAnnotations"),
    ({"fullnameOverride": "No_Name"}, "fullnameOverride"),
    ({"fullnameOverride": "a" * 41}, "fullnameOverride"),
    ({"commonLabels": {"a": 1}}, "commonLabels"),
    ({"webhook.port": 443}, "port"),
    ({"webhook.timeoutSeconds": 31}, "timeoutSeconds"),
    ({"webhook.objectSelector": {"labels": {}}}, "labels"),
    ({"webhook.serviceAccount": {"nam": "x"}}, "nam"),
    ({"controller.serviceAccount.name": "No_Name"}, "name"),
    ({"controller.extraArgs": ["-v"]}, "extraArgs"),
    ({"webhook.extraEnv": [{"value": "x"}]}, "name"),
    ({"webhook.extraVolumes": [{}]}, "extraVolumes"),
    ({"webhook.extraVolumeMounts": [{"name": "x"}]}, "mountPath"),
    ({"webhook.topologySpreadConstraints": [{"maxSkew": 1}]}, "topologyKey"),
    ({"extraObjects": [{"kind": "ConfigMap"}]}, "apiVersion"),
    ({"networkPolicy.dnsPorts": [0]}, "dnsPorts"),
    ({"monitoring.prometheusRule.runbookUrl": "wiki"}, "runbookUrl"),
    ({"monitoring.serviceMonitor.relabeling": []}, "relabeling"),
    ({"logFormat": "yaml"}, "logFormat"),
    ({"test.namespace": "No_Name"}, "namespace"),
]


@pytest.mark.parametrize(("values", "name"), REFUSED, ids=lambda given: given if isinstance(given, str) else "")
def test_what_makes_no_sense_is_refused_by_its_name(helm: Helm, values: Manifest, name: str) -> None:
    with pytest.raises(Refused, match=name):
        helm.text(values)


def paths(values: Manifest, schema: Manifest, before: str = "") -> typing.Iterator[tuple[str, bool]]:
    """Yield each value's path, and whether the schema knows it."""
    for name, value in values.items():
        known = schema.get("properties", {}).get(name)
        yield before + name, known is not None
        if isinstance(value, dict) and known is not None and "properties" in known:
            yield from paths(value, known, f"{before}{name}.")


def test_every_value_is_in_the_schema() -> None:
    assert [path for path, known in paths(VALUES, SCHEMA) if not known] == []


def test_what_is_made_of_the_chart_is_current(helm: Helm) -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "manifests/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for path, text in generate.made(helm.program).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(REPOSITORY)}: make manifests"
