"""Whom the operator's own identity serves, and whom the operator dials, whatever a tenant writes.

The tenants' objects are written by users who have the built-in role `edit` in their namespace, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import socket
import typing
import urllib.parse
import uuid

import pytest

from ..conftest import Eventually
from . import installation
from .azure import Azure, running
from .conftest import Running, Start
from .listener import Listener
from .server import NAMESPACE, ApiServer, Refused

pytestmark = pytest.mark.azurite

Manifest = dict[str, typing.Any]
API = "/apis/modeldata.dev/v1alpha1"
GRANTS = f"{API}/storagegrants"
NAME = "kubernetes.io/metadata.name"
OPERATOR_IDENTITY: Manifest = {"operatorIdentity": {}}
EXPLICITLY = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


class Place:
    """A namespace, and what can be seen there."""

    def __init__(self, api: ApiServer, namespace: str, eventually: Eventually) -> None:
        self.api, self.namespace, self._eventually = api, namespace, eventually

    def condition(self, name: str = "churn") -> tuple[str, str, str]:
        """Status, reason and message of CredentialsReady."""
        found = self.api.get(f"{API}/namespaces/{self.namespace}/datacollections/{name}").get("status", {})
        for each in found.get("conditions", ()):
            if each["type"] == "CredentialsReady":
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    def reaches(self, status: str, reason: str, name: str = "churn") -> str:
        """Wait for CredentialsReady to be so; return its message."""
        self._eventually(lambda: self.condition(name)[:2] == (status, reason))
        return self.condition(name)[2]

    def sas(self, name: str = "churn") -> str:
        """What the pods are given; empty: nothing."""
        try:
            secret = self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/modeldata-{name}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return ""
        return base64.b64decode(secret["data"].get("sas", "")).decode()

    def rotation(self, name: str = "churn") -> int:
        status = self.api.get(f"{API}/namespaces/{self.namespace}/datacollections/{name}").get("status", {})
        return int(status.get("credential", {}).get("rotation", 0))


class Tenant(Place):
    """A namespace of its own, and a user who may edit there."""

    def __init__(self, api: ApiServer, eventually: Eventually, **labels: str) -> None:
        super().__init__(api, f"test-{uuid.uuid4().hex[:8]}", eventually)
        api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"user-{self.namespace}"}
        binding = {
            "metadata": {"name": "edit"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [user],
        }
        api.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/rolebindings", binding)
        self._headers = {"Impersonate-User": user["name"]}

    def request(self, method: str, path: str, body: object, content_type: str = "application/json") -> Manifest:
        """Send a request as the user."""
        answer = self.api.request(method, path, body, headers=self._headers, content_type=content_type)
        return typing.cast(Manifest, answer)

    def collect(self, endpoint: str, *, name: str = "churn", credential: Manifest | None = None, **more: str) -> None:
        """Write a DataCollection; the rights that the chart adds to `edit` take a moment to be known."""
        storage = {"endpoint": endpoint, "container": "rows", "credential": credential or OPERATOR_IDENTITY, **more}
        spec = {"selector": {"matchLabels": {"app": name}}, "storage": storage}
        body = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection", "metadata": {"name": name}}
        path = f"{API}/namespaces/{self.namespace}/datacollections"

        def written() -> bool:
            try:
                self.request("POST", path, {**body, "spec": spec})
            except Refused as refused:
                if refused.status != 403:
                    raise
                return False
            return True

        self._eventually(written)

    def change(self, storage: Manifest, name: str = "churn") -> None:
        path = f"{API}/namespaces/{self.namespace}/datacollections/{name}"
        self.request("PATCH", path, {"spec": {"storage": storage}}, "application/merge-patch+json")


def grant(api: ApiServer, endpoint: str, *containers: str, to: typing.Mapping[str, str], closing: bool = False) -> str:
    """Grant, as an administrator, to namespaces with these labels; return the grant's path."""
    spec: Manifest = {"namespaces": {"matchLabels": dict(to)}, "endpoint": endpoint, "containers": list(containers)}
    spec["closing"] = closing
    body = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "StorageGrant", "metadata": {"generateName": "test-"}}
    made = api.create(GRANTS, {**body, "spec": spec})
    return f"{GRANTS}/{made['metadata']['name']}"


