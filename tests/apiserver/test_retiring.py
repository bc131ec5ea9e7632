"""Before the operator is uninstalled it takes itself out: models go on uncollected, and nothing of it stays."""

from __future__ import annotations

from ..conftest import Eventually
from . import installation, server
from .conftest import Start
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
