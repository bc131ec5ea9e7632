"""Of an operator's controllers one leads, by a Lease; killed, told to end, frozen or cut off, another does its work."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import time
import typing

import pytest

from ..conftest import Eventually
from . import actors, changes, leading, server
from .conftest import Start, healthy
from .leading import LEASE, Replica, Replicas

OBEYED_SECONDS = 20.0
"""The contract: a switch during a failover."""

STARTED_SECONDS = 180.0
"""For several processes at once, on a machine that has other things to do."""


@pytest.fixture
def replicas(own_api: server.ApiServer, start_operator: Start, eventually: Eventually) -> typing.Iterator[Replicas]:
    """Two controllers, one of which leads."""
    made = Replicas(own_api, start_operator)
    try:
        for _ in range(2):
            made.add()
        eventually(
            lambda: all(healthy(each.running.health_port) for each in made.all) and made.leader(),
            seconds=STARTED_SECONDS,
        )
        yield made
    finally:
        made.close()


@pytest.fixture
def people(
    own_api: server.ApiServer, replicas: Replicas, start_operator: Start, eventually: Eventually
) -> actors.Actors:
    """A namespace with a model that is collected."""
    webhook = start_operator("webhook", own_api.kubeconfig)
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    eventually(lambda: healthy(webhook.health_port), seconds=STARTED_SECONDS)
    eventually(lambda: actors.trusted(own_api))
    own_api.namespace("models")
    made = actors.Actors(own_api, "models")
    made.account()
    made.collection(rollout="Manual")
    eventually(lambda: made.start({"name": "scoring", "labels": {"app": "churn"}}))
    eventually(lambda: made.enabled("") == {True} and made.status()["pods"]["current"] == 1)
    return made


def switch(people: actors.Actors, eventually: Eventually, *, enabled: bool) -> float:
    """Switch the collection; return how long it took until the pod was told."""
    began = time.monotonic()
    people.patch_collection("churn", {"enabled": enabled})
    eventually(lambda: people.enabled("") == {enabled}, seconds=OBEYED_SECONDS)
    return time.monotonic() - began


def leader_of(replicas: Replicas) -> Replica:
    leader = replicas.leader()
    assert leader is not None
    return leader


@pytest.mark.timeout(300)
def test_who_stands_by_knows_everything_and_writes_nothing(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    ports = server.free_ports(2)
    replicas = Replicas(own_api, start_operator)
    try:
        for port in ports:
            replicas.add(MODELDATA_METRICS_PORT=str(port))
            eventually(replicas.leader)
        leader, standby = replicas.all
        eventually(lambda: healthy(standby.running.health_port))
        own_api.namespace("models")
        people = actors.Actors(own_api, "models")
        people.account()
        people.collection()
        people.deployment("scoring", pods=2)
        people.deployment("misspelt", annotations={"collect_model_data": "maybe"})
        eventually(lambda: people.status()["pods"]["matched"] == 2)
        eventually(lambda: "InvalidAnnotation" in people.events("Deployment", "misspelt"))
        # It asks about the Lease, and about nothing else but what it watches.
        asked = standby.proxy.asked("GET /apis/coordination")
        eventually(lambda: standby.proxy.asked("GET /apis/coordination") >= asked + 5)
        assert standby.writes() == []
        assert not standby.proxy.asked("/secrets")
        assert leader.writes()
        assert standby.proxy.asked("/pods?watch=true")
        assert [leading.metric(port, "modeldata_operator_leader") for port in ports] == [1, 0]
        assert own_api.get(LEASE)["spec"]["leaseTransitions"] == 0
    finally:
        replicas.close()


@pytest.mark.timeout(300)
def test_told_to_end_it_gives_the_lease_back_and_the_other_begins(
    replicas: Replicas, people: actors.Actors, eventually: Eventually
) -> None:
    leader, began = leader_of(replicas), time.monotonic()
    (standby,) = replicas.others()
    leader.running.process.send_signal(signal.SIGTERM)
    eventually(lambda: replicas.leader() is standby)
    print(f"given over after {time.monotonic() - began:.1f} s")
    print(f"a switch was obeyed after {switch(people, eventually, enabled=False):.1f} s")
    assert leader.running.process.wait(30) == 0
    assert "not leading any more: given_back" in leader.running.said()
    # It did not run out: the one that stood by had it from nobody.
    assert "is held by nobody" in standby.running.said()
    assert leading.interleaved(replicas.all) == []
    # A single one that is started anew does not wait either.
    standby.running.stop()
    assert replicas.holder() == ""
    alone = replicas.add()
    eventually(lambda: replicas.leader() is alone)
    switch(people, eventually, enabled=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fate", ["killed", "frozen", "cut off"])
def test_another_takes_over_and_obeys_a_switch_and_the_old_one_never_writes_again(
    replicas: Replicas, people: actors.Actors, eventually: Eventually, fate: str
) -> None:
    leader = leader_of(replicas)
    (standby,) = replicas.others()
    if fate == "cut off":
        leader.cut_off()
    else:
        leader.signal(signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
    obeyed = switch(people, eventually, enabled=False)
    print(f"{fate}: switched off after {obeyed:.1f} s")
    assert replicas.leader() is standby
    stopped = time.monotonic()
    if fate != "killed":
        # It learns of its end only now: what it wanted to write before is not written any more.
        leader.signal(signal.SIGCONT)
        eventually(lambda: "not leading any more: lost" in leader.running.said())
        leader.proxy.heal()
        asked = leader.proxy.asked("GET /apis/coordination")
        eventually(lambda: leader.proxy.asked("GET /apis/coordination") >= asked + 3)
        assert leader.writes(since=stopped) == []
    assert replicas.leader() is standby
    switch(people, eventually, enabled=True)
    assert leading.interleaved(replicas.all) == []


@pytest.mark.timeout(300)
def test_what_the_old_one_wrote_and_the_api_server_takes_late_is_never_over_anything_newer(
    replicas: Replicas, people: actors.Actors, eventually: Eventually
) -> None:
    generations = leading.Generations(replicas.api)
    leader = leader_of(replicas)
    # Its patches reach the API server only when the proxy lets them, long after it gave them up.
    leader.proxy.stall("/pods/scoring")
    leader.proxy.stall("/status")
    stalled = leader.proxy.asked("PATCH /api/v1/namespaces/models/pods/scoring")
    people.patch_collection("churn", {"enabled": False})
    eventually(lambda: leader.proxy.asked("PATCH /api/v1/namespaces/models/pods/scoring") > stalled)
    leader.signal(signal.SIGKILL)
    # Newer, and the other way round.
    switch(people, eventually, enabled=True)
    people.patch_collection("churn", {"sampling": {"percent": 50}})

    def percent() -> int:
        return int(
            json.loads(people.get_pod("scoring")["metadata"]["annotations"][actors.SETTINGS])["sampling"]["percent"]
        )

    eventually(lambda: percent() == 50)
    before = people.get_pod("scoring")["metadata"]["annotations"][actors.SETTINGS].strip()
    taken = leader.proxy.forwarded("PATCH")
    leader.proxy.heal()
    eventually(lambda: leader.proxy.forwarded("PATCH") > taken)
    after = people.get_pod("scoring")["metadata"]["annotations"][actors.SETTINGS].strip()
    assert after == before
    assert generations.seen
    assert generations.gone_back == []


@pytest.mark.timeout(300)
def test_a_lease_that_somebody_deletes_is_made_anew_and_one_leads(
    replicas: Replicas, people: actors.Actors, eventually: Eventually
) -> None:
    replicas.api.delete(LEASE)
    eventually(replicas.leader)
    switch(people, eventually, enabled=False)
    assert leading.interleaved(replicas.all) == []


@pytest.mark.timeout(300)
def test_operators_side_by_side_have_a_lease_each(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    for name in ("team-a", "team-b"):
        own_api.namespace(name)
        own_api.namespace(f"{name}-system")
        environment = {"MODELDATA_OPERATOR_NAMESPACE": f"{name}-system", "MODELDATA_NAMESPACES": name}
        start_operator("controller", own_api.kubeconfig, environment=environment)
    for name in ("team-a", "team-b"):
        lease = LEASE.replace(server.NAMESPACE, f"{name}-system")
        eventually(lambda: leading.holder(own_api, lease))  # noqa: B023 (called at once)
        people = actors.Actors(own_api, name)
        people.account()
        people.collection()
        eventually(lambda: people.status()["observedGeneration"] == 1)  # noqa: B023 (called at once)


FAILOVERS = 5
STEPS_EACH = 12


class Chaos:
    """What is done to leaders, and what people do meanwhile."""

    def __init__(self, replicas: Replicas, world: changes.World, chance: random.Random, eventually: Eventually) -> None:
        self.replicas, self.world, self.chance, self.eventually = replicas, world, chance, eventually
        self.asleep: list[Replica] = []
        self.ending: list[Replica] = []
        self.keys = 0

    def step(self) -> None:
        """Do something that never makes a generation smaller: collections and opinions of Deployments stay."""
        match self.chance.randrange(5):
            case 0 | 1:
                self.toggle(self.chance.choice(sorted(self.world.collections)))
            case 2 if self.world.pods:
                pod = self.chance.choice(sorted(self.world.pods))
                self.world.api.delete(self.world.path(changes.PODS, pod))
                del self.world.pods[pod]
            case 3:
                self.keys += 1
                key = base64.b64encode(b"key %d of nobody" % self.keys).decode()
                self.world.api.merge(self.world.path(changes.SECRETS, "account"), {"stringData": {"accountKey": key}})
            case _ if len(self.world.pods) < 10:
                self.world.create_pod(self.chance.choice(sorted(self.world.deployments)))

    def toggle(self, name: str) -> bool:
        known = self.world.collections[name]
        known.enabled = not known.enabled
        self.world.api.merge(self.world.path(changes.COLLECTIONS, name), {"spec": {"enabled": known.enabled}})
        return known.enabled

    def end_leader(self) -> str:
        """Take the leader away, while another is there."""

        def another_is_ready() -> bool:
            others = [each for each in self.replicas.others() if each not in self.asleep]
            return any(healthy(each.running.health_port) for each in others)

        leader = typing.cast(Replica, self.eventually(self.replicas.leader, seconds=STARTED_SECONDS))
        self.eventually(another_is_ready, seconds=STARTED_SECONDS)
        how = self.chance.choice(["killed", "frozen", "cut off", "ended"])
        match how:
            case "killed":
                leader.signal(signal.SIGKILL)
                leader.running.process.wait()
            case "frozen":
                leader.signal(signal.SIGSTOP)
                self.asleep.append(leader)
            case "cut off":
                leader.cut_off()
                self.asleep.append(leader)
            case "ended":
                leader.signal(signal.SIGTERM)
                self.ending.append(leader)
        return how

    def wake(self) -> None:
        """Let those go on that were frozen or cut off, and start others for those that died or were told to end."""
        for each in self.ending:
            assert each.running.process.wait(60) == 0
        self.ending.clear()
        for each in self.asleep:
            each.signal(signal.SIGCONT)
            each.proxy.heal()
        self.asleep.clear()
        while len([each for each in self.replicas.all if each.running.process.poll() is None]) < 2:
            self.replicas.add()

    def told(self, name: str) -> list[bool]:
        """What the injected pods of a collection are told."""
        found = []
        for pod in self.world.pods:
            metadata = self.world.api.get(self.world.path(changes.PODS, pod))["metadata"]
            settings = (metadata.get("annotations") or {}).get(actors.SETTINGS)
            if metadata["labels"].get("modeldata.dev/data-collection") == name and settings:
                found.append(json.loads(settings)["enabled"])
        return found

    def inject(self) -> str:
        """Have a collection whose pods are injected and obey it; the webhook injects whoever leads."""

        def obeying() -> str:
            told = {name: set(self.told(name)) for name in sorted(self.world.collections)}
            if not any(told.values()):
                self.world.create_pod(self.chance.choice(sorted(self.world.deployments)))
            return next((name for name, found in told.items() if found == {self.world.collections[name].enabled}), "")

        return self.eventually(obeying)

    def obeyed(self, name: str) -> float:
        """Switch a collection; return the seconds until each of its pods was told."""
        began, enabled = time.monotonic(), self.toggle(name)
        self.eventually(lambda: set(self.told(name)) == {enabled}, seconds=OBEYED_SECONDS)
        return time.monotonic() - began


def right(world: changes.World) -> bool:
    problems = world.wrong()
    assert not problems, problems
    return True


@pytest.mark.timeout(900)
def test_leaders_are_taken_away_at_random_during_changes(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    chance = random.Random(seed)
    world = changes.World(own_api, "one")
    world.begin()
    for number, app in enumerate(["x", "y", "x"]):
        world.create_deployment(f"d{number}", app)
    replicas = Replicas(own_api, start_operator)
    generations = leading.Generations(own_api)
    chaos = Chaos(replicas, world, chance, eventually)
    try:
        for _ in range(2):
            replicas.add()
        webhook = start_operator("webhook", own_api.kubeconfig)
        actors.lead_to_webhook(own_api, webhook.webhook_port)
        eventually(lambda: healthy(webhook.health_port), seconds=STARTED_SECONDS)
        eventually(lambda: actors.trusted(own_api))
        world.create_collection("a", "x", enabled=True)
        world.create_collection("b", "y", enabled=True)
        for deployment in sorted(world.deployments):
            world.create_pod(deployment)
        for _ in range(FAILOVERS):
            for _ in range(chance.randrange(STEPS_EACH)):
                chaos.step()
            name, how = chaos.inject(), chaos.end_leader()
            print(f"{how}: a switch was obeyed after {chaos.obeyed(name):.1f} s")
            for _ in range(chance.randrange(4)):
                chaos.step()
            chaos.wake()
        eventually(lambda: right(world))
        secret = own_api.get(world.path(changes.SECRETS, "modeldata-a"))
        rotation = int(secret["metadata"]["annotations"]["modeldata.dev/rotation"])
        eventually(
            lambda: own_api.get(world.path(changes.COLLECTIONS, "a"))["status"]["credential"]["rotation"] == rotation
        )
        assert leading.interleaved(replicas.all) == []
        assert generations.seen
        assert generations.gone_back == []
    finally:
        replicas.close()
