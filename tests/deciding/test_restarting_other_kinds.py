"""StatefulSets, DaemonSets and Argo Rollouts are restarted by the rules of Deployments, by what their status says."""

from __future__ import annotations

import pytest

from modeldata_operator.api import owners, restartables
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import rollout

from .conftest import merged
from .stage import WAITING, Stage

AT = 1_795_000_000
STATEFUL_SET = {
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 1, "availableReplicas": 2, "currentRevision": "a", "updateRevision": "a"},
}
DAEMON_SET = {
    "metadata": {"annotations": {"deprecated.daemonset.template.generation": "4"}},
    "status": {
        "observedGeneration": 1,
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    },
}
ROLLOUT = {
    "spec": {"replicas": 2},
    "status": {"observedGeneration": "1", "availableReplicas": 2, "stableRS": "77", "currentPodHash": "77"},
}
HEALTHY = {"StatefulSet": STATEFUL_SET, "DaemonSet": DAEMON_SET, "Rollout": ROLLOUT}
KINDS = list(HEALTHY)


@pytest.fixture
def stage(build):
    return Stage(build)


def made(stage, kind, **changes):
    return stage.other(kind, merged(HEALTHY[kind], changes))


def add(stage, known, **changes):
    """Add a pod as its controller makes it."""
    owner = {"apiVersion": "apps/v1", "kind": known.kind, "name": known.key.name, "uid": known.uid, "controller": True}
    labels = {"app": "churn", "pod-template-hash": None}
    if known.kind == "Rollout":
        owner |= {"kind": "ReplicaSet", "name": f"{known.key.name}-77"}
        labels["rollouts-pod-template-hash"] = "77"
    metadata = {"labels": labels, **changes.pop("metadata", {})}
    stage.add(known, owner=owner, metadata=metadata, **changes)


def restarted(stage, kind, *, at=AT, **changes):
    """A workload whose restart was made and is not over."""
    known = made(stage, kind)
    mark = str(rollout.stamped(rollout.mark(stage.collection, known, stage.hash), known, at))
    body = merged(HEALTHY[kind], {"metadata": {"generation": 2}, "status": {"observedGeneration": 2}})
    if kind == "Rollout":
        moment = "2026-11-18T11:06:40Z"
        body = merged(
            body,
            {
                "metadata": {"annotations": {"modeldata.dev/restarted-for": mark}},
                "spec": {"restartAt": moment},
                "status": {"observedGeneration": "2"},
            },
        )
    else:
        template = {"metadata": {"annotations": {"modeldata.dev/restarted-for": mark}}}
        body = merged(body, {"spec": {"template": template}})
    if kind == "StatefulSet":
        body = merged(body, {"status": {"updateRevision": "b"}})
    if kind == "DaemonSet":
        body = merged(body, {"metadata": {"annotations": {"deprecated.daemonset.template.generation": "5"}}})
        body = merged(body, {"status": {"updatedNumberScheduled": 1}})
    return stage.other(kind, merged(body, changes)), mark


