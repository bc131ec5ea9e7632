"""Builders of what the operator decides on: real manifests, parsed by the operator's own parsers."""

from __future__ import annotations

import copy
import typing

import pytest

from modeldata_operator.api import resources, restartables, workloads
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import selection, verification
from modeldata_operator.observe import metrics

T = typing.TypeVar("T")

Manifest = dict[str, typing.Any]


def merged(base: Manifest, changes: Manifest) -> Manifest:
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


COLLECTION: Manifest = {
    "apiVersion": "modeldata.dev/v1alpha1",
    "kind": "DataCollection",
    "metadata": {
        "name": "churn",
        "namespace": "models",
        "uid": "uid-churn",
        "generation": 3,
        "creationTimestamp": "2026-11-20T10:00:00Z",
    },
    "spec": {
        "enabled": True,
        "selector": {"matchLabels": {"app": "churn"}},
        "storage": {
            "endpoint": "https://account.blob.core.windows.net",
            "container": "modeldata",
            "credential": {"secretRef": {"name": "account"}},
        },
    },
}

POD: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "scoring-5c6f-abcde",
        "generateName": "scoring-5c6f-",
        "namespace": "models",
        "uid": "uid-pod",
        "labels": {"app": "churn", "pod-template-hash": "5c6f"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "scoring-5c6f", "uid": "u", "controller": True}
        ],
    },
    "spec": {
        "serviceAccountName": "scoring",
        "containers": [{"name": "scoring", "image": "model"}, {"name": "proxy", "image": "proxy"}],
    },
}

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "scoring", "namespace": "models", "uid": "uid-deployment", "generation": 1},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "churn"}},
        "template": {"metadata": {"labels": {"app": "churn"}}, "spec": {}},
    },
    "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2},
}


def at_once(steps: verification.Steps[T]) -> T:
    """Take all steps of a decision."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return typing.cast("T", end.value)


def compare(
    collection: resources.DataCollection, served: typing.Iterable[selection.Matched], *, rotation: int = 0
) -> verification.Comparison:
    """Compare pods with what they should carry, all at once and none from memory."""
    return at_once(
        verification.compare(collection, served, lambda item: verification.state(collection, item, rotation=rotation))
    )


class Builder:
    """Manifests with changes merged in, and the records parsed from them."""

    def collection_manifest(self, **changes: typing.Any) -> Manifest:
        return merged(COLLECTION, changes)

    def collection(self, **changes: typing.Any) -> resources.DataCollection:
        parsed = resources.collection(self.collection_manifest(**changes))
        assert isinstance(parsed, resources.DataCollection), parsed
        return parsed

    def pod_manifest(self, **changes: typing.Any) -> Manifest:
        return merged(POD, changes)

    def pod(self, **changes: typing.Any) -> workloads.Pod:
        return workloads.pod(self.pod_manifest(**changes))

    def deployment(self, **changes: typing.Any) -> restartables.Deployment:
        return restartables.deployment(merged(DEPLOYMENT, changes))


@pytest.fixture
def build() -> Builder:
    return Builder()


@pytest.fixture
def failures() -> typing.Callable[[str], float]:
    """How often the metrics say that a credential failed for a reason, since the test began."""
    name = "modeldata_operator_credential_failures_total"

    def counted(reason: str) -> float:
        return metrics.REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0

    before: dict[str, float] = {reason.value: counted(reason.value) for reason in Reason}
    return lambda reason: counted(reason) - before[reason]
