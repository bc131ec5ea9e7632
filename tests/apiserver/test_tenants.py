"""Tenants of one operator, on a real API server, with both processes under their own accounts."""

from __future__ import annotations

import base64
import json
import typing
import urllib.parse

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from modeldata import settings
from modeldata.encoding import paths
from modeldata.spool import records

from ..conftest import Eventually
from . import installation, server
from .conftest import Start
from .server import ApiServer
from .world import World

MIDNIGHT = 1_795_219_200_000_000  # 2026-11-21T00:00:00Z
BY_TEAM = {"matchLabels": {"team": "retail"}}
COPY = "modeldata-operator-default"
DEFAULT = f"/apis/modeldata.dev/v1alpha1/namespaces/{server.NAMESPACE}/datacollections/default"


@pytest.fixture
def world(own_api: ApiServer, start_operator: Start, eventually: Eventually) -> World:
    """An operator as it is installed, and three namespaces, of which the first has the team's label."""
    installation.install_operator(own_api)
    made = World(own_api, eventually)
    for namespace in ("first", "second", "third"):
        own_api.namespace(namespace)
    label(own_api, "first", "retail")
    made.start(start_operator)
    return made


def label(api: ApiServer, namespace: str, team: str | None) -> None:
    api.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"team": team}}})


def opted_in(world: World, namespace: str, name: str = "scoring") -> None:
    world.deploy(name, namespace, collect_model_data="true")


def said(api: ApiServer, namespace: str) -> list[dict[str, typing.Any]]:
    items: list[dict[str, typing.Any]] = api.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    return items


def injected(world: World, namespace: str, deployment: str = "scoring") -> bool:
    return "modeldata.dev/injected" in world.pod(deployment, namespace)["metadata"]["annotations"]


def signed_for(secret: dict[str, typing.Any], container: str) -> bool:
    """Whether the SAS of a Secret is for this container: the same one, signed anew."""
    token = base64.b64decode(secret["data"]["sas"]).decode()
    values = {key: found[0] for key, found in urllib.parse.parse_qs(token).items()}
    again = generate_container_sas(
        account_name="devstoreaccount1",
        container_name=container,
        account_key="eA==",
        permission=ContainerSasPermissions.from_string(values["sp"]),
        start=values["st"],
        expiry=values["se"],
    )
    return urllib.parse.parse_qs(again)["sig"] == [values["sig"]]


def test_the_operators_default_serves_the_namespaces_that_it_selects_as_long_as_it_does(
    world: World, eventually: Eventually
) -> None:
    api = world.api
    for namespace in ("first", "second"):
        opted_in(world, namespace)
    world.account(server.NAMESPACE)
    world.collect("default", server.NAMESPACE, **installation.serving(BY_TEAM))
    pod = world.injected_pod("scoring", "first")
    eventually(lambda: world.settings(pod, "first")["enabled"])
    assert world.settings(pod, "first")["storage"]["container"] == "modeldata-first"
    secret = eventually(lambda: world.secret(COPY, "first"))
    assert signed_for(secret, "modeldata-first")
    assert not signed_for(secret, "modeldata-second")
    assert not signed_for(secret, "modeldata-{namespace}")
    # Its own namespace needs no label, and the second has none.
    eventually(lambda: any(each["reason"] == "CollectionNotFound" for each in said(api, "second")))
    assert world.secret(COPY, "second") is None
    assert not injected(world, "second")

    label(api, "second", "retail")
    second = world.injected_pod("scoring", "second")
    eventually(lambda: world.settings(second, "second")["enabled"])
    # The pods of before are restarted as anywhere.
    assert eventually(lambda: world.restarted_for("scoring", "second"))
    copies = [eventually(lambda name=name: world.secret(COPY, name))["data"] for name in ("first", "second")]
    own = eventually(lambda: world.secret("modeldata-default", server.NAMESPACE))["data"]
    assert len({each["hash-key"] for each in (*copies, own)}) == 3
    assert len({each["sas"] for each in (*copies, own)}) == 3

    label(api, "first", "other")
    eventually(lambda: world.settings(pod, "first")["enabled"] is False)
    eventually(lambda: world.secret(COPY, "first") is None)
    # The webhook has its knowledge from a watch of its own.
    eventually(lambda: not injected(world, "first"))
    assert world.settings(second, "second")["enabled"] is True
    assert world.secret(COPY, "second") is not None

    api.merge(DEFAULT, {"spec": {"namespaceSelector": None}})
    eventually(lambda: world.settings(second, "second")["enabled"] is False)
    eventually(lambda: world.secret(COPY, "second") is None)
    eventually(lambda: not injected(world, "second"))
    world.assert_never_refused()