@pytest.fixture(scope="module")
def azure(
    azurite_program: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, api: ApiServer
) -> typing.Iterator[Azure]:
    installation.install_operator(api)  # for the rights; nobody runs behind the webhook, which fails open
    installation.aggregate_roles(api)
    with running(azurite_program, tmp_path_factory.mktemp("azure")) as made:
        for name in ("rows", "other"):
            made.container(name).create_container()
        yield made


@pytest.fixture
def controller(api: ApiServer, azure: Azure, start_operator: Start) -> Running:
    """The controller with its own account's rights, and an identity of its own."""
    api.kubectl("delete", "storagegrants", "--all")  # or it would sign in for a test that is over
    azure.authority.asked.clear()
    token = installation.token(api, installation.CONTROLLER)
    kubeconfig = api.kubeconfig_for(token=token, name="kubeconfig-controller")
    return start_operator("controller", kubeconfig, environment=azure.environment)


@pytest.fixture
def listener() -> typing.Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def tenant(api: ApiServer, azure: Azure, eventually: Eventually) -> Tenant:
    return Tenant(api, eventually, team=uuid.uuid4().hex[:8])


def test_a_tenant_neither_has_the_operators_token_sent_anywhere_nor_gets_a_sas(
    api: ApiServer, azure: Azure, controller: Running, listener: Listener, tenant: Tenant, eventually: Eventually
) -> None:
    # Others are granted what this one asks for, and this one something else.
    grant(api, azure.endpoint, "rows", to={"team": "another"})
    grant(api, azure.endpoint, "other", to={NAME: "another"})
    grant(api, azure.endpoint, "own-{namespace}", to={NAME: tenant.namespace})
    port = urllib.parse.urlsplit(azure.endpoint).port
    wanted = {
        "attacker": f"https://127.0.0.1:{listener.port}",
        "path": f"https://127.0.0.1:{listener.port}/devstoreaccount1",
        "name": f"https://localhost:{listener.port}",
        "azure-like": f"https://account.blob.core.windows.net.localhost:{listener.port}",
        "granted-to-others": azure.endpoint,
        "by-name": f"https://localhost:{port}/devstoreaccount1",
        "other-path": f"https://127.0.0.1:{port}/devstoreaccount2",
        "dotted": f"https://127.0.0.1.:{port}/devstoreaccount1",
        "escaped": f"https://127.0.0.1:{port}/devstore%61ccount1",
        "address": f"https://[::ffff:127.0.0.1]:{port}/devstoreaccount1",
        "somebodys": "https://account.blob.core.windows.net",
    }
    for name, endpoint in wanted.items():
        tenant.collect(endpoint, name=name)
    tenant.collect(azure.endpoint, name="container", container="other")
    tenant.collect(azure.endpoint, name="field", container="own-{namespace}-x")
    for name in [*wanted, "container", "field"]:
        message = tenant.reaches("False", "IdentityNotGranted", name)
        assert tenant.namespace in message or "can cover" in message
        assert tenant.sas(name) == ""
    # What is granted works beside it, so all of the above had their turn.
    azure.container(f"own-{tenant.namespace}").create_container()
    tenant.collect(azure.endpoint, name="granted", container="own-{namespace}")
    tenant.reaches("True", "CredentialsValid", "granted")
    assert listener.connections == 0
    assert len(azure.authority.asked) == 1


def test_without_a_grant_nobody_signs_in_and_the_message_is_the_grant(
    api: ApiServer, azure: Azure, controller: Running, tenant: Tenant, eventually: Eventually
) -> None:
    tenant.collect(azure.endpoint)
    message = tenant.reaches("False", "IdentityNotGranted")
    assert azure.authority.asked == []
    stalled = {
        each["type"]: each["reason"]
        for each in api.get(f"{API}/namespaces/{tenant.namespace}/datacollections/churn")["status"]["conditions"]
        if each["status"] == "True"
    }
    assert stalled["Stalled"] == "IdentityNotGranted"
    # An administrator runs what it says.
    manifest = message.partition("echo '")[2].partition("' | kubectl create -f -")[0]
    api.kubectl("create", "-f", "-", input=manifest)
    tenant.reaches("True", "CredentialsValid")
    assert tenant.sas()


