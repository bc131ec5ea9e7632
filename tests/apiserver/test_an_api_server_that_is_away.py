"""An API server that is away, however long, ends no process; and a watch that is dead while others live is told apart.

An hour is pressed into seconds: MODELDATA_SICK_AFTER says after how many a process calls itself sick. So few that a
watch in which nothing happens is taken for a dead one too, as it hears something once a minute: no test has that.
"""

from __future__ import annotations

import time
import typing

import pytest

from ..conftest import Eventually
from . import actors, server
from . import proxy as proxies
from .conftest import Running, Start, alive, healthy

SICK_AFTER = 2
AWAY_SECONDS = 5 * SICK_AFTER
STARTED_SECONDS = 180.0
"""For several processes at once, on a machine that has other things to do."""

ENVIRONMENT = {"MODELDATA_SICK_AFTER": str(SICK_AFTER), "MODELDATA_RESYNC": "1"}


@pytest.fixture
def proxy(own_api: server.ApiServer) -> typing.Iterator[proxies.Proxy]:
    made = proxies.Proxy(own_api)
    yield made
    made.close()


def outlives(running: typing.Iterable[Running], eventually: Eventually) -> None:
    """Look at processes for several times as long as they may be without an answer; all live, and say so."""
    until = time.monotonic() + AWAY_SECONDS

    def look() -> bool:
        for each in running:
            assert each.process.poll() is None, each.said()
            if not alive(each.health_port):
                pytest.fail(f"the kubelet would end it: {each.said()}")
        return time.monotonic() > until

    eventually(look)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["refused", "silent", "unavailable"])
def test_while_it_is_away_both_processes_live_and_afterwards_they_work(
    own_api: server.ApiServer, proxy: proxies.Proxy, start_operator: Start, eventually: Eventually, how: str
) -> None:
    webhook = start_operator("webhook", proxy.kubeconfig, environment=ENVIRONMENT)
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    controller = start_operator("controller", proxy.kubeconfig, environment=ENVIRONMENT)
    eventually(lambda: healthy(webhook.health_port) and healthy(controller.health_port), seconds=STARTED_SECONDS)
    eventually(lambda: actors.trusted(own_api))
    own_api.namespace("models")
    people = actors.Actors(own_api, "models")
    people.account()
    people.collection(rollout="Manual")
    eventually(lambda: people.start({"name": "scoring", "labels": {"app": "churn"}}))
    eventually(lambda: people.enabled("") == {True})
    if how == "refused":
        own_api.stop()
        proxy.cut()
    elif how == "silent":
        proxy.stall()
    else:
        proxy.refuse(503)
        proxy.cut()
    eventually(lambda: "not leading any more: lost" in controller.said())
    outlives([controller, webhook], eventually)
    # Who can't reach it can't lead; the webhook goes on with what it knows.
    assert not healthy(controller.health_port)
    assert healthy(webhook.health_port)
    if how == "refused":
        own_api.start()
    proxy.heal()
    people.patch_collection("churn", {"enabled": False})
    eventually(lambda: people.enabled("") == {False})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("environment", [{}, {"MODELDATA_NAMESPACES": "models"}], ids=["cluster", "namespaced"])
def test_started_while_it_is_away_they_wait_for_it(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually, environment: dict[str, str]
) -> None:
    own_api.namespace("models")
    own_api.stop()
    running = [
        start_operator(role, own_api.kubeconfig, environment={**ENVIRONMENT, **environment})
        for role in ("controller", "webhook")
    ]
    for each in running:
        eventually(lambda each=each: alive(each.health_port), seconds=STARTED_SECONDS)
    outlives(running, eventually)
    assert not any(healthy(each.health_port) for each in running)
    own_api.start()
    for each in running:
        eventually(lambda each=each: healthy(each.health_port))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["controller", "webhook"])
@pytest.mark.parametrize("when", ["at the start", "later"])
def test_told_to_end_while_it_is_away_a_process_ends(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually, role: str, when: str
) -> None:
    if when == "at the start":
        own_api.stop()
    running = start_operator(role, own_api.kubeconfig, environment=ENVIRONMENT)
    if when == "later":
        waits_for = "leading as" if role == "controller" else "listed deployments"
        eventually(lambda: waits_for in running.said(), seconds=STARTED_SECONDS)
        own_api.stop()
    else:
        eventually(lambda: "waiting for" in running.said(), seconds=STARTED_SECONDS)
    running.process.terminate()
    assert running.process.wait(30) in (0, -15), running.said()
    assert "Traceback" not in running.said()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("answer", [401, 403, 500, 503])
def test_kopfs_own_questions_at_the_start_end_no_process(
    own_api: server.ApiServer, proxy: proxies.Proxy, start_operator: Start, eventually: Eventually, answer: int
) -> None:
    # It asks which kinds there are, though nothing of it is used here.
    for path in ("/api$", "/apis$"):
        proxy.refuse(answer, path)
    controller = start_operator("controller", proxy.kubeconfig)
    eventually(lambda: "leading as" in controller.said(), seconds=STARTED_SECONDS)
    outlives([controller], eventually)
    proxy.heal()
    eventually(lambda: healthy(controller.health_port))


@pytest.mark.timeout(300)
def test_a_watch_that_is_dead_while_the_api_server_answers_others_is_sick(
    own_api: server.ApiServer, proxy: proxies.Proxy, start_operator: Start, eventually: Eventually
) -> None:
    controller = start_operator("controller", proxy.kubeconfig, environment=ENVIRONMENT)
    eventually(lambda: healthy(controller.health_port), seconds=STARTED_SECONDS)
    proxy.stall("/pods")
    proxy.cut("/pods")
    eventually(lambda: not alive(controller.health_port))
    assert "watch=pods" in controller.said()
    proxy.heal()
    eventually(lambda: alive(controller.health_port))