def test_a_tenant_is_told_nothing_of_the_operators_secrets_endpoints_and_credential(
    world: World, eventually: Eventually
) -> None:
    api = world.api
    opted_in(world, "first")
    spec = installation.serving(BY_TEAM, credential={"secretRef": {"name": "treasure"}})
    world.collect("default", server.NAMESPACE, **spec)
    eventually(lambda: any(each["reason"] == "DefaultUnavailable" for each in said(api, "first")))
    api.create(
        f"/api/v1/namespaces/{server.NAMESPACE}/secrets",
        {"metadata": {"name": "treasure"}, "stringData": {"accountName": "hoard", "accountKey": "no base64"}},
    )
    reasons = {"SecretNotFound", "SecretInvalid"}
    eventually(lambda: reasons <= {each["reason"] for each in said(api, server.NAMESPACE)})
    # Told where the operator is, and in its words there alone.
    assert any("treasure" in each["message"] for each in said(api, server.NAMESPACE))
    api.merge(
        DEFAULT,
        {
            "spec": {
                "storage": {
                    "credential": {"secretRef": None, "operatorIdentity": {}},
                    "endpoint": "https://hoard.blob.core.windows.net",
                }
            }
        },
    )
    pod = world.injected_pod("scoring", "first")
    eventually(lambda: world.settings(pod, "first")["storage"]["endpoint"].startswith("https://hoard"))
    for event in said(api, "first"):
        for secret in ("treasure", "hoard", "127.0.0.1", "blob.core", "identity", "base64", "account"):
            assert secret not in event["message"], event
    # The pod has to know where to: and no more of it.
    annotations = json.dumps(api.get(f"/api/v1/namespaces/first/pods/{pod}")["metadata"])
    assert "treasure" not in annotations


