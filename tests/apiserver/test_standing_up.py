"""An hour of changes, pressed into seconds, while all goes wrong: the end state is right, and nobody is needed."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import typing
from datetime import UTC, datetime, timedelta

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.trust import certificates

from ..conftest import Eventually
from . import actors, changes, installation, server
from . import proxy as proxies
from .conftest import Start, healthy

STEPS = 120
COPY = "modeldata-operator-default"
CERTIFICATE = f"/api/v1/namespaces/{server.NAMESPACE}/secrets/modeldata-webhook-tls"


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def worlds(own_api: server.ApiServer) -> list[changes.World]:
    made = [changes.World(own_api, "one"), changes.World(own_api, "two")]
    for world in made:
        world.begin()
        for number, app in enumerate(["x", "y", "x"]):
            world.create_deployment(f"d{number}", app)
    return made


def right(world: changes.World) -> typing.Callable[[], bool]:
    def look() -> bool:
        problems = world.wrong()
        assert not problems, problems
        return True

    return look


@pytest.mark.timeout(900)
def test_the_operator_is_killed_and_the_api_server_goes_away(
    own_api: server.ApiServer,
    worlds: list[changes.World],
    chance: random.Random,
    start_operator: Start,
    eventually: Eventually,
) -> None:
    controller = start_operator("controller", own_api.kubeconfig)
    webhook = start_operator("webhook", own_api.kubeconfig)
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    eventually(lambda: healthy(controller.health_port))
    eventually(lambda: healthy(webhook.health_port))
    eventually(lambda: actors.trusted(own_api))
    started = [controller, webhook]
    kills = 0
    for number in range(STEPS):
        chance.choice(worlds).step(chance)
        if chance.random() < 0.06:
            # As a node dies, or a limit is met: in the middle of whatever it does, which a moment's wait varies.
            eventually(lambda: chance.random() < 0.2)
            controller.stop(signal.SIGKILL)
            kills += 1
            controller = start_operator("controller", own_api.kubeconfig)
            started.append(controller)
            if chance.random() < 0.5:
                eventually(lambda: healthy(controller.health_port))  # noqa: B023 (called at once)
        if chance.random() < 0.03:
            webhook.stop(signal.SIGKILL)
            webhook = start_operator("webhook", own_api.kubeconfig)
            started.append(webhook)
            actors.lead_to_webhook(own_api, webhook.webhook_port)
        if number in (STEPS // 3, STEPS * 2 // 3):
            own_api.stop()
            own_api.start()
    assert kills
    for world in worlds:
        eventually(right(world))
    assert any("modeldata.dev/injected" in json.dumps(own_api.get(world.path(changes.PODS))) for world in worlds)
    said = "".join(each.said() for each in started)
    assert changes.KEY not in said
    assert "sig=" not in said


@pytest.mark.timeout(600)
def test_two_controllers_by_mistake_agree(
    own_api: server.ApiServer,
    worlds: list[changes.World],
    chance: random.Random,
    start_operator: Start,
    eventually: Eventually,
) -> None:
    controllers = [start_operator("controller", own_api.kubeconfig) for _ in range(2)]
    for each in controllers:
        eventually(lambda: healthy(each.health_port))  # noqa: B023 (called at once)
    for _ in range(STEPS // 2):
        chance.choice(worlds).step(chance)
    for world in worlds:
        eventually(right(world))

    def minted() -> int:
        return sum(each.said().count("minted collection=") for each in controllers)

    # They look again every 2 s here: if each thought the other's SAS wrong, they would write for ever.
    before, looks = minted(), [each.said().count("listed") for each in controllers]
    own_api.stop()
    own_api.start()
    eventually(lambda: all("works again" in each.said() for each in controllers))
    for world in worlds:
        eventually(right(world))
    assert minted() == before, looks


def default_of_the_cluster(own_api: server.ApiServer, eventually: Eventually) -> tuple[actors.Actors, actors.Actors]:
    """Have the operator's own default serve a pod of another namespace, which then has a copy of its SAS."""
    own_api.namespace("models")
    operators, people = actors.Actors(own_api, server.NAMESPACE), actors.Actors(own_api, "models")
    operators.account()
    operators.collection("default", selector=None, **installation.serving(installation.EVERYWHERE))
    people.pod({"name": "annotated", "annotations": {"collect_model_data": "true"}})
    eventually(lambda: people.secret(COPY))
    return operators, people


