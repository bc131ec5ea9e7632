"""collect_model_data on Deployments that run already, as Azure's flag of the same name."""

from __future__ import annotations

import json

import pytest

SYSTEM = "modeldata-system"


def annotate(world, value, name="scoring"):
    change = "collect_model_data-" if value is None else f"collect_model_data={value}"
    world.kubectl("annotate", "deployment", name, "--overwrite", change)


def template(world):
    return world.get("deployment", "scoring")["spec"]["template"]["metadata"].get("annotations", {})


def test_a_running_deployment_is_restarted_once_and_then_switched_live(world):
    world.deployment(app="plain", replicas=2)
    old = world.identity("plain")
    world.account()
    world.collection("default")
    annotate(world, "true")
    world.eventually(
        lambda: (
            [world.injected(pod) for pod in world.pods("plain")] == [True, True] and world.enabled("plain") == {True}
        )
    )
    world.rolled_out()
    world.reaches("Ready", "True", "Collecting", name="default")
    new = world.identity("plain")
    assert not {uid for uid, _ in new} & {uid for uid, _ in old}
    assert template(world)["modeldata.dev/restarted-for"].startswith(f"{world.namespace}/default/")
    assert ("Restarted", f"restarted once, so that DataCollection {world.namespace}/default can collect its pods") in (
        world.events("Deployment/scoring")
    )
    for value, enabled in (("false", False), ("true", True), (None, False)):
        annotate(world, value)
        world.eventually(lambda enabled=enabled: world.enabled("plain") == {enabled}, seconds=10)
    assert world.identity("plain") == new


def test_false_wins_over_a_selector(collected):
    annotate(collected, "false")
    collected.eventually(lambda: collected.enabled() == {False}, seconds=10)
    collected.reaches("Ready", "True", "NoPods")
    collected.kubectl("rollout", "restart", "deployment/scoring")
    collected.rolled_out()
    collected.eventually(lambda: not collected.injected(collected.pod()))


@pytest.mark.parametrize("value", ["True", "yes"])
def test_a_misspelt_value_is_said_on_the_deployment_and_on_the_collection(collected, value):
    annotate(collected, value)
    collected.eventually(
        lambda: any(reason == "InvalidAnnotation" for reason, _ in collected.events("Deployment/scoring"))
    )
    collected.reaches("Ready", "False", "InvalidAnnotation")
    assert repr(value) in collected.condition("Ready")["message"]
    collected.eventually(lambda: collected.enabled() == {False}, seconds=10)


def test_without_a_collection_the_deployment_is_told_what_to_create(world):
    world.deployment(annotations={"collect_model_data": "true"})
    world.eventually(
        lambda: any(
            reason == "CollectionNotFound" and 'named "default"' in message
            for reason, message in world.events("Deployment/scoring")
        )
    )
    assert not world.injected(world.pod())


def test_the_named_collection_serves(collected):
    collected.collection("other")
    annotations = {"collect_model_data": "true", "modeldata.dev/data-collection": "other"}
    collected.deployment("second", app="second", annotations=annotations)
    collected.eventually(lambda: collected.enabled("second") == {True})
    assert collected.settings("second")[0]["collection"] == f"{collected.namespace}/other"


def test_the_operators_default_serves_other_namespaces_and_takes_its_secret_back(world):
    world.account(name="account", namespace=SYSTEM)
    try:
        everywhere = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}
        storage = {"endpoint": world.azurite.endpoint, "credential": {"secretRef": {"name": "account"}}}
        crossing = {"namespaceSelector": everywhere, "storage": {**storage, "container": "modeldata-{namespace}"}}
        world.collection("default", namespace=SYSTEM, **crossing)
        world.deployment(annotations={"collect_model_data": "true"})
        world.eventually(lambda: world.sas("modeldata-operator-default"))
        world.eventually(
            lambda: world.read(world.pod(), "credential/sas") == world.sas("modeldata-operator-default"), seconds=30
        )
        world.eventually(lambda: world.enabled() == {True})
        assert world.settings()[0]["collection"] == f"{SYSTEM}/default"
        assert world.azurite.account_key not in json.dumps(world.get("secrets"))
        world.kubectl("delete", "mdc", "default", namespace=SYSTEM)
        world.eventually(lambda: world.enabled() == {False}, seconds=10)
        world.eventually(lambda: world.find("secret", "modeldata-operator-default") is None, seconds=60)
    finally:
        world.kubectl("delete", "mdc", "default", "--ignore-not-found", namespace=SYSTEM)
        world.kubectl("delete", "secret", "account", namespace=SYSTEM)