def test_marks_of_another_namespace_change_nothing(world: World, eventually: Eventually) -> None:
    api = world.api
    world.account("first")
    world.deploy("scoring", "first")
    world.deploy("ranking", "first")
    # As if the collection had restarted it, and it never became available.
    forged = installation.deployment("scoring", app="scoring")
    forged["spec"]["template"]["metadata"]["annotations"]["modeldata.dev/restarted-for"] = "first/churn/0123/1"
    api.create("/apis/apps/v1/namespaces/second/deployments", forged)
    claiming = installation.pod("claiming", app="scoring")
    claiming["metadata"]["labels"] |= {
        "modeldata.dev/data-collection": "churn",
        "modeldata.dev/data-collection-namespace": "first",
    }
    own_words = json.dumps({"version": 1, "enabled": True, "collection": "first/churn", "generation": 1})
    claiming["metadata"]["annotations"] |= {"modeldata.dev/injected": "0" * 16, "modeldata.dev/settings": own_words}
    claiming["spec"]["volumes"] = [{"name": name, "emptyDir": {}} for name in ("modeldata-settings", "modeldata-spool")]
    api.create("/api/v1/namespaces/second/pods", claiming)
    odd = installation.pod("odd", app="scoring")
    odd["metadata"]["labels"]["modeldata.dev/data-collection"] = "churn"
    odd["metadata"]["annotations"] |= {"modeldata.dev/injected": "0" * 16, "modeldata.dev/settings": "[" * 100_000}
    odd["spec"]["volumes"] = claiming["spec"]["volumes"]
    api.create("/api/v1/namespaces/second/pods", odd)
    # A Secret that looks like one that the operator wrote there for a collection of another namespace.
    labels = {
        "app.kubernetes.io/managed-by": "modeldata-operator",
        "modeldata.dev/data-collection": "churn",
        "modeldata.dev/data-collection-namespace": "first",
    }
    api.create("/api/v1/namespaces/third/secrets", {"metadata": {"name": "modeldata-operator-churn", "labels": labels}})
    world.collect("churn", "first", selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    path = "/apis/modeldata.dev/v1alpha1/namespaces/first/datacollections/churn"
    workload = {"kind": "Deployment", "namespace": "second", "name": "scoring", "pods": 1, "injected": 0}
    eventually(lambda: world.conditions("churn", "first"))
    written = {
        "credential": {"rotation": 1, "namespaces": ["second", "third"]},
        "workloads": [{**workload, "reason": "RolloutStopped", "message": ""}],
    }
    api.merge(f"{path}/status", {"status": written})
    # Both of its own Deployments have their turn, one after the other.
    eventually(lambda: any(world.restarted_for(name, "first") for name in ("scoring", "ranking")))
    turn = next(name for name in ("scoring", "ranking") if world.restarted_for(name, "first"))
    world.ready(turn, "first")
    world.injected_pod(turn, "first")
    for each in api.get("/api/v1/namespaces/first/pods")["items"]:
        if (
            each["metadata"]["labels"]["app"] == turn
            and "modeldata.dev/injected" not in each["metadata"]["annotations"]
        ):
            api.delete(f"/api/v1/namespaces/first/pods/{each['metadata']['name']}")
    other = "ranking" if turn == "scoring" else "scoring"
    eventually(lambda: world.restarted_for(other, "first"))
    # Looked at again and again, with all that they say.
    eventually(lambda: api.get(path)["status"]["credential"].get("namespaces") == [])
    assert world.secret("modeldata-operator-churn", "third") is not None
    assert {each["namespace"] for each in api.get(path)["status"].get("workloads", ())} <= {"first"}
    assert (
        api.get("/api/v1/namespaces/second/pods/claiming")["metadata"]["annotations"]["modeldata.dev/settings"]
        == own_words
    )
    assert api.get(path)["status"]["pods"]["matched"] == len(api.get("/api/v1/namespaces/first/pods")["items"])
    assert not said(api, "second")
    api.delete(path)
    eventually(lambda: world.secret("modeldata-operator-churn", "third") is not None)
    assert (
        api.get("/api/v1/namespaces/second/pods/claiming")["metadata"]["annotations"]["modeldata.dev/settings"]
        == own_words
    )
    assert world.running[0].process.poll() is None
    world.assert_never_refused()


def test_a_tenant_whose_deployment_never_becomes_available_keeps_no_other_waiting(
    world: World, eventually: Eventually
) -> None:
    label(world.api, "second", "retail")
    for namespace in ("first", "second"):
        opted_in(world, namespace)
    world.account(server.NAMESPACE)
    world.collect("default", server.NAMESPACE, **installation.serving(BY_TEAM))
    # Neither is ever said to be available again.
    assert eventually(lambda: world.restarted_for("scoring", "first"))
    assert eventually(lambda: world.restarted_for("scoring", "second"))


def test_a_namespace_selector_elsewhere_has_no_effect_and_that_is_said(world: World, eventually: Eventually) -> None:
    opted_in(world, "first")
    world.account("second")
    world.collect("default", "second", **installation.serving(BY_TEAM))
    path = "/apis/modeldata.dev/v1alpha1/namespaces/second/datacollections/default"
    eventually(lambda: any(each["reason"] == "SelectorUnused" for each in said(world.api, "second")))
    assert world.secret(COPY, "first") is None
    assert not injected(world, "first")
    assert world.api.get(path)["status"]["credential"].get("namespaces", []) == []


def test_the_same_deployment_in_two_namespaces_writes_two_files(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    world = World(own_api, eventually)
    files = set()
    for namespace in ("staging", "production"):
        own_api.namespace(namespace)
        world.account(namespace)
        world.collect("churn", namespace, selector={"matchLabels": {"app": "scoring"}})
        world.deploy("scoring", namespace)
    world.start(start_operator, MODELDATA_CLUSTER_NAME="west")
    for namespace in ("staging", "production"):
        told = world.settings(world.injected_pod("scoring", namespace), namespace)
        read = settings.parse(json.dumps(told).encode())
        assert read.storage is not None
        stream = records.Stream(model="churn", designation="inputs")
        files.add((read.storage.container, paths.directory(stream, MIDNIGHT, read, read.storage.path)))
    assert files == {
        ("modeldata", f"default/west/{namespace}/scoring/churn/default/inputs/2026/11/21/{{file}}")
        for namespace in ("staging", "production")
    }
