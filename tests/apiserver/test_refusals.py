"""Whatever the API server refuses, all else ends as it should, the status says what does not, and it heals by itself.

What is refused, how, and how often is drawn. The seed is printed; MODELDATA_SEED repeats a run, and
MODELDATA_REFUSAL_ROUNDS makes it a soak (``make soak-operator``).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import random
import typing

import pytest

from ..conftest import Eventually
from . import actors as people
from . import proxy as proxies
from . import server
from .actors import Actors
from .conftest import Start, behind_a_proxy
from .proxy import Fault, Outcome, Proxy

ROUNDS = int(os.environ.get("MODELDATA_REFUSAL_ROUNDS", "2"))
OVERDUE = {"metadata": {"annotations": {"modeldata.dev/expires-at": "2020-01-01T00:00:00Z"}}}
NAMESPACES = ("team-a", "team-b", "team-c")
COPY = "modeldata-operator-default"
"""The Secret of the operator's own default, in others' namespaces."""
REFUSED: tuple[Outcome, ...] = (403, 422)
PASSING: tuple[Outcome, ...] = (409, 429, 500, 503, "cut", "lost")


@dataclasses.dataclass
class Pod:
    """A pod, and who serves it."""

    name: str
    namespace: str
    collection: str

    @property
    def address(self) -> str:
        return f"/namespaces/{self.namespace}/pods/{self.name}"


class World:
    """Three teams, two of their pods each with the operator's default, and a team's own collections."""

    def __init__(self, api: server.ApiServer, proxy: Proxy, eventually: Eventually) -> None:
        self.api, self.proxy, self.eventually = api, proxy, eventually
        self.teams = {name: Actors(api, name) for name in NAMESPACES}
        self.operator = Actors(api, server.NAMESPACE)
        self.own = self.teams["team-a"]
        self.enabled, self.percent = True, 100
        self.pods: list[Pod] = []
        self.late: dict[str, set[str]] = {}
        """Collections that came after their Deployments, which so have to be restarted."""

    def begin(self) -> None:
        for name in NAMESPACES:
            self.api.namespace(name)
        self.operator.account()
        others = {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(NAMESPACES)}]
        }
        # A file for each pod: teams must not read each other's.
        storage = {"endpoint": "http://127.0.0.1:9", "credential": {"secretRef": {"name": "account"}}, "file": "PerPod"}
        self.operator.collection("default", selector=None, rollout="Manual", storage=storage, namespaceSelector=others)
        self.own.account()
        self.own.collection(rollout="Manual")
        for number in range(4):
            self._pod(Pod(f"churn-{number}", "team-a", "churn"), labels={"app": "churn"})
        for namespace in NAMESPACES:
            for number in range(2):
                name = f"annotated-{number}"
                self._pod(Pod(name, namespace, "default"), annotations={"collect_model_data": "true"})
        self.eventually(lambda: not self.wrong(()))

    def _pod(self, pod: Pod, **metadata: typing.Any) -> None:
        team = self.teams[pod.namespace]
        self.eventually(lambda: team.start({"name": pod.name, **metadata}) == pod.collection)
        self.pods.append(pod)

    # What is done in a round.

    def change(self, number: int, chance: random.Random) -> None:
        """Switch one collection, change what another hides, have every SAS renewed, and bring one that restarts."""
        changes: list[typing.Callable[[], object]] = [self._switch, self._sample, self._age]
        changes.append(lambda: self._come_late(f"late-{number}"))
        chance.shuffle(changes)
        for change in changes:
            change()

    def _switch(self) -> None:
        self.enabled = not self.enabled
        self.own.patch_collection("churn", {"enabled": self.enabled})

    def _sample(self) -> None:
        self.percent = 150 - self.percent
        self.operator.patch_collection("default", {"sampling": {"percent": self.percent}})

    def _age(self) -> None:
        for namespace, name in self.secrets():
            self.api.merge(f"/api/v1/namespaces/{namespace}/secrets/{name}", OVERDUE)

    def _come_late(self, name: str) -> None:
        for number in range(3):
            self.own.deployment(f"{name}-{number}", app=name)
        self.own.collection(name, selector={"matchLabels": {"app": name}})
        self.late[name] = {f"{name}-{number}" for number in range(3)}

    def secrets(self) -> list[tuple[str, str]]:
        return [*((namespace, COPY) for namespace in NAMESPACES), ("team-a", "modeldata-churn")]

    def roll_out(self) -> None:
        """Be the Deployment controller."""
        for name in [name for deployments in self.late.values() for name in deployments]:
            if self.own.mark(name) and not self._injected(name):
                self.own.roll_out(name)

    # What must come of it.

    def wrong(self, faults: typing.Sequence[Fault]) -> list[str]:
        """Say what is not as it must be, but where a fault stands in the way; the rest of it must be told."""
        self.roll_out()
        problems = []
        for pod in self.pods:
            settings = self._settings(pod)
            expected = (self.enabled, 100) if pod.collection == "churn" else (True, self.percent)
            found = (settings["enabled"], settings["sampling"]["percent"])
            if found != expected and not self._hindered(faults, "PATCH", pod.address):
                problems.append(f"{pod.namespace}/{pod.name} has {found}, not {expected}")
        for namespace, name in self.secrets():
            if not self._hindered(faults, "PATCH", f"/namespaces/{namespace}/secrets/{name}"):
                problems += self._wrong_secret(namespace, name)
        for collection, deployments in self.late.items():
            for name in deployments:
                if self._hindered(faults, "PATCH", f"/namespaces/team-a/deployments/{name}"):
                    problems += self._untold_restart(collection, name, faults)
                elif not self._injected(name):
                    problems.append(f"Deployment {name} is not restarted: {self.own.told(name, collection)}")
        return problems + self._untold(faults)

    def _wrong_secret(self, namespace: str, name: str) -> list[str]:
        secret = self.teams[namespace].secret(name)
        if secret is None:
            return [f"no Secret {name} in {namespace}"]
        sas = base64.b64decode(secret["data"].get("sas", "")).decode()
        expires = secret["metadata"]["annotations"]["modeldata.dev/expires-at"]
        return [] if sas and expires > "2026" else [f"Secret {name} in {namespace} is not renewed"]

    def _untold_restart(self, collection: str, name: str, faults: typing.Sequence[Fault]) -> list[str]:
        """Nothing of it is said for ever to be on its way."""
        if self._hindered(faults, "PATCH", f"/datacollections/{collection}/status"):
            return []
        reason, message = self.own.told(name, collection)
        address = f"/namespaces/team-a/deployments/{name}"
        fault = next((each for each in faults if each.concerns("PATCH", address)), None)
        if fault is None:
            return [f"Deployment {name} is refused no more"]
        # What somebody else has changed meanwhile is no word of the API server's.
        said = proxies.WORDS in message or not isinstance(fault.outcome, int) or fault.outcome == 409
        told = reason == "RestartRefused" and said
        return [] if told or self._injected(name) else [f"Deployment {name}: {reason} {message}"]

    def _untold(self, faults: typing.Sequence[Fault]) -> list[str]:
        """Say what is not told of what can't be done."""
        problems = []
        for name, namespace in (("churn", "team-a"), ("default", server.NAMESPACE)):
            if self._hindered(faults, "PATCH", f"/{namespace}/datacollections/{name}/status"):
                continue
            team = self.own if name == "churn" else self.operator
            status = team.status(name)
            kept = [pod for pod in self.pods if pod.collection == name and self._is_old(pod)]
            told = status["pods"]["injected"] - status["pods"]["current"]
            if told != len(kept):
                problems.append(f"{name} says that {told} pods are not current, and {len(kept)} are not")
            message = next(each for each in status["conditions"] if each["type"] == "CredentialsReady")["message"]
            for place, secret in self.secrets():
                if (secret == COPY) is (name == "default"):
                    overdue = bool(self._wrong_secret(place, secret))
                    if overdue is not (f"namespace {place}:" in message):
                        problems.append(f"of the Secret in {place}, {overdue=}, {name} says {message!r}")
            if not faults and status["observedGeneration"] != self._generation(team, name):
                problems.append(f"{name} is not observed")
        return problems

    def _is_old(self, pod: Pod) -> bool:
        settings = self._settings(pod)
        expected = (self.enabled, 100) if pod.collection == "churn" else (True, self.percent)
        return (settings["enabled"], settings["sampling"]["percent"]) != expected

    def _settings(self, pod: Pod) -> typing.Any:
        return json.loads(self.teams[pod.namespace].get_pod(pod.name)["metadata"]["annotations"][people.SETTINGS])

    def _injected(self, deployment: str) -> bool:
        pods = self.own.pods(deployment)
        return bool(pods) and all(people.INJECTED in pod["metadata"].get("annotations", {}) for pod in pods)

    def _generation(self, team: Actors, name: str) -> int:
        path = f"/apis/modeldata.dev/v1alpha1/namespaces/{team.namespace}/datacollections/{name}"
        return typing.cast(int, self.api.get(path)["metadata"]["generation"])

    @staticmethod
    def _hindered(faults: typing.Sequence[Fault], method: str, address: str) -> bool:
        return any(fault.concerns(method, address) for fault in faults)


