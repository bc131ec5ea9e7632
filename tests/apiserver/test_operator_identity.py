"""SAS tokens signed by the operator's own Azure identity, with keys that a real Azurite gives it."""

from __future__ import annotations

import base64
import pathlib
import typing
import urllib.parse
import uuid

import pytest
from azure.core.exceptions import HttpResponseError

from ..conftest import Eventually
from .azure import CLIENT, TENANT, Azure, running
from .conftest import Running, Start
from .server import ApiServer

pytestmark = pytest.mark.azurite

GRANTS = "/apis/modeldata.dev/v1alpha1/storagegrants"
COLLECTIONS = "/apis/modeldata.dev/v1alpha1/namespaces/{}/datacollections"


@pytest.fixture
def azure(azurite_program: pathlib.Path, tmp_path: pathlib.Path) -> typing.Iterator[Azure]:
    with running(azurite_program, tmp_path) as made:
        yield made


@pytest.fixture
def controller(api: ApiServer, azure: Azure, start_operator: Start) -> Running:
    return start_operator("controller", api.kubeconfig, environment=azure.environment)


def collect(api: ApiServer, namespace: str, azure: Azure, container: str) -> None:
    spec = {
        "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "endpoint": azure.endpoint,
        "containers": [container],
    }
    api.create(
        GRANTS,
        {"apiVersion": "modeldata.dev/v1alpha1", "kind": "StorageGrant", "metadata": {"name": namespace}, "spec": spec},
    )
    storage = {"endpoint": azure.proxy.endpoint, "container": container, "credential": {"operatorIdentity": {}}}
    body = {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": "churn"},
        "spec": {"selector": {"matchLabels": {"app": "churn"}}, "storage": storage},
    }
    api.create(COLLECTIONS.format(namespace), body)


def condition(api: ApiServer, namespace: str, status: str, reason: str) -> str:
    """Return the message of CredentialsReady if it is as expected; empty if not."""
    found = api.get(f"{COLLECTIONS.format(namespace)}/churn").get("status", {}).get("conditions", ())
    ready = next((each for each in found if each["type"] == "CredentialsReady"), {})
    return ready["message"] if (ready.get("status"), ready.get("reason")) == (status, reason) else ""


def handed_out(api: ApiServer, namespace: str) -> str:
    secret = api.get(f"/api/v1/namespaces/{namespace}/secrets/modeldata-churn")
    return base64.b64decode(secret["data"]["sas"]).decode()


def test_the_pods_get_a_sas_that_the_operators_identity_signed(
    api: ApiServer, azure: Azure, controller: Running, namespace: str, eventually: Eventually
) -> None:
    name = f"rows-{uuid.uuid4().hex[:8]}"
    azure.container(name).create_container()
    collect(api, namespace, azure, name)
    eventually(lambda: condition(api, namespace, "True", "CredentialsValid"))
    sas = handed_out(api, namespace)
    fields = {key: values[0] for key, values in urllib.parse.parse_qs(sas).items()}
    assert fields["skoid"] == "11111111-2222-3333-4444-555555555555"
    assert (fields["sr"], sorted(fields["sp"]), fields["spr"]) == ("c", ["a", "c", "r"], "https")
    assert fields["se"] == fields["ske"]
    with azure.container(name, sas) as container:
        blob = container.get_blob_client("data.csv")
        blob.create_append_blob()
        blob.append_block(b"row\r\n")
        assert blob.download_blob().readall() == b"row\r\n"
        with pytest.raises(HttpResponseError):
            blob.delete_blob()
    asked = azure.authority.asked[0]
    assert (asked.tenant, asked.form["client_id"]) == (TENANT, CLIENT)
    assert asked.form["client_assertion"] == pathlib.Path(azure.environment["AZURE_FEDERATED_TOKEN_FILE"]).read_text()
    said = controller.said()
    assert fields["sig"] not in said
    assert "sig=" not in said
    assert asked.form["client_assertion"] not in said


def test_an_identity_that_is_refused_is_reported_and_heals_by_itself(
    api: ApiServer, azure: Azure, controller: Running, namespace: str, eventually: Eventually
) -> None:
    azure.authority.refuses = True
    name = f"rows-{uuid.uuid4().hex[:8]}"
    azure.container(name).create_container()
    collect(api, namespace, azure, name)
    assert "gets no token" in eventually(lambda: condition(api, namespace, "False", "IdentityUnavailable"))
    azure.authority.refuses = False
    eventually(lambda: condition(api, namespace, "True", "CredentialsValid"))
    assert handed_out(api, namespace)


def test_a_container_that_is_missing_is_reported_and_heals_by_itself(
    api: ApiServer, azure: Azure, controller: Running, namespace: str, eventually: Eventually
) -> None:
    name = f"rows-{uuid.uuid4().hex[:8]}"
    collect(api, namespace, azure, name)
    assert "create it" in eventually(lambda: condition(api, namespace, "False", "StorageRefused"))
    azure.container(name).create_container()
    eventually(lambda: condition(api, namespace, "True", "CredentialsValid"))


@pytest.mark.parametrize(("forbidden", "role"), [("key", "Delegator"), ("append", "Data Contributor")])
def test_a_role_that_is_missing_is_named(
    api: ApiServer,
    azure: Azure,
    controller: Running,
    namespace: str,
    eventually: Eventually,
    forbidden: str,
    role: str,
) -> None:
    azure.proxy.forbids = forbidden
    name = f"rows-{uuid.uuid4().hex[:8]}"
    azure.container(name).create_container()
    collect(api, namespace, azure, name)
    assert role in eventually(lambda: condition(api, namespace, "False", "IdentityRejected"))