def test_a_grant_that_is_withdrawn_takes_the_sas_along_and_its_return_brings_another(
    api: ApiServer, azure: Azure, controller: Running, tenant: Tenant, eventually: Eventually
) -> None:
    path = grant(api, azure.endpoint, "rows", to={NAME: tenant.namespace})
    tenant.collect(azure.endpoint)
    tenant.reaches("True", "CredentialsValid")
    eventually(lambda: tenant.rotation() == 1)
    assert tenant.sas()
    key = api.get(f"/api/v1/namespaces/{tenant.namespace}/secrets/modeldata-churn")["data"]["hash-key"]
    api.delete(path)
    eventually(lambda: tenant.sas() == "")
    tenant.reaches("False", "IdentityNotGranted")
    # So that running pods learn of it at once.
    eventually(lambda: tenant.rotation() == 2)
    secret = api.get(f"/api/v1/namespaces/{tenant.namespace}/secrets/modeldata-churn")
    assert secret["data"] == {"hash-key": key}
    # The key that was held is gone: another is asked for, by another token or the same.
    grant(api, azure.endpoint, "rows", to={NAME: tenant.namespace})
    tenant.reaches("True", "CredentialsValid")
    assert tenant.sas()
    # Narrowed instead of deleted.
    (narrowed,) = [
        each["metadata"]["name"]
        for each in api.get(GRANTS)["items"]
        if each["spec"]["namespaces"]["matchLabels"].get(NAME) == tenant.namespace
    ]
    api.merge(f"{GRANTS}/{narrowed}", {"spec": {"containers": ["other"]}})
    eventually(lambda: tenant.sas() == "")


def test_a_granted_sas_does_not_outlive_its_grant_under_another_credential(
    api: ApiServer, azure: Azure, controller: Running, tenant: Tenant, eventually: Eventually
) -> None:
    path = grant(api, azure.endpoint, "rows", to={NAME: tenant.namespace})
    tenant.collect(azure.endpoint)
    tenant.reaches("True", "CredentialsValid")
    eventually(tenant.sas)
    tenant.change({"credential": {"operatorIdentity": None, "secretRef": {"name": "missing"}}})
    tenant.reaches("False", "SecretNotFound")
    assert tenant.sas()  # pods go on with it while the new credential can't be had
    api.delete(path)
    eventually(lambda: tenant.sas() == "")
    tenant.reaches("False", "SecretNotFound")


def test_days_are_closed_by_a_grant_that_says_so_and_as_long_as_it_does(
    api: ApiServer, azure: Azure, start_operator: Start, tenant: Tenant, eventually: Eventually
) -> None:
    token = installation.token(api, installation.CONTROLLER)
    kubeconfig = api.kubeconfig_for(token=token, name="kubeconfig-closing")
    start_operator(
        "controller", kubeconfig, environment={**azure.environment, "MODELDATA_CLOSING": installation.closing()}
    )
    own = {NAME: tenant.namespace}
    path = grant(api, azure.endpoint, "rows", to=own)
    # To others it is granted, which is of no use here.
    grant(api, azure.endpoint, "rows", to={"team": "another"}, closing=True)
    tenant.collect(azure.endpoint)
    collection = f"{API}/namespaces/{tenant.namespace}/datacollections/churn"
    tenant.request("PATCH", collection, {"spec": {"closing": {}}}, "application/merge-patch+json")
    selector = f"labelSelector=modeldata.dev/data-collection-namespace%3D{tenant.namespace}"

    def jobs() -> list[Manifest]:
        return typing.cast("list[Manifest]", api.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?{selector}")["items"])

    def days_closed() -> tuple[str, str]:
        conditions = api.get(collection).get("status", {}).get("conditions", ())
        return next(
            ((each["reason"], each["message"]) for each in conditions if each["type"] == "DaysClosed"), ("", "")
        )

    tenant.reaches("True", "CredentialsValid")
    eventually(lambda: days_closed()[0] == "ClosingNotGranted")
    assert '"closing":true' in days_closed()[1]
    assert jobs() == []
    api.merge(path, {"spec": {"closing": True}})
    (job,) = eventually(jobs)
    name = job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"]

    def sas() -> str:
        with contextlib.suppress(Refused):
            secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}")
            return base64.b64decode(secret["data"]["sas"]).decode()
        return ""

    fields = urllib.parse.parse_qs(eventually(sas))
    # Signed by the operator's own identity, and not for longer than its key.
    assert (fields["sp"], fields["sr"], len(fields["skoid"])) == (["rwl"], ["c"], 1)
    assert fields["se"][0] <= fields["ske"][0]
    list(azure.container("rows", sas()).list_blobs())
    api.delete(path)
    eventually(lambda: days_closed()[0] == "IdentityNotGranted")
    # Its pod goes first: nobody collects garbage here.
    assert eventually(lambda: jobs()[0]["metadata"].get("deletionTimestamp"))


