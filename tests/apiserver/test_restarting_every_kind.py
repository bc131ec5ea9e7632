"""Deployments, StatefulSets and DaemonSets under Kubernetes' own controllers: restarted once, and healed pod by pod."""

from __future__ import annotations

import typing
import uuid

import pytest

from modeldata_operator.api import restartables, workloads
from modeldata_operator.decide import rehearsal, verification

from ..conftest import Eventually
from . import controllers, server
from .actors import Actors, Manifest, lead_to_webhook, trusted, webhook_replicas
from .conftest import Operated, healthy, operators
from .test_rolling_out import age

APPS = "/apis/apps/v1/namespaces"
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
PARSERS = {
    "Deployment": restartables.deployment,
    "StatefulSet": restartables.stateful_set,
    "DaemonSet": restartables.daemon_set,
}
KINDS = list(PLURALS)
ROOM = {"requests": {"storage": "1Gi"}}
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": ROOM}}


@pytest.fixture(scope="module")
def managed(eventually: Eventually) -> typing.Iterator[Operated]:
    """An API server with Kubernetes' controllers, two nodes, and the operator."""
    api = server.ApiServer()
    running: list[controllers.Controllers | controllers.Kubelet] = []
    try:
        api.start()
        server.install(api)
        for name in ("one", "two"):
            controllers.node(api, name)
        running += [controllers.Controllers(api), controllers.Kubelet(api)]
        with operators() as start:
            webhook_replicas(api, 1)
            made = Operated(api, start, start("controller", api.kubeconfig), start("webhook", api.kubeconfig))
            lead_to_webhook(api, made.webhook.webhook_port)
            eventually(lambda: healthy(made.controller.health_port) and healthy(made.webhook.health_port))
            eventually(lambda: trusted(api))
            yield made
    finally:
        for each in running:
            each.close()
        api.close()


@pytest.fixture
def team(managed: Operated) -> Team:
    made = Team(managed.api, f"test-{uuid.uuid4().hex[:8]}")
    managed.api.namespace(made.namespace)
    made.account()
    return made


class Team(Actors):
    """A namespace whose workloads the real controllers look after."""

    def workload(self, kind: str, name: str, *, replicas: int = 2, app: str = "churn", **spec: typing.Any) -> None:
        """Create a workload; its pods come by themselves."""
        labels = {"app": app, "deployment": name}
        container = {"name": "scoring", "image": "model"}
        body: Manifest = {
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                **({} if kind == "DaemonSet" else {"replicas": replicas}),
                **({"serviceName": name} if kind == "StatefulSet" else {}),
                **spec,
            },
        }
        self.api.create(f"{APPS}/{self.namespace}/{PLURALS[kind]}", body)

    def body(self, kind: str, name: str) -> Manifest:
        """Read a workload."""
        return typing.cast(Manifest, self.api.get(f"{APPS}/{self.namespace}/{PLURALS[kind]}/{name}"))

    def settled(self, kind: str, name: str) -> bool:
        """Whether all its pods are there and ready, and no other."""
        known = PARSERS[kind](self.body(kind, name))
        whole = known.observed and known.rolled_out and known.available
        return whole and len(self.alive(name)) == known.replicas > 0

    def alive(self, name: str) -> list[Manifest]:
        """Its pods, but for those that end."""
        return [pod for pod in self.pods(name) if "deletionTimestamp" not in pod["metadata"]]

    def injected(self, name: str) -> list[bool]:
        """Which of its pods are injected."""
        return ["modeldata.dev/injected" in pod["metadata"].get("annotations", {}) for pod in self.alive(name)]

    def restart_mark(self, kind: str, name: str) -> str | None:
        """The mark on its template."""
        metadata = self.body(kind, name)["spec"]["template"]["metadata"]
        return typing.cast("str | None", metadata.get("annotations", {}).get("modeldata.dev/restarted-for"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_pod_that_is_asked_for_is_as_its_controller_makes_it(team: Team, eventually: Eventually, kind: str) -> None:
    team.workload(kind, "a", **({"volumeClaimTemplates": [CLAIM]} if kind == "StatefulSet" else {}))
    eventually(lambda: team.settled(kind, "a"))
    real, body = team.alive("a")[0], team.body(kind, "a")
    asked = rehearsal.pod(body, PARSERS[kind](body), workloads.pod(real), None)
    for own in ("statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"):
        assert (own in real["metadata"]["labels"]) is (own in asked["metadata"]["labels"])
        real["metadata"]["labels"].pop(own, None)
        asked["metadata"]["labels"].pop(own, None)
    assert asked["metadata"]["labels"] == real["metadata"]["labels"]
    assert asked["metadata"].get("generateName") == real["metadata"].get("generateName")
    (owner,) = real["metadata"]["ownerReferences"]
    del owner["blockOwnerDeletion"]
    assert asked["metadata"]["ownerReferences"] == [owner]
    if kind == "StatefulSet":
        assert asked["metadata"]["name"] == asked["spec"]["hostname"] == "a-2"
        assert asked["spec"]["subdomain"] == real["spec"]["subdomain"]
        claims = [volume for volume in real["spec"]["volumes"] if "persistentVolumeClaim" in volume]
        number = real["metadata"]["labels"].get("apps.kubernetes.io/pod-index", real["metadata"]["name"][-1])
        named = [{**claim, "persistentVolumeClaim": {"claimName": f"data-a-{number}"}} for claim in claims]
        assert claims == named
        assert asked["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-a-2"}}]
    # And the API server takes it.
    path = f"/api/v1/namespaces/{team.namespace}/pods?dryRun=All"
    assert team.api.create(path, asked)["metadata"]["name"].startswith("a-")
    assert len(team.alive("a")) == 2


