"""Each file of ``manifests/samples`` is accepted as it stands, and its pods where Pod Security is strictest."""

from __future__ import annotations

import copy
import pathlib
import typing

import pytest
import yaml

from modeldata_operator.api import resources

from .server import REPOSITORY, ApiServer, Refused

SAMPLES = sorted((REPOSITORY / "manifests/samples").glob("*.yaml"))
Manifest = dict[str, typing.Any]


def manifests(*kinds: str) -> list[typing.Any]:
    """Return all manifests of these kinds, as a test's parameters."""
    return [
        pytest.param(manifest, id=f"{sample.name}:{manifest['kind']}")
        for sample in SAMPLES
        for manifest in yaml.safe_load_all(sample.read_text(encoding="utf-8"))
        if manifest["kind"] in kinds
    ]


@pytest.fixture
def restricted(api: ApiServer, namespace: str) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    return namespace


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_kubectl_applies_every_sample(api: ApiServer, namespace: str, sample: pathlib.Path) -> None:
    options = ("--namespace", namespace, "--dry-run=server", "--validate=strict")
    said = api.kubectl("apply", *options, "-f", str(sample)).splitlines()
    assert len(said) == len(list(yaml.safe_load_all(sample.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("manifest", manifests("DataCollection"))
def test_the_operator_understands_every_collection(api: ApiServer, namespace: str, manifest: Manifest) -> None:
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections?dryRun=All"
    assert isinstance(resources.collection(api.create(path, manifest)), resources.DataCollection)


@pytest.mark.parametrize("manifest", manifests("Deployment"))
def test_pod_security_restricted_accepts_every_pod(api: ApiServer, restricted: str, manifest: Manifest) -> None:
    path = f"/api/v1/namespaces/{restricted}/pods?dryRun=All"
    template = manifest["spec"]["template"]
    # The name that the ServiceAccount plugin sets, which this server runs without.
    spec = {"serviceAccountName": "default", **template["spec"]}
    pod = {"metadata": {"name": "scoring", "labels": template["metadata"]["labels"]}, "spec": spec}
    api.create(path, pod)
    lax = copy.deepcopy(pod)
    del lax["spec"]["containers"][0]["securityContext"]
    with pytest.raises(Refused) as refused:
        api.create(path, lax)
    assert "PodSecurity" in refused.value.message


@pytest.mark.parametrize("manifest", manifests("Service"))
def test_every_service_finds_the_pods_of_its_deployment(manifest: Manifest) -> None:
    (found,) = [
        each.values[0]["spec"]["template"]
        for each in manifests("Deployment")
        if each.values[0]["metadata"]["name"] == manifest["metadata"]["name"]
    ]
    assert manifest["spec"]["selector"].items() <= found["metadata"]["labels"].items()
    (port,) = found["spec"]["containers"][0]["ports"]
    assert manifest["spec"]["ports"][0]["targetPort"] == port["name"]