def test_what_a_default_left_that_was_deleted_meanwhile_is_withdrawn(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    controller = start_operator("controller", own_api.kubeconfig)
    eventually(lambda: healthy(controller.health_port))
    operators, people = default_of_the_cluster(own_api, eventually)
    controller.stop(signal.SIGKILL)
    operators.delete_collection("default")
    # Nothing that the next one sees leads to the copy: no pod that was injected, and no collection.
    people.delete_pod("annotated")
    people.pod({"name": "another"})
    start_operator("controller", own_api.kubeconfig)
    eventually(lambda: people.secret(COPY) is None)


@pytest.mark.timeout(300)
def test_a_certificate_that_is_deleted_or_expired_is_made_anew(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    controller = start_operator("controller", own_api.kubeconfig)
    webhook = start_operator("webhook", own_api.kubeconfig)
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    eventually(lambda: healthy(webhook.health_port) and healthy(controller.health_port))
    eventually(lambda: actors.trusted(own_api))
    people = actors.Actors(own_api, "models")
    own_api.namespace("models")
    people.account()
    people.collection()

    made = 0

    def injected() -> bool:
        nonlocal made
        made += 1
        people.deployment(f"scoring-{made}")
        return any(
            "modeldata.dev/injected" in (pod["metadata"].get("annotations") or {})
            for pod in people.pods(f"scoring-{made}")
        )

    def certificate() -> bytes:
        try:
            return base64.b64decode(own_api.get(CERTIFICATE)["data"]["tls.crt"])
        except server.Refused:
            return b""

    eventually(injected)
    before = certificate()
    own_api.delete(CERTIFICATE)
    eventually(lambda: certificate() not in (b"", before))
    eventually(injected, seconds=120)
    own_api.merge(CERTIFICATE, {"data": {"tls.crt": base64.b64encode(b"no certificate").decode()}})
    eventually(lambda: b"BEGIN" in certificate())
    eventually(injected, seconds=120)


@pytest.mark.timeout(300)
def test_an_expired_certificate_is_renewed_by_the_authority_that_is_trusted(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    # Nobody was there to renew it: the controller stood still for a year.
    year_ago = datetime.now(UTC) - timedelta(days=365)
    host = f"modeldata-operator-webhook.{server.NAMESPACE}.svc"
    expired = certificates.renewed(None, host=host, now=year_ago)
    own_api.create(
        CERTIFICATE.rpartition("/")[0],
        certificates.to_secret(expired, ObjectKey(server.NAMESPACE, "modeldata-webhook-tls")),
    )
    webhook = start_operator("webhook", own_api.kubeconfig)
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    operation = {"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": expired.ca_bundle}
    own_api.request("PATCH", installation.WEBHOOK_CONFIGURATION, [operation], content_type=installation.JSON_PATCH)
    eventually(lambda: healthy(webhook.health_port))
    people = actors.Actors(own_api, "models")
    own_api.namespace("models")
    people.account()
    people.collection()
    # It serves with what there is, which the API server does not believe: pods start all the same.
    assert people.start({"name": "before", "labels": {"app": "churn"}}) == ""
    start_operator("controller", own_api.kubeconfig)
    eventually(lambda: people.start({"name": "after", "labels": {"app": "churn"}}) == "churn", seconds=120)
    entry = own_api.get(installation.WEBHOOK_CONFIGURATION)["webhooks"][0]
    assert entry["clientConfig"]["caBundle"] == expired.ca_bundle


def test_conflicts_without_end_delay_a_switch_and_no_more(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    proxy = proxies.Proxy(own_api)
    try:
        webhook = start_operator("webhook", own_api.kubeconfig)
        actors.lead_to_webhook(own_api, webhook.webhook_port)
        # So rarely looked at otherwise that only trying again can bring what follows.
        controller = start_operator("controller", proxy.kubeconfig, environment={"MODELDATA_RESYNC": "600"})
        eventually(lambda: healthy(webhook.health_port) and healthy(controller.health_port))
        eventually(lambda: actors.trusted(own_api))
        own_api.namespace("models")
        people = actors.Actors(own_api, "models")
        people.account()
        people.collection(rollout="Manual")
        eventually(lambda: people.start({"name": "scoring", "labels": {"app": "churn"}}))
        eventually(lambda: people.enabled("") == {True})

        # An API server that is changed by many gives up after a few tries of its own, and says so.
        proxy.refuse(409, "/pods/scoring")
        asked = proxy.asked("/pods/scoring")
        people.patch_collection("churn", {"enabled": False})
        eventually(lambda: proxy.asked("/pods/scoring") >= asked + 3)
        assert people.enabled("") == {True}
        proxy.heal()
        eventually(lambda: people.enabled("") == {False})

        proxy.refuse(409, "/pods/scoring")
        asked = proxy.asked("/pods/scoring")
        people.patch_collection("churn", {"enabled": True})
        eventually(lambda: proxy.asked("/pods/scoring") >= asked + 2)
        people.delete_pod("scoring")
        proxy.heal()
        # A pod that is gone is not asked for without end.
        people.start({"name": "next", "labels": {"app": "churn"}})
        eventually(lambda: people.enabled("") == {True})
    finally:
        proxy.close()


def test_a_withdrawal_that_fails_is_tried_again(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    proxy = proxies.Proxy(own_api)
    try:
        controller = start_operator("controller", proxy.kubeconfig, environment={"MODELDATA_RESYNC": "600"})
        eventually(lambda: healthy(controller.health_port))
        operators, people = default_of_the_cluster(own_api, eventually)
        eventually(lambda: operators.status("default")["pods"]["matched"] == 1)
        # First this: the operator may withdraw it as soon as the namespace has no pod.
        proxy.refuse(503, f"/secrets/{COPY}")
        # No pod is left that would remind of the namespace.
        people.delete_pod("annotated")
        eventually(lambda: operators.status("default")["pods"]["matched"] == 0)
        asked = proxy.asked(f"/secrets/{COPY}")
        operators.delete_collection("default")
        eventually(lambda: proxy.asked(f"/secrets/{COPY}") >= asked + 2)
        assert people.secret(COPY)
        proxy.heal()
        eventually(lambda: people.secret(COPY) is None)
    finally:
        proxy.close()
