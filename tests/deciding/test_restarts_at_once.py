"""How many restarts are under way in the cluster, by what the cluster says, and who that keeps waiting."""

from __future__ import annotations

import pytest

from modeldata_operator.api import owners, resources, restartables
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.owners import WorkloadName
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import rollout
from modeldata_operator.decide.selection import Choice, Matched
from modeldata_operator.known import restarts
from modeldata_operator.known.inventory import Inventory
from modeldata_operator.kube.store import Store

from .conftest import DEPLOYMENT, compare, merged
from .stage import COMPLETE, UNDER_WAY, Stage

AT = 1_795_000_000


@pytest.fixture
def stage(build):
    return Stage(build)


@pytest.fixture
def cluster():
    return Cluster()


class Cluster:
    def __init__(self):
        self.collections, self.deployments, self.sets = Store(), Store(), Store()
        self.inventory = Inventory(
            collections=self.collections,
            deployments=self.deployments,
            namespaces=Store(),
            operator_namespace="modeldata-system",
            others={"StatefulSet": self.sets},
        )

    def collection(self, build, name, namespace="models", workloads=()):
        metadata = {"name": name, "namespace": namespace}
        status = {"observedGeneration": 3, "workloads": list(workloads)}
        self.collections.put(resources.collection(build.collection_manifest(metadata=metadata, status=status)))

    def restarted(self, name, mark, namespace="models", *, condition=UNDER_WAY, kind="Deployment"):
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1}
        template = {"metadata": {"annotations": {"modeldata.dev/restarted-for": mark}}}
        body = merged(DEPLOYMENT, {"metadata": metadata, "spec": {"template": template}})
        if kind == "StatefulSet":
            body["status"] = {"observedGeneration": 1, "currentRevision": "a", "updateRevision": "b"}
            self.sets.put(restartables.stateful_set(body))
            return
        body["status"] |= {"updatedReplicas": 1, "conditions": [condition]}
        self.deployments.put(restartables.deployment(body))

    def under_way(self, now=AT + 10, *, made=None):
        made = made or restarts.Made(since=AT)
        return {str(name.key) for name in restarts.under_way(self.inventory, made, now=now)}


def test_restarts_of_all_collections_count(cluster, build):
    for name in ("x", "y"):
        cluster.collection(build, name)
    cluster.restarted("a", f"models/x/1//{AT}")
    cluster.restarted("b", f"models/y/1//{AT}", kind="StatefulSet")
    assert cluster.under_way() == {"models/a", "models/b"}


def test_a_mark_that_nobody_made_counts_only_as_long_as_it_may_be_that_of_an_earlier_leader(cluster, build):
    cluster.collection(build, "x")
    made = restarts.Made(since=AT)
    for name, at in (("before", AT - 1), ("forged", AT + 1), ("ours", AT + 2)):
        cluster.restarted(name, f"models/x/1/2/{at}")
    made.note(WorkloadName("Deployment", ObjectKey("models", "ours")), owners.restart_mark(f"models/x/1/2/{AT + 2}"))
    assert cluster.under_way(made=made) == {"models/before", "models/ours"}
    assert cluster.under_way(AT + rollout.ROOM_SECONDS, made=made) == {"models/ours"}
    # Ours, written again by somebody else as if it were new.
    cluster.restarted("ours", f"models/x/1/2/{AT + 5}")
    assert cluster.under_way(made=made) == {"models/before"}


def test_what_is_over_counts_no_more(cluster, build):
    cluster.collection(build, "x")
    cluster.restarted("a", f"models/x/1//{AT}")
    assert cluster.under_way() == {"models/a"}
    cluster.restarted("a", f"models/x/1//{AT}", condition=COMPLETE)
    assert cluster.under_way() == set()
    assert list(cluster.inventory.marked.names()) == []


def test_a_workload_that_waits_for_an_evicted_pods_successor_counts(cluster, build):
    entry = {"kind": "Deployment", "namespace": "models", "name": "a", "reason": "ReplacingPods"}
    cluster.collection(build, "x", workloads=[entry])
    assert cluster.under_way() == {"models/a"}


def test_where_a_rollout_has_stopped_nobody_else_waits_for_it(cluster, build):
    entry = {"kind": "Deployment", "namespace": "models", "name": "a", "reason": "RolloutStopped"}
    cluster.collection(build, "x", workloads=[entry])
    cluster.restarted("a", f"models/x/1//{AT}")
    assert cluster.under_way() == set()


