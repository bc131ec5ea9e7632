"""An Argo Rollout is restarted by its own field: its template, and so its canary, are left alone."""

from __future__ import annotations

import json
import typing
from datetime import datetime

import pytest

from ..conftest import Eventually
from . import argo
from .actors import CONTAINER, Actors, lead_to_webhook, owned_by, trusted, webhook_replicas
from .conftest import Running, Start, healthy
from .server import ApiServer, Refused

HASH = "77f4d"


class Team(Actors):
    """A namespace with an Argo Rollout, whose controller is played by hand."""

    def rollout(
        self, name: str, *, app: str = "churn", pods: str = "old", follows: str | None = None, **status: typing.Any
    ) -> None:
        """Create a Rollout of two pods that all are there, with a template of its own or that of a Deployment."""
        labels = {"app": app}
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": name},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}},
            },
        }
        if follows is not None:
            spec = typing.cast("dict[str, typing.Any]", body["spec"])
            spec["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": follows}
            del spec["template"]
        self.api.create(self._rollouts(), body)
        self.say(name, stableRS=HASH, currentPodHash=HASH, availableReplicas=2, **status)
        self.start_pods(name, pods, app=app)

    def start_pods(self, name: str, prefix: str, *, app: str = "churn") -> None:
        """Make its pods, as its ReplicaSet does."""
        for number in range(2):
            labels = {"app": app, "rollouts-pod-template-hash": HASH}
            owner = owned_by("ReplicaSet", f"{name}-{HASH}")
            self.pod({"name": f"{prefix}-{number}", "labels": labels, "ownerReferences": [owner]})

    def say(self, name: str, **status: typing.Any) -> None:
        """Write its status as its controller does."""
        generation = str(self.get_rollout(name)["metadata"]["generation"])
        path = f"{self._rollouts(name)}/status"
        self.api.merge(path, {"status": {"observedGeneration": generation, **status}})

    def patch_rollout(self, name: str, spec: dict[str, typing.Any]) -> None:
        """Change its spec, as whoever may edit it does, and its status as its controller would."""
        self.api.merge(self._rollouts(name), {"spec": spec})
        self.say(name)

    def get_rollout(self, name: str) -> dict[str, typing.Any]:
        """Read it."""
        return typing.cast("dict[str, typing.Any]", self.api.get(self._rollouts(name)))

    def restart_at(self, name: str) -> str | None:
        """When it is to be restarted."""
        return typing.cast("str | None", self.get_rollout(name)["spec"].get("restartAt"))

    def _rollouts(self, name: str = "") -> str:
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{self.namespace}/rollouts"
        return path + (f"/{name}" if name else "")


@pytest.fixture
def installed(own_api: ApiServer) -> None:
    """Argo Rollouts from the start."""
    argo.install(own_api)


@pytest.fixture
def controller(own_api: ApiServer, start_operator: Start, eventually: Eventually) -> Running:
    """The operator, in a cluster without Argo Rollouts unless they are asked for before."""
    webhook_replicas(own_api, 1)
    controller = start_operator("controller", own_api.kubeconfig)
    webhook = start_operator("webhook", own_api.kubeconfig)
    lead_to_webhook(own_api, webhook.webhook_port)
    eventually(lambda: healthy(controller.health_port) and healthy(webhook.health_port))
    eventually(lambda: trusted(own_api))
    return controller


@pytest.fixture
def team(own_api: ApiServer, controller: Running) -> Team:
    own_api.namespace("models")
    made = Team(own_api, "models")
    made.account()
    return made


