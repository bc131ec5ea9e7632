"""Argo Rollouts whose pods run without collection are restarted by their own controller, and no canary begins."""

from __future__ import annotations

import time
import typing

import pytest

from .. import argo
from .conftest import World, pod_spec

pytestmark = pytest.mark.timeout(600)
CANARY = {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [{"setWeight": 50}, {"pause": {}}]}}


@pytest.fixture(scope="module")
def argo_rollouts(cluster: typing.Any, tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[None]:
    with argo.installed(cluster, tmp_path_factory.mktemp("argo")):
        yield


def roll_out(world: World, *, strategy: dict[str, typing.Any], follows: str = "") -> None:
    """Make a Rollout of two pods, with a template of its own or a Deployment's, and have it done."""
    labels = {"app": "churn"}
    spec: dict[str, typing.Any] = {"replicas": 2, "selector": {"matchLabels": labels}, "strategy": strategy}
    if follows:
        spec["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": follows}
    else:
        spec["template"] = {"metadata": {"labels": labels}, "spec": pod_spec()}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    world.apply({**kind, "metadata": {"name": "scoring"}, "spec": spec})
    world.eventually(lambda: phase(world) == "Healthy", seconds=120)


def phase(world: World) -> str:
    return str(world.get("rollout", "scoring").get("status", {}).get("phase", ""))


def revisions(world: World) -> set[str]:
    """The ReplicaSets of its pods."""
    return {
        owner["name"]
        for pod in world.pods()
        for owner in pod["metadata"].get("ownerReferences", ())
        if owner["kind"] == "ReplicaSet"
    }


def collect(world: World) -> None:
    world.account()
    world.collection(selector={"matchLabels": {"app": "churn"}})


@pytest.mark.usefixtures("argo_rollouts")
@pytest.mark.parametrize(
    "strategy",
    [CANARY, {"blueGreen": {"activeService": "churn", "autoPromotionEnabled": False}}],
    ids=["canary", "blue-green"],
)
def test_pods_of_a_rollout_are_replaced_without_a_new_revision(world: World, strategy: dict[str, typing.Any]) -> None:
    if "blueGreen" in strategy:
        world.kubectl("create", "service", "clusterip", "churn", "--tcp=80")  # its selector is app=churn
    roll_out(world, strategy=strategy)
    before, template, old = revisions(world), world.get("rollout", "scoring")["spec"]["template"], world.identity()
    collect(world)
    # Argo's kinds may have come after the operator, which looks for them each half minute.
    world.reaches("Ready", "True", "Collecting", seconds=240)
    world.eventually(lambda: phase(world) == "Healthy", seconds=120)
    pods = world.pods()
    assert len(pods) == 2
    assert all(world.injected(pod) for pod in pods)
    assert not old & world.identity()
    after = world.get("rollout", "scoring")
    assert (revisions(world), after["spec"]["template"]) == (before, template)
    assert after["status"]["restartedAt"] == after["spec"]["restartAt"]


@pytest.mark.usefixtures("argo_rollouts")
def test_one_that_follows_a_deployment_is_proven_by_that_deployments_template(world: World) -> None:
    world.deployment("source", replicas=0, wait=False)
    roll_out(world, strategy=CANARY, follows="source")
    collect(world)
    world.reaches("Ready", "True", "Collecting", seconds=240)
    assert all(world.injected(pod) for pod in world.pods())


@pytest.mark.usefixtures("argo_rollouts")
def test_one_that_waits_in_the_middle_of_a_canary_is_restarted_once_that_is_promoted(world: World) -> None:
    roll_out(world, strategy=CANARY)
    annotations = {"changed": str(int(time.time()))}
    change = {"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1", "metadata": {"name": "scoring"}}
    template = world.get("rollout", "scoring")["spec"]["template"]
    template["metadata"]["annotations"] = annotations
    whole = world.get("rollout", "scoring")["spec"]
    world.apply({**change, "spec": {**whole, "template": template}})
    world.eventually(lambda: phase(world) == "Paused", seconds=120)
    collect(world)
    world.reaches("PodsInjected", "False", "RolloutPaused", seconds=120)
    assert "restartAt" not in world.get("rollout", "scoring")["spec"]
    # What `kubectl argo rollouts promote` does.
    promoted = '{"status": {"pauseConditions": null, "currentStepIndex": 2}}'
    world.kubectl("patch", "rollout", "scoring", "--subresource=status", "--type=merge", "-p", promoted)
    world.reaches("Ready", "True", "Collecting", seconds=240)
    world.eventually(lambda: phase(world) == "Healthy", seconds=120)
    assert all(world.injected(pod) for pod in world.pods())