def test_a_restart_that_never_ends_counts_for_a_while_only(cluster, build):
    cluster.collection(build, "x")
    cluster.restarted("a", f"models/x/1//{AT}")
    assert cluster.under_way(AT + rollout.ROOM_SECONDS) == {"models/a"}
    assert cluster.under_way(AT + rollout.ROOM_SECONDS + 1) == set()


@pytest.mark.parametrize(
    "mark",
    [f"models/x/1//{AT}", f"elsewhere/gone/1//{AT}", f"elsewhere/y/1//{AT + 10_000}", "elsewhere/y/1"],
    ids=["another namespace's collection", "no collection", "a time to come", "no time"],
)
def test_a_mark_that_the_operator_can_not_have_written_counts_for_nothing(cluster, build, mark):
    cluster.collection(build, "x")
    cluster.collection(build, "y", "elsewhere")
    cluster.restarted("a", mark, "elsewhere")
    assert cluster.under_way() == set()
    assert list(restarts.of(cluster.inventory, ObjectKey("models", "x"))) == []


@pytest.mark.parametrize(("namespace", "name", "counts"), [("models", "a", True), ("elsewhere", "b", False)])
def test_a_status_makes_nobody_wait_for_a_workload_of_another_namespace(cluster, build, namespace, name, counts):
    # Whoever may write everything in a namespace may write a status, too.
    workload = {"kind": "Deployment", "namespace": namespace, "name": name, "reason": "ReplacingPods"}
    cluster.collection(build, "x", workloads=[workload])
    cluster.restarted("a", "", "models")
    cluster.restarted("b", "", "elsewhere")
    assert cluster.under_way() == ({f"{namespace}/{name}"} if counts else set())


@pytest.mark.parametrize(
    ("at_once", "taken", "here", "elsewhere"),
    [
        (3, ["here"], True, True),
        (3, ["here", "here"], False, True),
        # However many it makes look so, others have their room.
        (3, ["here"] * 9, False, True),
        (3, ["here", "here", "there"], False, False),
        (3, ["here"] * 9 + ["there"], False, False),
        (1, ["here"], False, False),
        (1, [], True, True),
        (0, [], False, False),
    ],
)
def test_one_namespace_never_has_all_of_the_budget(at_once, taken, here, elsewhere):
    names = [WorkloadName("Deployment", ObjectKey(each, str(number))) for number, each in enumerate(taken)]
    assert rollout.room_for("here", names, at_once=at_once) is here
    assert rollout.room_for("elsewhere", names, at_once=at_once) is elsewhere


def test_without_room_nothing_is_restarted_and_nobody_is_blamed(stage):
    stage.add(stage.deployment("a"))
    verdict = stage.only(given={"room": False})
    assert (verdict.mark, verdict.reason) == (None, Reason.WAITING_FOR_TURN)
    assert "controller.restartsAtOnce" in verdict.message


def test_with_a_budget_of_none_each_collection_is_as_if_it_were_manual(stage):
    stage.add(stage.deployment("a"))
    verdict = stage.only(given={"restarts": False})
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTART_NEEDED)
    assert "rollout restart deployment/a" in verdict.message


def test_one_that_can_not_be_restarted_keeps_no_other_waiting(stage):
    stage.add(stage.deployment("a"))
    stage.add(stage.deployment("b"))
    setback = rollout.Setback(Reason.WEBHOOK_UNREACHABLE, "not injected")
    first = stage.pods[0].restartable.name
    verdicts = stage.decide(given={"setbacks": {first: setback}})
    assert (verdicts["a"].reason, verdicts["a"].message) == (Reason.WEBHOOK_UNREACHABLE, "not injected")
    assert verdicts["b"].mark is not None


def test_one_at_a_time_in_each_namespace(stage):
    for namespace in ("models", "elsewhere"):
        for name in ("a", "b"):
            made = stage.deployment(name, metadata={"namespace": namespace, "uid": f"{namespace}-{name}"})
            stage.add(made, metadata={"namespace": namespace})
    compared = rollout.decide(
        stage.collection,
        stage_states(stage),
        elsewhere=(),
        given=rollout.Circumstances(credentials_ready=True, webhook_ready=True, now=0.0),
    )
    restarted = {str(verdict.workload.key) for verdict in compared if verdict.mark is not None}
    assert restarted == {"models/a", "elsewhere/a"}


def stage_states(stage):
    served = [
        Matched(item.pod, item.deployment, Choice(stage.collection, Reason.OPERATOR_DEFAULT)) for item in stage.pods
    ]
    return compare(stage.collection, served).states