def test_a_namespace_that_loses_its_label_loses_its_sas(
    api: ApiServer, azure: Azure, controller: Running, tenant: Tenant, eventually: Eventually
) -> None:
    label = {"modeldata-test": uuid.uuid4().hex[:8]}
    grant(api, azure.endpoint, "rows", to=label)
    tenant.collect(azure.endpoint)
    tenant.reaches("False", "IdentityNotGranted")
    namespace = f"/api/v1/namespaces/{tenant.namespace}"
    with pytest.raises(Refused) as refused:
        tenant.request("PATCH", namespace, {"metadata": {"labels": label}}, "application/merge-patch+json")
    assert refused.value.status == 403
    api.merge(namespace, {"metadata": {"labels": label}})
    tenant.reaches("True", "CredentialsValid")
    assert tenant.sas()
    api.merge(namespace, {"metadata": {"labels": dict.fromkeys(label)}})
    eventually(lambda: tenant.sas() == "")
    tenant.reaches("False", "IdentityNotGranted")


def test_a_collection_that_asks_for_more_than_is_granted_loses_what_it_had(
    api: ApiServer, azure: Azure, controller: Running, tenant: Tenant, eventually: Eventually
) -> None:
    grant(api, azure.endpoint, "rows", to={NAME: tenant.namespace})
    tenant.collect(azure.endpoint)
    tenant.reaches("True", "CredentialsValid")
    tenant.change({"container": "other"})
    eventually(lambda: tenant.sas() == "")
    tenant.reaches("False", "IdentityNotGranted")
    tenant.change({"container": "rows"})
    tenant.reaches("True", "CredentialsValid")
    assert tenant.sas()


def test_the_operators_default_serves_each_namespace_by_its_own_grant(
    api: ApiServer, azure: Azure, controller: Running, eventually: Eventually
) -> None:
    label = {"modeldata-test": uuid.uuid4().hex[:8]}
    granted, other = Tenant(api, eventually, **label), Tenant(api, eventually, **label)
    azure.container(f"rows-{granted.namespace}").create_container()
    path = grant(api, azure.endpoint, "rows-{namespace}", to={NAME: granted.namespace})
    operators = Place(api, NAMESPACE, eventually)
    storage = {"endpoint": azure.endpoint, "container": "rows-{namespace}", "credential": OPERATOR_IDENTITY}
    body = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection", "metadata": {"name": "default"}}
    collections = f"{API}/namespaces/{NAMESPACE}/datacollections"
    api.create(collections, {**body, "spec": {"namespaceSelector": {"matchLabels": label}, "storage": storage}})
    try:
        for each in (granted, other):
            pod = {
                "metadata": {"name": "annotated", "annotations": {"collect_model_data": "true"}},
                "spec": {"containers": [{"name": "scoring", "image": "model"}]},
            }
            api.create(f"/api/v1/namespaces/{each.namespace}/pods", pod)
        eventually(lambda: granted.sas("operator-default"))
        message = operators.reaches("False", "IdentityNotGranted", "default")
        assert other.namespace in message
        assert granted.namespace not in message
        assert other.sas("operator-default") == ""
        assert operators.sas("default") == ""
        api.delete(path)
        eventually(lambda: granted.sas("operator-default") == "")
    finally:
        api.delete(f"{collections}/default")


def test_a_granted_endpoint_that_points_elsewhere_is_not_followed(
    api: ApiServer, azure: Azure, controller: Running, listener: Listener, tenant: Tenant
) -> None:
    azure.proxy.redirects = f"https://127.0.0.1:{listener.port}/devstoreaccount1"
    try:
        grant(api, azure.endpoint, "rows", to={NAME: tenant.namespace})
        tenant.collect(azure.endpoint)
        assert "points elsewhere" in tenant.reaches("False", "StorageRefused")
    finally:
        azure.proxy.redirects = ""
    assert listener.connections == 0


