"""Before the operator is uninstalled it takes itself out: models go on uncollected, and nothing of it stays."""

from __future__ import annotations

import json

from ..conftest import Eventually
from . import actors as people
from . import installation, server
from . import proxy as proxies
from .conftest import Start, healthy
from .server import ApiServer, Refused
from .world import World

CONTROLLER = f"/apis/apps/v1/namespaces/{server.NAMESPACE}/deployments/{installation.CONTROLLER}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{server.NAMESPACE}/leases/{installation.CONTROLLER}"
COLLECTION = "/apis/modeldata.dev/v1alpha1/namespaces/models/datacollections/churn"


def end_controller(world: World, eventually: Eventually) -> None:
    """Be its kubelet and the garbage collector: a Deployment that is deleted goes after its pods."""
    eventually(lambda: world.api.get(CONTROLLER)["metadata"].get("deletionTimestamp"))
    world.running[0].stop()
    world.api.merge(CONTROLLER, {"metadata": {"finalizers": None}})


def gone(api: ApiServer, path: str) -> bool:
    try:
        api.get(path)
    except Refused as refused:
        return refused.status == 404
    return False


def test_models_go_on_uncollected_and_nothing_stays(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    world = World(own_api, eventually)
    world.start(start_operator)
    own_api.namespace("models")
    for namespace in ("models", server.NAMESPACE):
        world.account(namespace)
    world.collect("churn", "models", selector={"matchLabels": {"app": "scoring"}})
    world.collect("default", server.NAMESPACE, **installation.serving(installation.EVERYWHERE))
    world.deploy("scoring", "models")
    world.deploy("annotated", "models", collect_model_data="true")
    pods = [world.injected_pod(name, "models") for name in ("scoring", "annotated")]
    secrets = [("modeldata-churn", "models"), ("modeldata-operator-default", "models")]
    secrets.append(("modeldata-default", server.NAMESPACE))
    eventually(lambda: all(world.secret(*secret) for secret in secrets))
    eventually(lambda: all(world.settings(pod, "models")["enabled"] for pod in pods))
    generations = [world.settings(pod, "models")["generation"] for pod in pods]

    assert own_api.get(LEASE)["spec"]["holderIdentity"]
    retiring = start_operator("retire", own_api.kubeconfig)
    end_controller(world, eventually)
    assert retiring.process.wait(120) == 0, retiring.said()

    for pod, generation in zip(pods, generations, strict=True):
        settings = world.settings(pod, "models")
        assert settings["enabled"] is False
        # What was collected is still delivered: the client keeps where to, and takes the document for a newer one.
        assert settings["storage"]["endpoint"] == "http://127.0.0.1:1/devstoreaccount1"
        assert settings["generation"] > generation
    assert not any(world.secret(*secret) for secret in secrets)
    assert world.secret("account", "models")
    assert not world.secret("modeldata-webhook-tls", server.NAMESPACE)
    assert gone(own_api, CONTROLLER)
    assert gone(own_api, LEASE)
    assert gone(own_api, installation.WEBHOOK_CONFIGURATION)
    assert own_api.get(COLLECTION)["spec"]["enabled"] is True
    assert "modeldata.dev/injected" not in world.pod("scoring", "models")["metadata"]["annotations"]

    # A Job that was interrupted is run again.
    again = start_operator("retire", own_api.kubeconfig)
    assert again.process.wait(60) == 0, again.said()


def test_a_secret_of_somebody_else_stays(own_api: ApiServer, start_operator: Start, eventually: Eventually) -> None:
    own_api.namespace("models")
    world = World(own_api, eventually)
    world.collect("churn", "models")
    others = [("modeldata-churn", "models"), ("modeldata-webhook-tls", server.NAMESPACE)]
    for name, namespace in others:
        own_api.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": name}})
    retiring = start_operator("retire", own_api.kubeconfig)
    assert retiring.process.wait(60) == 0, retiring.said()
    assert all(world.secret(name, namespace) for name, namespace in others)


def test_what_is_refused_is_listed_and_keeps_nothing_else_from_being_done(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    people.webhook_replicas(own_api, 1)
    webhook = start_operator("webhook", own_api.kubeconfig)
    people.lead_to_webhook(own_api, webhook.webhook_port)
    controller = start_operator("controller", own_api.kubeconfig)
    eventually(lambda: healthy(webhook.health_port) and healthy(controller.health_port))
    eventually(lambda: people.trusted(own_api))
    teams = [people.Actors(own_api, name) for name in ("team-a", "team-b")]
    for team in teams:
        own_api.namespace(team.namespace)
        team.account()
        team.collection(rollout="Manual")
        for name in ("one", "two"):
            eventually(lambda team=team, name=name: team.start({"name": name, "labels": {"app": "churn"}}))
        eventually(lambda team=team: team.secret("modeldata-churn"))
        eventually(lambda team=team: team.enabled("") == {True})
    controller.stop()

    proxy = proxies.Proxy(own_api)
    try:
        proxy.fault(proxies.Fault("/team-a/pods/one", 403))
        proxy.fault(proxies.Fault("/team-a/secrets/modeldata-churn", 422, frozenset({"DELETE"})))
        passing = proxies.Fault("/team-b/pods/two", 503, left=1)
        proxy.fault(passing)
        retiring = start_operator("retire", proxy.kubeconfig)
        assert retiring.process.wait(120) == 1, retiring.said()
    finally:
        proxy.close()
    listed = retiring.said().partition("not done, 2;")[2]
    assert f"switch off pod team-a/one: 403: {proxies.WORDS}" in listed
    assert f"delete the SAS Secrets of team-a/churn: 422: {proxies.WORDS} (in team-a)" in listed
    assert passing.met == 1
    told = {
        (team.namespace, pod["metadata"]["name"]): json.loads(pod["metadata"]["annotations"][people.SETTINGS])[
            "enabled"
        ]
        for team in teams
        for pod in team.pods()
    }
    assert [pod for pod, enabled in told.items() if enabled] == [("team-a", "one")]
    assert [bool(team.secret("modeldata-churn")) for team in teams] == [True, False]

    # Once that is mended, it is run again.
    again = start_operator("retire", own_api.kubeconfig)
    assert again.process.wait(120) == 0, again.said()
    assert teams[0].enabled("") == {False}
    assert not teams[0].secret("modeldata-churn")