def draw(world: World, number: int, chance: random.Random) -> list[Fault]:
    """Draw what is refused: at least one thing, at most half of each kind."""
    pods = [pod.address for pod in chance.sample(world.pods, len(world.pods) // 2)]
    secrets = [f"/namespaces/{place}/secrets/{name}" for place, name in chance.sample(world.secrets(), 2)]
    deployments = [f"/namespaces/team-a/deployments/late-{number}-{each}" for each in chance.sample(range(3), 1)]
    statuses = ["/team-a/datacollections/churn/status", f"/{server.NAMESPACE}/datacollections/default/status"]
    statuses.append(f"/team-a/datacollections/late-{number}/status")
    events = [f"/namespaces/{name}/events" for name in (*NAMESPACES, server.NAMESPACE)]
    found = []
    for pieces in (pods, secrets, deployments, chance.sample(statuses, 1), chance.sample(events, 2)):
        for piece in pieces[: chance.randint(0, len(pieces))]:
            outcome = chance.choice((*REFUSED, *PASSING))
            retry_after = "1" if outcome == 429 else ""
            left = chance.choice([None, None, 1, 2])
            if outcome == "lost" and left is None:
                left = 2  # what is done each time is no refusal
            methods = chance.choice([proxies.WRITES, proxies.WRITES | {"GET"}])
            found.append(Fault(piece, outcome, methods, left=left, retry_after=retry_after))
    return found or [Fault(pods[0], 403)]


@pytest.fixture
def world(own_api: server.ApiServer, start_operator: Start, eventually: Eventually) -> typing.Iterator[World]:
    with behind_a_proxy(own_api, start_operator, eventually) as proxy:
        made = World(own_api, proxy, eventually)
        made.begin()
        yield made


def test_whatever_is_refused_all_else_ends_as_it_should_and_everything_heals(world: World) -> None:
    seed = int(os.environ.get("MODELDATA_SEED") or random.randrange(10**6))
    print(f"MODELDATA_SEED={seed}")
    for number in range(ROUNDS):
        chance = random.Random(f"{seed}/{number}")
        faults = draw(world, number, chance)
        print(f"round {number}: {[(fault.piece, fault.outcome, fault.left) for fault in faults]}")
        for fault in faults:
            world.proxy.fault(fault)
        world.change(number, chance)
        poll(world, faults)
        world.proxy.heal()
        poll(world, ())
        world.own.delete_collection(f"late-{number}")
        del world.late[f"late-{number}"]


def poll(world: World, faults: typing.Sequence[Fault]) -> None:
    """Wait until nothing is wrong."""

    def right() -> bool:
        problems = world.wrong(faults)
        assert not problems, problems
        return True

    world.eventually(right, seconds=120)


def test_a_namespace_that_does_not_answer_keeps_no_other_waiting(world: World) -> None:
    fault = Fault("/namespaces/team-b/", "silent")
    world.proxy.fault(fault)
    world.change(0, random.Random(0))
    world.eventually(lambda: fault.met)
    poll(world, [fault])
    world.proxy.heal()
    poll(world, ())
