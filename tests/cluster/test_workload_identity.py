"""The sample for workload identity: rows arrive by the pods' own tokens, with no key and no SAS in the cluster."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing

import pytest
import yaml

from . import entra
from .churn import PORT, SAMPLES, Client, Manifest, Space

SAMPLE, _ = yaml.safe_load_all((SAMPLES / "workload-identity.yaml").read_text(encoding="utf-8"))
IDENTITY = SAMPLE["spec"]["storage"]["credential"]["workloadIdentity"]

pytestmark = pytest.mark.timeout(300)


@dataclasses.dataclass(frozen=True)
class SigningSpace(Space):
    """A namespace with an account that only takes tokens of the pods' identity."""

    authority: entra.Entra

    def deploy(self, service_account: str) -> Client:
        """Have the FastAPI sample run as a service account; it knows the authority and trusts its certificate."""
        trusted = {"name": "REQUESTS_CA_BUNDLE", "value": "/azure/authority.crt"}
        told = [{"name": "AZURE_AUTHORITY_HOST", "value": self.authority.url}, trusted]

        def change(manifest: Manifest) -> None:
            if manifest["kind"] == "Deployment":
                spec = manifest["spec"]["template"]["spec"]
                spec["serviceAccountName"] = service_account
                spec["containers"][0]["env"] = told
                spec["containers"][0]["volumeMounts"].append({"name": "azure", "mountPath": "/azure"})
                spec["volumes"].append({"name": "azure", "configMap": {"name": "azure"}})

        self.apply("fastapi", change)
        (pod,) = self.pods("churn-fastapi")
        return Client(pod["status"]["podIP"], PORT)

    def doctor(self) -> str:
        command = ("exec", "deploy/churn-fastapi", "-c", "scoring", "--", "python", "-m", "modeldata", "doctor")
        return str(self.cluster.kubectl("-n", self.name, *command, check=False))


@pytest.fixture
def space(
    cluster: typing.Any, operator: None, serving_image: None, namespace: str, tmp_path: pathlib.Path
) -> typing.Iterator[SigningSpace]:
    account = entra.Account(cluster, namespace)
    subject = f"system:serviceaccount:{namespace}:churn"
    authority = entra.Entra(cluster, tmp_path, subject=subject, client=IDENTITY["clientId"], names=account.names)
    try:
        azurite = account.start(authority)
        azurite.container(namespace).create_container()  # the identity's role is for a container
        made = SigningSpace(cluster, azurite, namespace, authority)
        made.kubectl("create", "configmap", "azure", f"--from-file=authority.crt={authority.certificate}")
        yield made
    finally:
        authority.stop()


def test_pods_that_sign_in_themselves_deliver_without_key_and_sas(space: SigningSpace) -> None:
    space.apply("workload-identity")
    client = space.deploy("churn")
    client.send(requests=20)
    space.assert_collected("churn-fastapi", client.said)
    assert {asked.tenant for asked in space.authority.asked} == {IDENTITY["tenantId"]}
    secrets = json.loads(space.kubectl("get", "secrets", "-o", "json"))["items"]
    stored = {(each["metadata"]["name"], key) for each in secrets for key in each["data"]}
    assert stored == {("azurite", "tls.crt"), ("azurite", "tls.key"), ("modeldata-churn-workload-identity", "hash-key")}
    # Sooner than the flush interval: only what the ending server sends can bring them.
    client.send(requests=8)
    space.kubectl("delete", "deployment/churn-fastapi", "--wait=false")
    space.assert_collected("churn-fastapi", client.said)


def test_what_a_pod_without_a_federated_credential_collects_waits_until_it_has_one(
    space: SigningSpace, eventually: typing.Any
) -> None:
    space.apply("workload-identity")
    client = space.deploy("default")
    client.send(requests=8)
    said = eventually(lambda: space.doctor() if "AADSTS700213" in space.doctor() else "")
    assert f"system:serviceaccount:{space.name}:default" in said
    assert list(space.azurite.container(space.name).list_blob_names()) == []
    space.authority.knows(f"system:serviceaccount:{space.name}:default")
    space.assert_collected("churn-fastapi", client.said)
