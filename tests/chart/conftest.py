"""The chart as Helm renders it: objects by kind, name and namespace."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
import typing

import pytest
import yaml

from ..apiserver import server

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "manifests/chart"
Manifest = dict[str, typing.Any]
Key = tuple[str, str, str]


class Refused(Exception):  # noqa: N818 (an answer)
    """Helm said no."""


@dataclasses.dataclass(frozen=True)
class Helm:
    """Helm, and what it makes of the chart."""

    program: str

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout

    def text(self, values: Manifest | None = None, *, namespace: str = "modeldata-system") -> str:
        """Render with these values."""
        options = ["--namespace", namespace, "--kube-version", "1.35"]
        for name, value in (values or {}).items():
            options += ["--set-json", f"{name}={json.dumps(value)}"]
        return self.run("template", "modeldata", str(CHART), *options)

    def objects(self, values: Manifest | None = None, *, namespace: str = "modeldata-system") -> dict[Key, Manifest]:
        """Render, and parse."""
        documents = [item for item in yaml.safe_load_all(self.text(values, namespace=namespace)) if item]
        keys = [(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace", "")) for each in documents]
        assert len(set(keys)) == len(keys), "an object is there twice"
        return dict(zip(keys, documents, strict=True))


@pytest.fixture(scope="session")
def helm() -> Helm:
    localcluster = [sys.executable, str(REPOSITORY / "localcluster")]
    subprocess.run([*localcluster, "programs"], check=True, stdout=subprocess.DEVNULL)
    found = subprocess.run([*localcluster, "bin"], check=True, capture_output=True, text=True)
    return Helm(str(pathlib.Path(found.stdout.strip()) / "helm"))


# Of others: what they accept is theirs, that they are asked for is ours.
FOREIGN = {
    "cert-manager.io": [("v1", "Issuer", "issuers"), ("v1", "Certificate", "certificates")],
    "monitoring.coreos.com": [("v1", "ServiceMonitor", "servicemonitors"), ("v1", "PrometheusRule", "prometheusrules")],
}


def foreign(group: str, version: str, kind: str, plural: str) -> Manifest:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture(scope="session")
def strict() -> typing.Iterator[server.ApiServer]:
    """A cluster with strict namespaces, cert-manager's resources and those of the Prometheus operator."""
    api = server.ApiServer()
    try:
        api.start()
        server.install(api)
        for name in (server.NAMESPACE, "models", "more-models"):
            api.namespace(name)
            api.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
        for group, kinds in FOREIGN.items():
            for version, kind, plural in kinds:
                api.kubectl("apply", "-f", "-", input=json.dumps(foreign(group, version, kind, plural)))
                api.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}", "--timeout=60s")
        yield api
    finally:
        api.close()
