"""What the alerts look at is what the processes show."""

from __future__ import annotations

import re

import pytest
import yaml

import modeldata
import modeldata.observe.metrics
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import CredentialStatus, Status
from modeldata_operator.observe import metrics

from .conftest import CHART, REPOSITORY, Manifest

RULES: list[Manifest] = [
    rule for group in yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
# Of Prometheus itself, and of the API server: tests/apiserver/test_metrics.py reads that from one.
OTHERS = {"up": {"job", "namespace"}, "apiserver_admission_webhook_fail_open_count": {"name"}}
# What the ServiceMonitor's targets carry, besides what the metrics have.
OF_TARGETS = {"namespace"}
SELECTOR = re.compile(r"\b([a-z][a-z0-9_]*(?:_[a-z0-9]+)+|up)\b(?:\{([^}]*)\})?(?!\()")


def shown() -> dict[str, set[str]]:
    """The samples that both processes and a model's client show, with their labels."""
    found: dict[str, set[str]] = dict(OTHERS)
    registry = metrics.REGISTRY
    for counter in (metrics.RECONCILES, metrics.ADMISSIONS, metrics.API_ERRORS, metrics.QUEUE_DEPTH):
        counter.labels("seen")
    metrics.show_build("controller")
    metrics.CERTIFICATE_EXPIRY.labels("seen")
    key = ObjectKey("models", "churn")
    metrics.COLLECTIONS.show(key, Status(credential=CredentialStatus(expires_at="2026-11-21T10:00:00Z")))
    try:
        for family in registry.collect():
            labels = set().union(*(sample.labels for sample in family.samples)) if family.samples else set()
            # A gauge of conditions has no sample before there is one.
            labels |= set(getattr(family, "_labelnames", ()))
            found.update(dict.fromkeys((family.name, *(sample.name for sample in family.samples)), labels))
    finally:
        metrics.COLLECTIONS.forget(key)
    for each in modeldata.observe.metrics.numbers(modeldata.Statistics(), enabled=False, generation=0):
        found[each.name] = {each.label} if each.label else set()
    return found


def looked_at(expression: str) -> list[tuple[str, set[str]]]:
    """The metrics in an expression, with the labels that it selects by."""
    functions = {"min_over_time"}
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]", labels or "")))
        for name, labels in SELECTOR.findall(re.sub(r"\b(by|on) \([^)]*\)", "", expression))
        if name not in functions
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_looks_at_metrics_that_there_are(rule: Manifest) -> None:
    there = shown()
    found = looked_at(rule["expr"])
    assert found
    for name, labels in found:
        assert name in there, name
        assert labels <= there[name] | OF_TARGETS, name


def test_a_metric_that_there_is_not_would_be_found() -> None:
    assert looked_at('rate(modeldata_operator_apierrors_total{code="5"}[5m]) > min_over_time(up[1m])') == [
        ("modeldata_operator_apierrors_total", {"code"}),
        ("up", set()),
    ]
    assert "modeldata_operator_apierrors_total" not in shown()


def test_each_alert_has_a_runbook() -> None:
    page = (REPOSITORY / "docs/runbooks.md").read_text()
    assert re.findall(r"^## (Modeldata\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]
