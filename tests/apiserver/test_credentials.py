"""The real controller keeps the pods' Secret right, says why if it can't, heals by itself, and shows nothing secret.

The API server is bare and the storage a real Azurite. A resync is 2 s here and 30 s in a cluster; nothing else differs.
"""

from __future__ import annotations

import base64
import json
import typing
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerSasPermissions, generate_container_sas

from modeldata_operator.api import resources, workloads
from modeldata_operator.decide import injection

from ..conftest import Azurite, Eventually
from . import clocks, installation, server
from .actors import Actors, lead_to_webhook, trusted, webhook_replicas
from .conftest import Running, Start, healthy
from .server import ApiServer, Refused

Manifest = dict[str, typing.Any]
OTHER_KEY = base64.b64encode(b"another key, as long as an account's key is; it is wrong").decode()


class World:
    """Words for what a user does, in a namespace of the test's own, and for what then can be seen."""

    def __init__(self, api: ApiServer, namespace: str, azurite: Azurite, start: Start, eventually: Eventually) -> None:
        self.api, self.namespace, self.azurite, self.eventually = api, namespace, azurite, eventually
        self._start = start
        self.secrets: set[str] = {azurite.account_key, OTHER_KEY}
        """What must be seen nowhere but in Secrets."""
        self.controllers = [self._controller()]

    def restart_controller(self) -> None:
        self.controllers[-1].stop()
        self.controllers.append(self._controller())

    def _controller(self) -> Running:
        # What is said to whoever looks for a mistake must be no more secret than the rest.
        return self._start("controller", self.api.kubeconfig, environment={"MODELDATA_LOG_LEVEL": "DEBUG"})

    def start_webhook(self) -> None:
        """Have pods injected: without it nothing is restarted."""
        webhook_replicas(self.api, 1)
        webhook = self._start("webhook", self.api.kubeconfig)
        lead_to_webhook(self.api, webhook.webhook_port)
        self.eventually(lambda: healthy(webhook.health_port) and trusted(self.api))

    def apply(self, path: str, manifest: Manifest) -> Manifest:
        applied: Manifest = self.api.request(
            "PATCH", f"{path}?fieldManager=test&force=true", manifest, content_type="application/apply-patch+yaml"
        )
        return applied

    def secret(self, name: str, *, namespace: str = "", **values: str) -> None:
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        self.apply(f"/api/v1/namespaces/{namespace or self.namespace}/secrets/{name}", manifest)

    def account(self, *, key: str = "", namespace: str = "") -> None:
        name, key = self.azurite.account_name, key or self.azurite.account_key
        self.secret("account", namespace=namespace, accountName=name, accountKey=key)

    def path(self, name: str = "churn", namespace: str = "") -> str:
        return f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace or self.namespace}/datacollections/{name}"

    def collection(
        self,
        name: str = "churn",
        *,
        credential: Manifest | None = None,
        namespace: str = "",
        selecting: Manifest | None = None,
        **storage: str,
    ) -> Manifest:
        wanted: Manifest = {"endpoint": self.azurite.endpoint, "container": self.namespace, **storage}
        wanted["credential"] = credential or {"secretRef": {"name": "account"}}
        manifest = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection", "metadata": {"name": name}}
        spec = {"selector": {"matchLabels": {"app": "churn"}}, "storage": wanted}
        if selecting:
            spec["namespaceSelector"] = selecting
        return self.apply(self.path(name, namespace), {**manifest, "spec": spec})

    def held(self, name: str = "modeldata-churn", *, namespace: str = "") -> dict[str, str]:
        """What the pods have."""
        try:
            secret = self.api.get(f"/api/v1/namespaces/{namespace or self.namespace}/secrets/{name}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return {}
        found = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        self.secrets |= {found["hash-key"], *urllib.parse.parse_qs(found["sas"])["sig"]}
        return found

    def sas(self) -> dict[str, str]:
        return {key: values[0] for key, values in urllib.parse.parse_qs(self.held().get("sas", "")).items()}

    def status(self) -> Manifest:
        found: Manifest = self.api.get(self.path()).get("status", {})
        return found

    def rotation(self) -> int:
        rotation: int = self.status().get("credential", {}).get("rotation", 0)
        return rotation

    def message(self) -> str:
        return next(
            each["message"] for each in self.status().get("conditions", ()) if each["type"] == "CredentialsReady"
        )

    def reaches(self, status: str, reason: str) -> str:
        """Wait for the condition CredentialsReady; return its message."""

        def there() -> bool:
            conditions = self.status().get("conditions", ())
            return ("CredentialsReady", status, reason) in {
                (each["type"], each["status"], each["reason"]) for each in conditions
            }

        self.eventually(there)
        return self.message()

    def token(self, *, permissions: str = "rac", hours: float = 8, key: str = "", start: float = -1) -> str:
        """A SAS such as another tool would make."""
        now = datetime.now(UTC)
        token: str = generate_container_sas(
            account_name=self.azurite.account_name,
            container_name=self.namespace,
            account_key=key or self.azurite.account_key,
            permission=ContainerSasPermissions.from_string(permissions),
            start=now + timedelta(hours=start),
            expiry=now + timedelta(hours=hours),
        )
        self.secrets |= {token, *urllib.parse.parse_qs(token)["sig"]}
        return token

    def write_with_the_pods_sas(self, name: str) -> None:
        blob = BlobClient(self.azurite.endpoint, self.namespace, name, credential=self.held()["sas"])

        def created() -> bool:
            try:
                blob.create_append_blob()
            except ResourceNotFoundError:  # the container is made with the first look, a moment after the SAS
                return False
            return True

        self.eventually(created)
        blob.append_block(b"row\r\n")

    def pod(self, name: str = "scoring", *, namespace: str = "") -> Manifest:
        """Create a pod as the webhook would have injected it."""
        where = namespace or self.namespace
        body = self.api.get(self.path())
        collection = resources.collection(body)
        assert isinstance(collection, resources.DataCollection)
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": where, "labels": {"app": "churn"}},
            "spec": {"containers": [{"name": "scoring", "image": "model"}]},
        }
        plan = injection.plan(collection, workloads.pod(manifest))
        assert isinstance(plan, injection.Plan)
        injection.inject(manifest, plan, "{}")
        created: Manifest = self.api.create(f"/api/v1/namespaces/{where}/pods", manifest)
        return created

    def settings(self, name: str = "scoring") -> Manifest:
        """What the pod is told."""
        pod = self.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        told: Manifest = json.loads(pod["metadata"]["annotations"]["modeldata.dev/settings"])
        return told

    def everything_seen(self) -> str:
        """All that the operator says to anyone: logs, Events, statuses, annotations, metadata of Secrets."""
        paths = [f"/api/v1/namespaces/{self.namespace}/{kind}" for kind in ("pods", "events")]
        paths.append(f"/apis/modeldata.dev/v1alpha1/namespaces/{self.namespace}/datacollections")
        seen = [json.dumps(self.api.get(path)) for path in paths]
        for secret in self.api.get(f"/api/v1/namespaces/{self.namespace}/secrets")["items"]:
            seen.append(json.dumps(secret["metadata"]))
        return "\n".join([*seen, *(controller.said() for controller in self.controllers)])