OVER = {
    "StatefulSet": {"status": {"currentRevision": "b"}},
    "DaemonSet": {"status": {"updatedNumberScheduled": 2}},
    "Rollout": {"status": {"restartedAt": "2026-11-18T11:06:40Z"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_uninjected_workload_is_restarted(stage, kind):
    add(stage, made(stage, kind))
    verdict = stage.only()
    assert verdict.reason is Reason.WAITING_FOR_RESTART
    revision = {"StatefulSet": 2, "DaemonSet": 5, "Rollout": None}[kind]
    assert (verdict.mark.hash, verdict.mark.revision) == (stage.hash, revision)
    assert str(verdict.workload) == f"{kind} other"


@pytest.mark.parametrize("kind", KINDS)
def test_its_mark_says_when_and_is_read_back(stage, kind):
    known, text = restarted(stage, kind)
    assert str(known.restarted_for) == text
    assert known.restarted_for.at == AT
    if kind == "Rollout":
        # What it is restarted by, and not a template's revision.
        assert known.revision == known.restarted_for.revision == AT


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_waits_until_the_last_is_available(stage, kind):
    known, mark = restarted(stage, kind)
    add(stage, known, injected=True, mark=mark)
    stage.add(stage.deployment("b"))
    assert stage.only(now=AT + 10).reason is Reason.WAITING_FOR_TURN
    stage.pods.clear()
    known, mark = restarted(stage, kind, **OVER[kind])
    add(stage, known, injected=True, mark=mark)
    stage.add(stage.deployment("b"))
    assert stage.only(now=AT + 10).mark is not None


@pytest.mark.parametrize("kind", ["DaemonSet", "Rollout"])
def test_the_last_pod_of_a_restart_is_waited_for_where_the_status_says_over_before_it_is_there(stage, kind):
    field = {"DaemonSet": "numberAvailable", "Rollout": "availableReplicas"}[kind]
    known, mark = restarted(stage, kind, **merged(OVER[kind], {"status": {field: 1}}))
    add(stage, known, injected=True, mark=mark)
    stage.add(stage.deployment("b"))
    assert stage.only(now=AT + 10).reason is Reason.WAITING_FOR_TURN
    # A node that fails next week is not the restart's doing.
    assert stage.only(now=AT + rollout.PROGRESS_SECONDS + 1).mark is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_stops_where_pods_crash(stage, kind):
    known, mark = restarted(stage, kind)
    metadata = {"creationTimestamp": "2026-11-18T11:06:50Z"}
    add(stage, known, injected=True, mark=mark, status=WAITING, metadata=metadata)
    stage.add(stage.deployment("b"))
    verdicts = stage.decide(now=AT + 20)
    assert verdicts["other"].reason is Reason.ROLLOUT_STOPPED
    assert "CrashLoopBackOff" in verdicts["other"].message
    assert verdicts["b"].reason is Reason.WAITING_FOR_TURN


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_stops_where_no_new_pod_comes_as_nobody_else_watches_a_deadline(stage, kind):
    known, _ = restarted(stage, kind)
    add(stage, known)
    assert stage.only(now=AT + rollout.PROGRESS_SECONDS - 1).reason is Reason.ROLLOUT_RUNNING
    verdict = stage.only(now=AT + rollout.PROGRESS_SECONDS + 1)
    assert verdict.reason is Reason.ROLLOUT_STOPPED
    assert "no new pod for 10 minutes" in verdict.message


@pytest.mark.parametrize("kind", KINDS)
def test_old_pods_that_crash_are_not_the_restarts_doing(stage, kind):
    known, _ = restarted(stage, kind)
    add(stage, known, status=WAITING, metadata={"creationTimestamp": "2026-11-18T11:00:00Z"})
    assert stage.only(now=AT + 20).reason is Reason.ROLLOUT_RUNNING


@pytest.mark.parametrize("kind", KINDS)
def test_never_twice_for_the_same_reason(stage, kind):
    known, _ = restarted(stage, kind, **OVER[kind])
    add(stage, known, metadata={"creationTimestamp": "2026-11-18T11:00:00Z"})
    verdict = stage.only(now=AT + rollout.PROGRESS_SECONDS + 1)
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTARTED_IN_VAIN)


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("StatefulSet", {"metadata": {"generation": 2}}, Reason.ROLLOUT_RUNNING),
        ("StatefulSet", {"status": {"updateRevision": "b"}}, Reason.ROLLOUT_RUNNING),
        ("StatefulSet", {"status": {"availableReplicas": 1}}, Reason.WORKLOAD_UNAVAILABLE),
        ("DaemonSet", {"metadata": {"generation": 2}}, Reason.ROLLOUT_RUNNING),
        ("DaemonSet", {"status": {"updatedNumberScheduled": 1}}, Reason.ROLLOUT_RUNNING),
        ("DaemonSet", {"status": {"numberAvailable": 1}}, Reason.WORKLOAD_UNAVAILABLE),
        ("Rollout", {"metadata": {"generation": 2}}, Reason.ROLLOUT_RUNNING),
        ("Rollout", {"status": {"currentPodHash": "78"}}, Reason.ROLLOUT_RUNNING),
        ("Rollout", {"status": {"abort": True}}, Reason.ROLLOUT_RUNNING),
        ("Rollout", {"spec": {"paused": True}}, Reason.ROLLOUT_PAUSED),
        ("Rollout", {"status": {"pauseConditions": [{"reason": "CanaryPauseStep"}]}}, Reason.ROLLOUT_PAUSED),
        ("Rollout", {"status": {"availableReplicas": 1}}, Reason.WORKLOAD_UNAVAILABLE),
        (
            "Rollout",
            {"status": {"conditions": [{"type": "Progressing", "status": "False"}]}},
            Reason.WORKLOAD_UNAVAILABLE,
        ),
    ],
)
def test_one_in_motion_paused_or_unhealthy_is_left_alone(stage, kind, changes, expected):
    add(stage, made(stage, kind, **changes))
    verdict = stage.only()
    assert (verdict.mark, verdict.evict, verdict.reason) == (None, None, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_something_else_controls_is_only_reported(stage, kind):
    owner = {"apiVersion": "example.com/v1", "kind": "Database", "name": "x", "controller": True}
    add(stage, made(stage, kind, metadata={"ownerReferences": [owner]}))
    verdict = stage.only()
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTART_NEEDED)


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_one_whose_owner_deletes_pods_himself_is_only_reported(stage, kind):
    add(stage, made(stage, kind, spec={"updateStrategy": {"type": "OnDelete"}}))
    verdict = stage.only()
    assert (verdict.mark, verdict.evict, verdict.reason) == (None, None, Reason.RESTART_NEEDED)
    assert "kubectl -n models delete pod other-5c6f-0" in verdict.message


