"""With each value that there is, the chart's manifests are accepted by a real API server, in strict namespaces."""

from __future__ import annotations

import typing

import pytest
import yaml

from ..apiserver import server
from .conftest import CHART, Helm, Manifest

SYSTEM = server.NAMESPACE
ISSUER = {"name": "company", "kind": "ClusterIssuer"}
SOMETHING = {"enabled": True, "labels": {"release": "prometheus"}}
VALUES: dict[str, typing.Any] = {
    "namespaces": ["models", "more-models"],
    "image.repository": "registry.example/operator",
    "image.tag": "1.2.3",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullPolicy": "Always",
    "image.pullSecrets": ["one", "two"],
    "crds.enabled": False,
    "crds.keep": False,
    "webhook.replicas": 3,
    "webhook.podDisruptionBudget": False,
    "webhook.namespaceSelector": [{"key": "modeldata.dev/collect", "operator": "In", "values": ["enabled"]}],
    "webhook.resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "controller.sasLifetimeSeconds": 3600,
    "controller.resyncSeconds": 10,
    "controller.serviceAccountAnnotations": {"azure.workload.identity/client-id": "1"},
    "controller.podLabels": {"azure.workload.identity/use": "true"},
    "controller.resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "certificates.from": "cert-manager",
    "certificates.issuerRef": ISSUER,
    "rbac.aggregate": False,
    "rbac.secretNamespaces": ["models"],
    "admissionPolicies.enabled": False,
    "networkPolicy.enabled": False,
    "networkPolicy.apiServerPorts": [443],
    "monitoring.serviceMonitor": SOMETHING,
    "monitoring.prometheusRule": SOMETHING,
    "monitoring.dashboard": SOMETHING,
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {}},
    "logLevel": "DEBUG",
    "test.namespace": "models",
}


def leaves(values: Manifest, before: str = "") -> typing.Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and before + name not in VALUES:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name


def test_no_value_is_left_out() -> None:
    assert set(leaves(yaml.safe_load((CHART / "values.yaml").read_text()))) == set(VALUES)


@pytest.mark.parametrize("path", [None, *VALUES])
def test_with_each_value_it_is_accepted(helm: Helm, strict: server.ApiServer, path: str | None) -> None:
    values = {path: VALUES[path]} if path else {}
    if path == "certificates.issuerRef":
        values["certificates.from"] = "cert-manager"
    objects = helm.objects(values)
    strict.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=helm.text(values))
    # The pods themselves are made by controllers, which the API server refuses as well.
    for (kind, name, namespace), body in objects.items():
        if kind in ("Deployment", "Job"):
            template = body["spec"]["template"]
            pod = {"metadata": {"name": name, **template["metadata"]}, "spec": template["spec"]}
            strict.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


def test_the_kustomize_base_is_accepted(strict: server.ApiServer) -> None:
    text = strict.kubectl("kustomize", str(CHART.parent))
    kinds = {item["kind"] for item in yaml.safe_load_all(text)}
    assert {"CustomResourceDefinition", "Namespace", "Deployment", "MutatingWebhookConfiguration"} <= kinds
    strict.kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", input=text)


def test_two_for_some_namespaces_stand_side_by_side(helm: Helm, strict: server.ApiServer) -> None:
    for namespace, models in (("ops-a", "models"), ("ops-b", "more-models")):
        strict.namespace(namespace)
        text = helm.text({"namespaces": [models], "crds.enabled": False, "test.namespace": models}, namespace=namespace)
        manager = ["--field-manager", f"helm-{namespace}"]
        # A conflict would be refused: one would own what the other applies.
        strict.kubectl("apply", "--server-side", *manager, "-f", "-", input=text)
