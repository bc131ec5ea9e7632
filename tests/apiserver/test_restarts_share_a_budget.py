"""How many workloads are restarted at a time in the whole cluster, whoever's they are."""

from __future__ import annotations

import dataclasses
import time
import typing

import pytest

from ..conftest import Eventually
from . import server
from .actors import CRASHING, MARK, Actors, lead_to_webhook, trusted, webhook_replicas
from .conftest import Running, Start, healthy, operators

ONE = {"MODELDATA_RESTARTS_AT_ONCE": "1"}


@dataclasses.dataclass
class Cluster:
    """An API server of this test's own, with an operator that restarts one workload at a time."""

    api: server.ApiServer
    start: Start
    controller: Running
    eventually: Eventually

    def replace_controller(self, **environment: str) -> None:
        """Start another that knows nothing of what the last one did."""
        self.controller.stop()
        self.controller = self.start("controller", self.api.kubeconfig, environment={**ONE, **environment})
        self.eventually(lambda: healthy(self.controller.health_port))

    def team(self, name: str) -> Actors:
        """A namespace with a Deployment."""
        self.api.namespace(name)
        made = Actors(self.api, name)
        made.account()
        made.deployment("a")
        return made


@pytest.fixture
def cluster(own_api: server.ApiServer, eventually: Eventually) -> typing.Iterator[Cluster]:
    webhook_replicas(own_api, 1)
    with operators() as start:
        webhook = start("webhook", own_api.kubeconfig)
        made = Cluster(own_api, start, start("controller", own_api.kubeconfig, environment=ONE), eventually)
        lead_to_webhook(own_api, webhook.webhook_port)
        eventually(lambda: healthy(made.controller.health_port) and healthy(webhook.health_port))
        eventually(lambda: trusted(own_api))
        yield made


def test_one_waits_for_anothers_though_they_have_nothing_to_do_with_each_other(
    cluster: Cluster, eventually: Eventually
) -> None:
    first, second, third = (cluster.team(name) for name in ("first", "second", "third"))
    first.collection()
    eventually(lambda: first.mark("a"))
    second.collection()
    eventually(lambda: second.told("a")[0] == "WaitingForTurn")
    assert "controller.restartsAtOnce" in second.told("a")[1]
    # What is under way is known from the cluster.
    cluster.replace_controller()
    third.collection()
    eventually(lambda: third.told("a")[0] == "WaitingForTurn")
    assert (second.mark("a"), third.mark("a")) == (None, None)

    first.roll_out("a")
    eventually(lambda: second.mark("a") or third.mark("a"))
    # One that does not become available is the end of its own collection's rollout, and keeps nobody waiting.
    stopped, other = (second, third) if second.mark("a") else (third, second)
    assert other.mark("a") is None
    stopped.roll_out("a", state=CRASHING, keep_old=True)
    eventually(lambda: stopped.told("a")[0] == "RolloutStopped")
    eventually(lambda: other.mark("a"))


@pytest.mark.parametrize("at_once", ["1", "3"])
def test_who_forges_restarts_takes_up_nobodys_budget(cluster: Cluster, eventually: Eventually, at_once: str) -> None:
    cluster.replace_controller(MODELDATA_RESTARTS_AT_ONCE=at_once)
    first, second, third = (cluster.team(name) for name in ("first", "second", "third"))
    for team in (first, second):
        team.collection(selector={"matchLabels": {"app": "another"}})
        # Whoever leads looks at it: what is forged from now on is younger than its lead.
        eventually(lambda team=team: team.status().get("observedGeneration"))
    begun = int(time.time()) + 1
    eventually(lambda: time.time() > begun)
    for number in range(18):
        team, name = (first, second)[number % 2], f"forged-{number}"
        team.deployment(name, pods=0)
        # As often as it likes, and as if each had just been restarted.
        annotations = {MARK: f"{team.namespace}/churn/0123456789abcdef/1/{int(time.time())}"}
        team.patch_deployment(name, {"spec": {"template": {"metadata": {"annotations": annotations}}}})
        team.set_status(name, replicas=1, ready=0, complete=False)
    third.collection()
    assert eventually(lambda: third.mark("a"))


def test_with_a_budget_of_none_nothing_is_restarted_and_nobody_is_at_fault(
    cluster: Cluster, eventually: Eventually
) -> None:
    cluster.replace_controller(MODELDATA_RESTARTS_AT_ONCE="0")
    team = cluster.team("first")
    team.collection()
    eventually(lambda: team.told("a")[0] == "RestartNeeded")
    assert team.condition("Stalled")[0] == "False"
    assert team.mark("a") is None