def test_every_kind_is_restarted_once_and_one_after_the_other(team: Team, eventually: Eventually) -> None:
    for kind in KINDS:
        team.workload(kind, kind.lower())
    for kind in KINDS:
        eventually(lambda kind=kind: team.settled(kind, kind.lower()))
        assert team.injected(kind.lower()) == [False, False]
    team.collection()
    marked: list[str] = []

    def all_injected() -> bool:
        for kind in KINDS:
            if kind not in marked and team.restart_mark(kind, kind.lower()):
                # Those before it are through with theirs.
                assert all(team.injected(other.lower()) == [True, True] for other in marked)
                marked.append(kind)
        return team.condition("PodsInjected") == ("True", "AllInjected") and len(marked) == len(KINDS)

    eventually(lambda: team.status().get("conditions"))
    eventually(all_injected, seconds=120)
    # A StatefulSet's last pod may be gone at this moment, and the next one not there.
    eventually(lambda: team.status()["pods"] == {"matched": 6, "injected": 6, "current": 6})
    for kind in KINDS:
        assert team.said(kind, kind.lower()).count("Restarted") == 1
        mark = team.restart_mark(kind, kind.lower())
        assert team.alive(kind.lower())[0]["metadata"]["annotations"]["modeldata.dev/restarted-for"] == mark


def test_only_the_missed_pod_is_evicted_and_when_the_disruption_budget_lets_it_go(
    team: Team, managed: Operated, eventually: Eventually
) -> None:
    team.workload("Deployment", "a", replicas=3)
    team.collection()
    eventually(lambda: team.settled("Deployment", "a") and team.injected("a") == [True] * 3, seconds=120)
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"))
    mark = team.restart_mark("Deployment", "a")
    budgets = f"/apis/policy/v1/namespaces/{team.namespace}/poddisruptionbudgets"
    selector = {"matchLabels": {"app": "churn"}}
    team.api.create(budgets, {"metadata": {"name": "all"}, "spec": {"minAvailable": 3, "selector": selector}})
    eventually(lambda: all(age(pod) > verification.WEBHOOK_GRACE + 1 for pod in team.alive("a")))
    lead_to_webhook(team.api, server.free_ports(1)[0])
    try:
        lost, *kept = (pod["metadata"]["name"] for pod in team.alive("a"))
        team.delete_pod(lost)
        eventually(lambda: sorted(team.injected("a")) == [False, True, True] and team.settled("Deployment", "a"))
    finally:
        lead_to_webhook(team.api, managed.webhook.webhook_port)
    eventually(lambda: team.told("a")[0] == "EvictionWaits", seconds=120)
    assert "disruption budget" in team.told("a")[1]
    assert sorted(team.injected("a")) == [False, True, True]
    team.api.merge(f"{budgets}/all", {"spec": {"minAvailable": 1}})
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"), seconds=120)
    assert {pod["metadata"]["name"] for pod in team.alive("a")} > set(kept)
    assert team.restart_mark("Deployment", "a") == mark
    assert team.said("Deployment", "a").count("PodEvicted") == 1


def test_of_a_partitioned_stateful_set_each_pod_is_evicted_and_no_template_changed(
    team: Team, eventually: Eventually
) -> None:
    team.workload("StatefulSet", "a", updateStrategy={"rollingUpdate": {"partition": 1}})
    eventually(lambda: team.settled("StatefulSet", "a"))
    revisions = {pod["metadata"]["labels"]["controller-revision-hash"] for pod in team.alive("a")}
    team.collection()
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"), seconds=120)
    assert team.restart_mark("StatefulSet", "a") is None
    assert {pod["metadata"]["labels"]["controller-revision-hash"] for pod in team.alive("a")} == revisions


def test_one_whose_owner_deletes_pods_himself_is_told_what_to_delete(team: Team, eventually: Eventually) -> None:
    team.workload("DaemonSet", "a", updateStrategy={"type": "OnDelete"})
    eventually(lambda: team.settled("DaemonSet", "a"))
    team.collection()
    eventually(lambda: team.told("a")[0] == "RestartNeeded")
    assert team.restart_mark("DaemonSet", "a") is None
    for pod in team.alive("a"):
        team.api.kubectl("-n", team.namespace, "delete", "pod", pod["metadata"]["name"], "--wait=false")
    eventually(lambda: team.condition("PodsInjected") == ("True", "AllInjected"))