def test_of_a_partitioned_stateful_set_pods_are_replaced_and_its_template_left_alone(stage):
    spec = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
    add(stage, made(stage, "StatefulSet", spec=spec, status={"updateRevision": "b"}))
    verdict = stage.only()
    assert (verdict.mark, verdict.evict.key.name) == (None, "other-5c6f-0")


@pytest.mark.parametrize("kind", KINDS)
def test_only_missed_pods_are_replaced(stage, kind):
    known = made(stage, kind)
    add(stage, known, injected=True, metadata={"creationTimestamp": "2026-11-20T12:00:00Z"})
    add(stage, known, metadata={"creationTimestamp": "2026-11-20T13:00:00Z"})
    verdict = stage.only()
    assert (verdict.mark, verdict.evict.key.name) == (None, "other-5c6f-1")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_a_template_that_someone_changed_later_is_not_the_restarts_doing(stage, kind):
    later = {
        "metadata": {"generation": 7, "annotations": {"deprecated.daemonset.template.generation": "9"}},
        "status": {"observedGeneration": 7},
    }
    known, _ = restarted(stage, kind, **later)
    add(stage, known, injected=True)
    stage.add(stage.deployment("b"))
    assert stage.only(now=AT + 10).mark is not None


@pytest.mark.parametrize(
    "text",
    ["models/churn/1", "models/churn/1/5", "models/churn/1/5/1795000000", "models/churn/1//1795000000"],
)
def test_marks_of_all_ages_are_read(text):
    assert str(owners.restart_mark(text)) == text


@pytest.mark.parametrize("text", [None, "", "models/churn", "/churn/1", "a/b/c/d/e/f"])
def test_what_is_no_mark_is_none(text):
    assert owners.restart_mark(text) is None


def test_an_argo_rollout_of_an_old_version_says_no_generation(stage):
    assert made(stage, "Rollout", status={"observedGeneration": "5f8c9d"}).observed


def test_all_kinds_say_where_they_live():
    assert set(restartables.API_VERSIONS) == {"Deployment", *KINDS}