def test_a_cluster_without_argo_keeps_nothing_waiting_and_one_that_gets_it_is_served(
    team: Team, controller: Running, eventually: Eventually
) -> None:
    with pytest.raises(Refused):
        team.get_rollout("a")
    # What there is, is served.
    team.deployment("there")
    team.collection()
    eventually(lambda: team.mark("there"))
    team.roll_out("there")
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"))
    assert "no rollouts are watched" not in controller.said()

    argo.install(team.api)
    team.rollout("a", app="later")
    both = [{"key": "app", "operator": "In", "values": ["churn", "later"]}]
    team.patch_collection("churn", {"selector": {"matchLabels": None, "matchExpressions": both}})
    template = team.get_rollout("a")["spec"]["template"]
    before = team.pods()
    at = eventually(lambda: team.restart_at("a"), seconds=120)
    # Later than all that it is to replace, or its controller would leave them.
    assert all(pod["metadata"]["creationTimestamp"] < at for pod in before if "old" in pod["metadata"]["name"])
    restarted = team.get_rollout("a")
    assert restarted["spec"]["template"] == template
    mark = restarted["metadata"]["annotations"]["modeldata.dev/restarted-for"]
    assert int(mark.rpartition("/")[2]) == datetime.fromisoformat(at).timestamp()
    eventually(lambda: "Restarted" in team.events("Rollout", "a"))

    eventually(lambda: team.told("a")[0] == "RolloutRunning")
    for number in range(2):
        team.delete_pod(f"old-{number}")
    team.start_pods("a", "new", app="later")
    team.say("a", restartedAt=at)
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"))
    assert team.restart_at("a") == at


@pytest.mark.usefixtures("installed", "team")
def test_one_that_waits_at_a_step_is_left_alone(team: Team, eventually: Eventually) -> None:
    team.rollout("a", pauseConditions=[{"reason": "CanaryPauseStep", "startTime": "2026-11-20T10:00:00Z"}])
    team.collection()
    eventually(lambda: team.told("a")[0] == "RolloutPaused", seconds=120)
    assert "kubectl argo rollouts promote a" in team.told("a")[1]
    assert team.restart_at("a") is None
    team.say("a", pauseConditions=None)
    eventually(lambda: team.restart_at("a"))


@pytest.mark.usefixtures("installed", "team")
def test_one_that_follows_a_deployment_elsewhere_learns_nothing_of_it(team: Team, eventually: Eventually) -> None:
    team.api.namespace("others")
    other = Actors(team.api, "others")
    other.deployment("scoring", pods=0)
    # The API server would name the class: nobody has made it.
    other.patch_deployment("scoring", {"spec": {"template": {"spec": {"priorityClassName": "treasure"}}}})
    team.rollout("a", follows="../../others/deployments/scoring")
    team.rollout("b", app="later", pods="older", follows="../../../../../api/v1/namespaces/others/secrets/account?")
    both = [{"key": "app", "operator": "In", "values": ["churn", "later"]}]
    team.collection(selector={"matchExpressions": both})
    for name in ("a", "b"):
        eventually(lambda name=name: team.told(name)[0] == "RestartNotProven", seconds=60)
        assert "neither in it nor in a Deployment" in team.told(name)[1]
    assert "treasure" not in json.dumps([team.status(), team.events("Rollout", "a")])


@pytest.mark.parametrize(
    "odd",
    [
        {"workloadRef": "scoring", "template": None},
        {"workloadRef": ["scoring"], "template": None},
        {"template": "scoring"},
        {"template": {"metadata": {"labels": "churn"}, "spec": {"containers": [CONTAINER]}}},
        {"template": {"metadata": {"labels": {"app": "churn"}}, "spec": ["containers"]}},
    ],
    ids=str,
)
@pytest.mark.usefixtures("installed", "team")
def test_one_whose_spec_makes_no_sense_holds_up_nobody(
    team: Team, eventually: Eventually, odd: dict[str, typing.Any]
) -> None:
    team.rollout("a")
    team.patch_rollout("a", odd)
    team.deployment("b", app="later")
    both = [{"key": "app", "operator": "In", "values": ["churn", "later"]}]
    team.collection(selector={"matchExpressions": both})
    eventually(lambda: team.mark("b"), seconds=60)
    team.roll_out("b")
    eventually(lambda: team.told("a")[0] == "RestartNotProven", seconds=60)
    assert "can't be read" in team.told("a")[1]
    assert team.restart_at("a") is None
