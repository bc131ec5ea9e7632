"""With each value that there is, the chart's manifests are accepted by a real API server, in strict namespaces."""

from __future__ import annotations

import json
import typing

import pytest
import yaml

from ..apiserver import server
from .conftest import CHART, Helm, Manifest

SYSTEM = server.NAMESPACE
ISSUER = {"name": "company", "kind": "ClusterIssuer"}
SOMETHING = {"enabled": True, "labels": {"release": "prometheus"}}
OF_A_PART: dict[str, typing.Any] = {
    "serviceAccount": {"create": True, "name": "chosen", "annotations": {"azure.workload.identity/client-id": "1"}},
    "podAnnotations": {"prometheus.io/scrape": "false"},
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "extraEnv": [{"name": "SSL_CERT_DIR", "value": "/etc/ssl/company"}],
    "extraArgs": ["--log-level=DEBUG"],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}
OF_A_JOB = ("podAnnotations", "nodeSelector", "tolerations", "affinity", "priorityClassName", "extraEnv")
# What a value needs beside it to have an effect, or to be accepted.
WITH: dict[str, Manifest] = {
    "certificates.issuerRef": {"certificates.from": "cert-manager"},
    "webhook.extraVolumeMounts": {"webhook.extraVolumes": [{"name": "tmp", "emptyDir": {}}]},
    "controller.extraVolumeMounts": {"controller.extraVolumes": [{"name": "tmp", "emptyDir": {}}]},
}
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
    "controller.podDisruptionBudget": False,
    "controller.replicas": 1,
    "clusterName": "aks-west",
    "fullnameOverride": "mdc",
    "commonLabels": {"team": "platform"},
    "webhook.port": 9443,
    "webhook.healthPort": 9080,
    "webhook.metricsPort": 9081,
    "webhook.timeoutSeconds": 3,
    "webhook.objectSelector": {"matchLabels": {"collect": "yes"}},
    "webhook.namespaceSelector": [{"key": "modeldata.dev/collect", "operator": "In", "values": ["enabled"]}],
    "webhook.resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "controller.sasLifetimeSeconds": 3600,
    "controller.resyncSeconds": 10,
    "controller.restartsAtOnce": 0,
    "controller.podLabels": {"azure.workload.identity/use": "true"},
    "webhook.podLabels": {"a": "b"},
    **{f"{part}.{name}": value for part in ("webhook", "controller") for name, value in OF_A_PART.items()},
    "controller.resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "storage.allowedHosts": ["azurite.storage.svc:10000"],
    "storage.identity": "ManagedIdentity",
    "storage.grants": [
        {"namespaces": ["models"], "endpoint": "https://account.blob.core.windows.net", "containers": ["x-{namespace}"]}
    ],
    "closing.enabled": False,
    "closing.image.repository": "registry.example/analytics",
    "closing.image.tag": "1.2.3",
    "closing.image.digest": "sha256:" + "0" * 64,
    "closing.image.pullPolicy": "Always",
    "closing.jobsAtOnce": 5,
    "closing.deadlineSeconds": 7200,
    "closing.memory": "8GB",
    "closing.threads": 4,
    "closing.scratch.size": "100Gi",
    "closing.scratch.storageClassName": "fast",
    "closing.podLabels": {"a": "b"},
    **{f"closing.{name}": value for name, value in OF_A_PART.items() if name in OF_A_JOB},
    "closing.resources": {"limits": {"memory": "12Gi"}},
    "certificates.from": "cert-manager",
    "certificates.issuerRef": ISSUER,
    "rbac.aggregate": False,
    "rbac.secretNamespaces": ["models"],
    "admissionPolicies.enabled": False,
    "networkPolicy.enabled": False,
    "networkPolicy.apiServerPorts": [443],
    "networkPolicy.dnsPorts": [53, 5353],
    "monitoring.serviceMonitor": {**SOMETHING, "relabelings": [{"action": "labeldrop", "regex": "pod"}]},
    "monitoring.prometheusRule": {**SOMETHING, "runbookUrl": "https://wiki.example/runbooks.md"},
    "monitoring.dashboard": SOMETHING,
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {}},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "podSecurityContext": {"runAsUser": 1000},
    "containerSecurityContext": {"runAsNonRoot": True},
    "logLevel": "DEBUG",
    "logFormat": "json",
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "namespace": SYSTEM}, "data": {"a": "b"}}
    ],
    "test.namespace": "models",
}


def leaves(values: Manifest, before: str = "") -> typing.Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and before + name not in VALUES:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name


def test_no_value_is_left_out() -> None:
    # That one has a test of its own: strict namespaces refuse it.
    assert set(leaves(yaml.safe_load((CHART / "values.yaml").read_text()))) - {"webhook.hostNetwork"} == set(VALUES)


@pytest.mark.parametrize("path", [None, *VALUES])
def test_with_each_value_it_is_accepted(helm: Helm, strict: server.ApiServer, path: str | None) -> None:
    values = {**WITH.get(path, {}), path: VALUES[path]} if path else {}
    objects = helm.objects(values)
    strict.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=helm.text(values))
    # The pods themselves are made by controllers, which the API server refuses as well.
    for (kind, name, namespace), body in objects.items():
        if kind in ("Deployment", "Job"):
            template = body["spec"]["template"]
            pod = {"metadata": {"name": name, **template["metadata"]}, "spec": template["spec"]}
            strict.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        if kind == "Deployment":
            (container,) = body["spec"]["template"]["spec"]["containers"]
            for each in container["env"]:
                if each["name"] == "MODELDATA_CLOSING":
                    template = json.loads(each["value"])["template"]
                    pod = {"metadata": {"name": "closing", **template["metadata"]}, "spec": template["spec"]}
                    strict.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


@pytest.mark.parametrize("path", VALUES)
def test_each_value_has_an_effect(helm: Helm, path: str) -> None:
    beside = WITH.get(path, {})
    assert helm.text({**beside, path: VALUES[path]}) != helm.text(beside)


def test_the_nodes_network_is_only_for_namespaces_that_allow_it(helm: Helm, strict: server.ApiServer) -> None:
    values = {"webhook.hostNetwork": True, "webhook.port": 9443}
    strict.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=helm.text(values))
    template = helm.objects(values)["Deployment", "modeldata-operator-webhook", SYSTEM]["spec"]["template"]
    pod = {"metadata": {"name": "webhook", **template["metadata"]}, "spec": template["spec"]}
    with pytest.raises(server.Refused, match="violates PodSecurity"):
        strict.create(f"/api/v1/namespaces/{SYSTEM}/pods?dryRun=All", pod)


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