@pytest.mark.parametrize("kind", ["secretRef", "sasTokenSecretRef"])
def test_what_answers_in_the_cluster_can_not_be_found_out_by_a_collection(
    api: ApiServer, azure: Azure, controller: Running, listener: Listener, tenant: Tenant, kind: str
) -> None:
    values = {
        "secretRef": {"accountName": "account", "accountKey": "bm90IGEga2V5"},
        "sasTokenSecretRef": {"sas": "sv=2024-11-04&sr=c&sp=rac&se=2099-01-01T00:00:00Z&sig=c2ln"},
    }
    tenant.request(
        "POST",
        f"/api/v1/namespaces/{tenant.namespace}/secrets",
        {"metadata": {"name": "mine"}, "stringData": values[kind]},
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        places = {
            "somebody": f"http://127.0.0.1:{listener.port}",
            "nobody": f"http://127.0.0.1:{nobody.getsockname()[1]}",
            "somebody-by-name": f"http://localhost:{listener.port}/devstoreaccount1",
            "api-server": f"{api.url}/devstoreaccount1",
            "secure": f"https://127.0.0.1:{listener.port}",
            "metadata": "http://metadata.local",
        }
        said = {}
        for name, endpoint in places.items():
            tenant.collect(endpoint, name=name, credential={kind: {"name": "mine"}})
        for name, endpoint in places.items():
            message = tenant.reaches("True", "StorageUnchecked", name)
            assert tenant.sas(name)
            said[name] = message.replace(endpoint, "<endpoint>")
            assert "storage.allowedHosts" in message
    assert len(set(said.values())) == 1
    assert listener.connections == 0
    conditions = api.get(f"{API}/namespaces/{tenant.namespace}/datacollections/somebody")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions}["Stalled"] == "False"


def test_where_the_grants_definition_is_missing_only_the_operators_identity_waits(
    own_api: ApiServer, azure: Azure, start_operator: Start, eventually: Eventually
) -> None:
    own_api.kubectl("delete", "crd", "storagegrants.modeldata.dev")
    installation.install_operator(own_api)
    installation.aggregate_roles(own_api)
    start_operator("controller", own_api.kubeconfig, environment=azure.environment)
    tenant = Tenant(own_api, eventually)
    secret = {"metadata": {"name": "mine"}, "stringData": {"accountName": "a", "accountKey": "bm90IGEga2V5"}}
    own_api.create(f"/api/v1/namespaces/{tenant.namespace}/secrets", secret)
    tenant.collect("http://127.0.0.1:9", name="other", credential={"secretRef": {"name": "mine"}})
    tenant.collect(azure.endpoint)
    tenant.reaches("True", "StorageUnchecked", "other")
    tenant.reaches("Unknown", "CredentialsUnknown")
    own_api.kubectl("apply", "--server-side", "-f", str(installation.server.REPOSITORY / "crds"))
    tenant.reaches("False", "IdentityNotGranted")

    def written() -> str:
        with contextlib.suppress(Refused):
            return grant(own_api, azure.endpoint, "rows", to={NAME: tenant.namespace})
        return ""

    eventually(written)
    tenant.reaches("True", "CredentialsValid")


def test_installed_for_some_namespaces_the_charts_list_is_what_is_granted(
    own_api: ApiServer, azure: Azure, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    installation.aggregate_roles(own_api)
    granted, other = Tenant(own_api, eventually), Tenant(own_api, eventually)
    grants = [{"namespaces": [granted.namespace], "endpoint": azure.endpoint, "containers": ["rows"]}]
    environment = {
        **azure.environment,
        "MODELDATA_NAMESPACES": f"{granted.namespace},{other.namespace}",
        "MODELDATA_GRANTS": json.dumps(grants),
    }
    start_operator("controller", own_api.kubeconfig, environment=environment)
    # A StorageGrant counts only where it is watched.
    grant(own_api, azure.endpoint, "rows", to={NAME: other.namespace})
    for tenant in (granted, other):
        tenant.collect(azure.endpoint)
    granted.reaches("True", "CredentialsValid")
    assert "storage.grants" in other.reaches("False", "IdentityNotGranted")
    assert other.sas() == ""


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_no_role_of_a_namespace_reaches_a_grant(
    api: ApiServer, azure: Azure, role: str, eventually: Eventually
) -> None:
    tenant = Tenant(api, eventually)
    binding = {
        "metadata": {"name": f"{role}-{tenant.namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"only-{tenant.namespace}"}],
    }
    # Even bound in the whole cluster: the roles themselves say nothing of grants.
    api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)

    def may(verb: str, resource: str) -> bool:
        attributes = {"group": "modeldata.dev", "resource": resource, "verb": verb, "namespace": ""}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": f"only-{tenant.namespace}", "resourceAttributes": attributes},
        }
        return bool(api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])

    eventually(lambda: may("list", "datacollections"))
    assert not any(may(verb, "storagegrants") for verb in EXPLICITLY)