@pytest.fixture
def world(
    api: ApiServer, namespace: str, local_azurite: Azurite, start_operator: Start, eventually: Eventually
) -> typing.Iterator[World]:
    """The world of one test; after it, nothing secret may have been seen."""
    made = World(api, namespace, local_azurite, start_operator, eventually)
    yield made
    seen = made.everything_seen()
    for secret in made.secrets:
        for form in (secret, urllib.parse.quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            assert form not in seen


def test_pods_get_a_sas_and_a_key_of_hashes_beside_it(world: World) -> None:
    world.account()
    uid = world.collection()["metadata"]["uid"]
    world.reaches("True", "CredentialsValid")
    held = world.held()
    assert sorted(held) == ["hash-key", "sas"]
    assert len(bytes.fromhex(held["hash-key"])) == 32
    assert sorted(world.sas()["sp"]) == ["a", "c", "r"]
    metadata = world.api.get(f"/api/v1/namespaces/{world.namespace}/secrets/modeldata-churn")["metadata"]
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == [uid]
    assert world.status()["credential"]["expiresAt"] == world.sas()["se"]


def test_another_kind_of_file_gets_another_sas_at_once(world: World) -> None:
    world.account()
    world.collection(file="Shared")
    world.eventually(lambda: world.rotation() == 1)
    world.pod()
    world.eventually(lambda: world.settings().get("storage", {}).get("file") == "Shared")
    generation, key = world.settings()["generation"], world.held()["hash-key"]
    for number, (file, permissions) in enumerate((("PerPod", "ac"), ("Shared", "acr")), start=2):
        world.collection(file=file)
        world.eventually(lambda permissions=permissions: sorted(world.sas()["sp"]) == list(permissions))
        world.eventually(lambda file=file: world.settings()["storage"]["file"] == file)
        world.eventually(lambda number=number: world.rotation() == number)
        # Once for the spec, once for the SAS.
        world.eventually(lambda number=number: world.settings()["generation"] == generation + 2 * (number - 1))
    assert world.held()["hash-key"] == key


def test_the_key_of_hashes_outlives_rotations_a_deleted_secret_and_a_restart(world: World) -> None:
    world.account()
    world.collection()
    world.eventually(lambda: world.rotation() == 1)
    first = world.held()
    path = f"/api/v1/namespaces/{world.namespace}/secrets/modeldata-churn"

    world.api.merge(path, {"metadata": {"annotations": {"modeldata.dev/expires-at": "2020-01-01T00:00:00Z"}}})
    world.eventually(lambda: world.rotation() == 2)
    assert world.held()["hash-key"] == first["hash-key"]

    world.api.delete(path)
    world.eventually(lambda: world.held().get("hash-key") == first["hash-key"])
    world.eventually(lambda: world.rotation() == 3)

    before = world.held()
    world.restart_controller()
    world.api.merge(path, {"metadata": {"annotations": {"modeldata.dev/expires-at": "2020-01-01T00:00:00Z"}}})
    world.eventually(lambda: world.rotation() == 4)
    assert world.held()["hash-key"] == before["hash-key"]


def test_a_collection_made_again_has_another_key_of_hashes(world: World) -> None:
    world.account()
    world.collection()
    world.eventually(lambda: world.rotation() == 1)
    key = world.held()["hash-key"]
    world.api.delete(world.path())
    world.collection()
    world.eventually(lambda: world.held()["hash-key"] != key)
    world.reaches("True", "CredentialsValid")


def test_the_operators_default_has_another_key_of_hashes_in_each_namespace(world: World) -> None:
    world.account(namespace=server.NAMESPACE)
    other = f"{world.namespace}-other"
    world.api.namespace(other)
    pod = {
        "metadata": {"name": "annotated", "annotations": {"collect_model_data": "true"}},
        "spec": {"containers": [{"name": "scoring", "image": "model"}]},
    }
    copy = "modeldata-operator-default"
    path = f"/api/v1/namespaces/{world.namespace}/secrets/{copy}"
    for namespace in (world.namespace, other):
        world.api.create(f"/api/v1/namespaces/{namespace}/pods", pod)
    try:
        world.collection("default", namespace=server.NAMESPACE, selecting=installation.EVERYWHERE, file="PerPod")
        world.eventually(lambda: world.held(copy) and world.held(copy, namespace=other))
        own = world.held("modeldata-default", namespace=server.NAMESPACE)["hash-key"]
        first, second = world.held(copy)["hash-key"], world.held(copy, namespace=other)["hash-key"]
        assert len({own, first, second}) == 3
        world.api.delete(path)
        world.eventually(lambda: world.held(copy).get("hash-key") == first)
        # As an operator of before left it: with the collection's own key, and no word on whose it is.
        mark = {"metadata": {"annotations": {"modeldata.dev/hash-key-of": None}}}
        world.api.merge(path, {**mark, "stringData": {"hash-key": own}})
        world.restart_controller()
        world.eventually(lambda: world.held(copy)["hash-key"] != own)
        third = world.held(copy)["hash-key"]
        assert third not in (first, second)
        # Nor by writing it there oneself.
        world.api.merge(path, {"stringData": {"hash-key": own}})
        world.eventually(lambda: world.held(copy)["hash-key"] == third)
        assert world.held(copy, namespace=other)["hash-key"] == second
        assert world.held("modeldata-default", namespace=server.NAMESPACE)["hash-key"] == own
    finally:
        world.api.delete(world.path("default", server.NAMESPACE))
        world.api.delete(f"/api/v1/namespaces/{server.NAMESPACE}/secrets/modeldata-default")
        world.api.delete(f"/api/v1/namespaces/{server.NAMESPACE}/secrets/account")
    world.eventually(lambda: not world.held(copy))


def test_what_a_tenant_does_to_its_secret_changes_nothing_for_others(world: World) -> None:
    world.account(namespace=server.NAMESPACE)
    victim, copy = f"{world.namespace}-victim", "modeldata-operator-default"
    world.api.namespace(victim)
    pod = {
        "metadata": {"name": "annotated", "annotations": {"collect_model_data": "true"}},
        "spec": {"containers": [{"name": "scoring", "image": "model"}]},
    }
    attacker = f"/api/v1/namespaces/{world.namespace}/secrets"
    try:
        # Taken by somebody else's Secret, a namespace goes without; no other does.
        world.api.create(attacker, {"metadata": {"name": copy}, "stringData": {"hash-key": "0" * 64, "sas": "x"}})
        for namespace in (world.namespace, victim):
            world.api.create(f"/api/v1/namespaces/{namespace}/pods", pod)
        world.collection("default", namespace=server.NAMESPACE, selecting=installation.EVERYWHERE, file="PerPod")
        world.eventually(lambda: world.held(copy, namespace=victim).get("sas"))
        before = world.held(copy, namespace=victim)
        status = world.path("default", server.NAMESPACE)

        def rotations() -> dict[str, int]:
            credential = world.api.get(status).get("status", {}).get("credential", {})
            return {each["namespace"]: each["rotation"] for each in credential.get("rotations", ())}

        world.eventually(lambda: victim in rotations())
        of_victim, own = rotations()[victim], world.api.get(status)["status"]["credential"]["rotation"]
        world.api.delete(f"{attacker}/{copy}")
        world.eventually(lambda: world.held(copy).get("sas"))
        # Numbers that nobody counts to, and a SAS that has to be renewed at each look.
        for number in (str(10**300), "2147483000", "-5"):
            changed = {"metadata": {"annotations": {"modeldata.dev/rotation": number}}, "stringData": {"sas": "x"}}
            world.api.merge(f"{attacker}/{copy}", changed)
            world.eventually(lambda: world.held(copy).get("sas") != "x")
        world.eventually(lambda: rotations().get(world.namespace, 0) > 2)
        assert rotations()[victim] == of_victim
        assert world.api.get(status)["status"]["credential"]["rotation"] == own
        assert world.held(copy, namespace=victim) == before
    finally:
        world.api.delete(status)
        world.api.delete(f"/api/v1/namespaces/{server.NAMESPACE}/secrets/modeldata-default")
        world.api.delete(f"/api/v1/namespaces/{server.NAMESPACE}/secrets/account")
    world.eventually(lambda: not world.held(copy))


def test_a_missing_secret_is_named_and_what_was_handed_out_stays(world: World) -> None:
    world.collection()
    assert "Secret account does not exist" in world.reaches("False", "SecretNotFound")
    world.account()
    world.reaches("True", "CredentialsValid")
    held = world.held()
    world.api.delete(f"/api/v1/namespaces/{world.namespace}/secrets/account")
    world.reaches("False", "SecretNotFound")
    assert world.held() == held
    world.account()
    world.reaches("True", "CredentialsValid")
    assert world.held() == held


def test_a_wrong_key_and_then_a_rotated_one_are_found_and_heal(world: World) -> None:
    world.account()
    world.collection()
    world.reaches("True", "CredentialsValid")
    world.write_with_the_pods_sas("before")
    key = world.held()["hash-key"]
    world.account(key=OTHER_KEY)
    world.reaches("False", "KeyRejected")
    world.account()
    world.reaches("True", "CredentialsValid")
    world.write_with_the_pods_sas("after")
    assert world.held()["hash-key"] == key


def test_a_clock_that_is_wrong_is_told_and_heals(world: World) -> None:
    clock = clocks.StorageClock(world.azurite.endpoint)
    try:
        world.account()
        world.collection(endpoint=clock.endpoint)
        world.reaches("True", "CredentialsValid")
        held = world.held()
        clock.ahead = timedelta(minutes=20)
        # What was well is looked at again after a resync, of which there is one every 30 s in a cluster.
        assert "20 minutes behind that of storage" in world.reaches("False", "ClockSkew")
        clock.ahead = timedelta(0)
        world.reaches("True", "CredentialsValid")
        assert world.held() == held
    finally:
        clock.close()


def test_nothing_is_restarted_for_a_key_that_storage_rejects(world: World) -> None:
    world.account(key=OTHER_KEY)
    world.start_webhook()
    people = Actors(world.api, world.namespace)
    people.deployment("scoring")
    world.collection()
    world.reaches("False", "KeyRejected")
    world.eventually(lambda: people.told("scoring")[0] == "CredentialsUnknown")
    assert people.mark("scoring") is None
    world.account()
    world.reaches("True", "CredentialsValid")
    world.eventually(lambda: people.mark("scoring"))


def test_a_given_sas_is_judged_handed_on_and_renewed(world: World) -> None:
    world.account()
    world.collection("maker")  # makes the container: a SAS can't
    world.collection(credential={"sasTokenSecretRef": {"name": "writer", "key": "token"}})
    assert "Secret writer does not exist" in world.reaches("False", "SecretNotFound")

    world.secret("writer", other="x")
    world.eventually(lambda: world.message() == "Secret writer has no key token")

    for text, reason, said in (
        ("not a token", "SecretInvalid", "is no SAS"),
        (world.token(hours=-0.5), "SasExpired", "write a new one there"),
        (world.token(start=1), "SasNotValidYet", "it is not used before"),
        (world.token(permissions="r"), "SasInsufficient", "sp=r, and Shared files need rac"),
    ):
        world.secret("writer", token=text)
        world.eventually(lambda said=said: said in world.message())
        world.reaches("False", reason)
    assert world.held() == {}

    first = world.token(hours=8)
    world.secret("writer", token=f" ?{first}\n")
    world.reaches("True", "CredentialsValid")
    assert world.held()["sas"] == first
    world.pod()
    world.eventually(lambda: world.settings().get("enabled"))
    generation = world.settings()["generation"]

    second = world.token(hours=9)
    world.secret("writer", token=second)
    world.eventually(lambda: world.held()["sas"] == second)
    world.eventually(lambda: world.settings()["generation"] == generation + 1)
    # The status is written after the pods.
    world.eventually(lambda: world.rotation() == 2)

    world.secret("writer", token=world.token(hours=-0.1))
    world.reaches("False", "SasExpired")
    assert world.held()["sas"] == second

    late = world.token(hours=0.1)
    world.secret("writer", token=late)
    assert "whoever renews it is late" in world.reaches("True", "SasExpiresSoon")
    said = {"SasExpired", "SasExpiresSoon", "SecretNotFound"}
    events = f"/api/v1/namespaces/{world.namespace}/events"  # an Event is posted after the status that it is about
    world.eventually(lambda: said <= {each["reason"] for each in world.api.get(events)["items"]})


def test_a_given_sas_that_storage_rejects_is_reported_and_heals(world: World) -> None:
    world.account()
    world.collection("maker")
    world.collection(credential={"sasTokenSecretRef": {"name": "writer"}})
    world.secret("writer", sas=world.token(key=OTHER_KEY))
    world.reaches("False", "SasRejected")
    world.secret("writer", sas=world.token())
    world.reaches("True", "CredentialsValid")


def test_a_given_sas_without_a_container_says_who_has_to_make_it(world: World) -> None:
    world.collection(credential={"sasTokenSecretRef": {"name": "writer"}})
    world.secret("writer", sas=world.token())
    assert f"container {world.namespace} does not exist: create it" in world.reaches("False", "StorageRefused")


def test_one_kind_of_credential_takes_the_place_of_the_other_in_running_pods(world: World) -> None:
    world.account()
    token = world.token(permissions="racl")  # or it would be the very one that is minted
    world.secret("writer", sas=token)
    world.collection()
    world.reaches("True", "CredentialsValid")
    minted, volume = world.held(), world.pod()["spec"]["volumes"]
    world.collection(credential={"sasTokenSecretRef": {"name": "writer"}})
    world.eventually(lambda: world.held()["sas"] == token)
    world.eventually(lambda: world.settings().get("generation") == 2 + 2)
    world.collection()
    world.eventually(lambda: world.held()["sas"] not in (token, ""))
    world.eventually(lambda: world.settings()["generation"] == 3 + 3)
    assert world.held()["hash-key"] == minted["hash-key"]
    assert {"secretName": "modeldata-churn"}.items() <= next(
        each["secret"].items() for each in volume if each["name"] == "modeldata-credential"
    )


def test_of_a_sas_that_does_not_say_when_it_ends_no_end_is_told(world: World) -> None:
    world.account()
    world.collection()
    world.eventually(lambda: world.status()["credential"].get("expiresAt"))
    in_a_policy = "sv=2024-11-04&si=writers&sr=c&sig=c2VjcmV0IHNpZ25hdHVyZQ%3D%3D"
    world.secret("writer", sas=in_a_policy)
    world.collection(credential={"sasTokenSecretRef": {"name": "writer"}})
    world.eventually(lambda: world.held()["sas"] == in_a_policy)
    world.eventually(lambda: "expiresAt" not in world.status()["credential"])
    world.reaches("False", "SasRejected")  # there is no such policy
