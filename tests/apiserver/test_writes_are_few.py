"""What the operator writes, counted between it and a real API server: no more than is needed, and at its own time."""

from __future__ import annotations

import time
import typing

import pytest

from ..conftest import Eventually
from .actors import Actors
from .conftest import Start, behind_a_proxy
from .proxy import WRITES, Fault, Proxy
from .server import ApiServer

PODS = 12
OVERDUE = {"metadata": {"annotations": {"modeldata.dev/expires-at": "2020-01-01T00:00:00Z"}}}


class World:
    """A collection with some pods, and a proxy before the controller."""

    def __init__(self, api: ApiServer, proxy: Proxy, eventually: Eventually) -> None:
        self.api, self.proxy, self.eventually = api, proxy, eventually
        api.namespace("models")
        self.people = Actors(api, "models")

    def begin(self) -> None:
        self.people.account()
        self.people.collection(rollout="Manual")
        for number in range(PODS):
            pod = {"name": f"pod-{number}", "labels": {"app": "churn"}}
            self.eventually(lambda pod=pod: self.people.start(pod))
        self.settled()

    def settled(self) -> None:
        """Wait until all pods are current, and what follows a push is through."""

        def through() -> bool:
            pods = self.people.status().get("pods", {})
            before = self.patches()
            return pods == dict.fromkeys(("matched", "injected", "current"), PODS) and self.quiet() == before

        self.eventually(through)

    def quiet(self) -> int:
        """Wait for longer than the repeats of a push take; return how many patches of pods there are by then."""
        last, since = self.patches(), time.monotonic()

        def silent() -> bool:
            nonlocal last, since
            if self.patches() != last:
                last, since = self.patches(), time.monotonic()
            return time.monotonic() - since > 6

        self.eventually(silent)
        return last

    def patches(self) -> int:
        """Count the patches of pods so far."""
        return sum("/pods/pod-" in request for request in self.proxy.writes)


@pytest.fixture
def world(own_api: ApiServer, start_operator: Start, eventually: Eventually) -> typing.Iterator[World]:
    with behind_a_proxy(own_api, start_operator, eventually) as proxy:
        made = World(own_api, proxy, eventually)
        made.begin()
        yield made


def test_a_renewed_sas_is_told_once_and_a_switch_and_what_is_hidden_three_times(world: World) -> None:
    before = world.patches()
    rotation = world.people.status()["credential"]["rotation"]
    world.api.merge("/api/v1/namespaces/models/secrets/modeldata-churn", OVERDUE)
    world.eventually(lambda: world.people.status()["credential"]["rotation"] == rotation + 1)
    world.settled()
    assert world.patches() == before + PODS

    for spec in ({"enabled": False}, {"sampling": {"percent": 5}}, {"redact": [{"feature": "ssn", "action": "Drop"}]}):
        before = world.patches()
        world.people.patch_collection("churn", spec)
        world.eventually(lambda before=before: world.patches() > before)
        world.settled()
        assert world.patches() == before + 3 * PODS, spec

    before = world.patches()
    world.people.patch_collection("churn", {"flushInterval": "30s"})
    world.eventually(lambda: world.patches() > before)
    world.settled()
    assert world.patches() == before + PODS


def test_who_is_told_to_wait_writes_nothing_meanwhile_and_the_switch_comes_later(world: World) -> None:
    fault = Fault("/namespaces/", 429, retry_after="20")
    world.proxy.fault(fault)
    world.people.patch_collection("churn", {"enabled": False})
    world.eventually(lambda: fault.met)
    told = time.monotonic()
    world.eventually(lambda: time.monotonic() > told + 20)
    world.proxy.heal()
    world.eventually(lambda: world.people.enabled("") == {False})
    # What was under way when it was said has long arrived; afterwards nothing is sent until the time is over.
    came = zip(world.proxy.requests, world.proxy.times, strict=False)
    meanwhile = [request for request, moment in came if told + 10 < moment < told + 19]
    # But for the Lease: whoever is told to wait still leads.
    assert [each for each in meanwhile if each.split()[0] in WRITES and "/leases/" not in each] == []
