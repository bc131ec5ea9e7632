from __future__ import annotations

import pytest

from modeldata_operator.api.reasons import Reason

from .conftest import compare
from .stage import OVERDUE, UNDER_WAY, WAITING, Stage


@pytest.fixture
def stage(build):
    return Stage(build)


def test_an_uninjected_deployment_is_restarted(stage):
    stage.add(stage.deployment(revision=4))
    verdict = stage.only()
    assert verdict.reason is Reason.WAITING_FOR_RESTART
    assert str(verdict.mark) == f"{stage.mark}/5"


def test_pods_of_one_deployment_lead_to_one_restart(stage):
    deployment = stage.deployment()
    for _ in range(3):
        stage.add(deployment)
    verdict = stage.only()
    assert (verdict.pods, verdict.injected, verdict.mark is not None) == (3, 0, True)


def test_an_injected_deployment_is_left_alone(stage):
    stage.add(stage.deployment(), injected=True)
    assert stage.decide() == {}


def test_never_twice_for_the_same_reason(stage):
    stage.add(stage.deployment(mark=stage.mark))
    verdict = stage.only()
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTARTED_IN_VAIN)
    assert "kubectl -n models rollout restart deployment/scoring" in verdict.message


def test_after_a_restart_in_vain_no_other_is_made(stage):
    stage.add(stage.deployment("a", mark=stage.mark))
    stage.add(stage.deployment("b"))
    assert stage.decide()["b"].reason is Reason.WAITING_FOR_TURN


def test_another_injection_is_another_reason(stage):
    stage.add(stage.deployment(mark="models/churn/ffffffffffffffff"))
    assert stage.only().mark is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spec": {"paused": True}}, Reason.ROLLOUT_PAUSED),
        ({"metadata": {"generation": 2}}, Reason.ROLLOUT_RUNNING),
        ({"status": {"replicas": 3, "conditions": [UNDER_WAY]}}, Reason.ROLLOUT_RUNNING),
        ({"status": {"updatedReplicas": 1, "conditions": [UNDER_WAY]}}, Reason.ROLLOUT_RUNNING),
        ({"status": {"availableReplicas": 1}}, Reason.WORKLOAD_UNAVAILABLE),
        ({"status": {"updatedReplicas": 1, "conditions": [OVERDUE]}}, Reason.WORKLOAD_UNAVAILABLE),
    ],
)
def test_a_deployment_in_motion_paused_or_unhealthy_is_left_alone(stage, changes, expected):
    stage.add(stage.deployment(**changes))
    assert (stage.only().mark, stage.only().reason) == (None, expected)


def test_a_deployment_that_something_else_controls_is_only_reported(stage):
    owner = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "x", "controller": True}
    stage.add(stage.deployment(metadata={"ownerReferences": [owner]}))
    verdict = stage.only()
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTART_NEEDED)
    assert "kubectl -n models delete pod scoring-5c6f-0" in verdict.message


def test_nothing_is_restarted_while_switched_off(stage):
    stage.add(stage.deployment())
    verdict = stage.only(spec={"enabled": False})
    assert (verdict.mark, verdict.reason) == (None, Reason.SWITCHED_OFF)


def test_nothing_is_restarted_without_a_sas(stage):
    stage.add(stage.deployment())
    assert stage.only(credentials_ready=False).mark is None


def test_nothing_is_restarted_while_the_webhook_is_away(stage):
    stage.add(stage.deployment())
    verdict = stage.only(webhook_ready=False)
    assert (verdict.mark, verdict.reason) == (None, Reason.WEBHOOK_UNAVAILABLE)


def test_manual_only_reports_and_says_how(stage):
    stage.add(stage.deployment())
    verdict = stage.only(spec={"rollout": "Manual"})
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTART_NEEDED)
    assert "kubectl -n models rollout restart deployment/scoring" in verdict.message


@pytest.mark.parametrize(
    ("kind", "name", "labels", "command"),
    [
        ("StatefulSet", "db", {}, "kubectl -n models rollout restart statefulset/db"),
        ("DaemonSet", "edge", {}, "kubectl -n models rollout restart daemonset/edge"),
        ("Job", "nightly", {}, "kubectl -n models delete job/nightly, and create it again"),
        ("ReplicaSet", "old", {}, "kubectl -n models delete pod alone-5c6f-0"),
        ("ReplicaSet", "canary-77", {"rollouts-pod-template-hash": "77"}, "kubectl argo rollouts restart canary"),
    ],
)
def test_what_is_no_deployment_is_reported_with_the_command_that_restarts_it(stage, kind, name, labels, command):
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": True}
    stage.add(owner=owner, metadata={"labels": {"app": "churn", "pod-template-hash": None, **labels}})
    verdict = stage.only()
    assert (verdict.mark, verdict.reason) == (None, Reason.RESTART_NEEDED)
    assert command in verdict.message


def test_a_bare_pod_is_reported_with_the_command_that_makes_it_anew(stage):
    stage.add()
    assert "kubectl -n models get pod alone-5c6f-0 -o yaml | kubectl" in stage.only().message


def test_one_deployment_at_a_time(stage):
    for name in ("a", "b", "c"):
        stage.add(stage.deployment(name))
    verdicts = stage.decide()
    assert {name for name, verdict in verdicts.items() if verdict.mark} == {"a"}
    assert verdicts["b"].reason is verdicts["c"].reason is Reason.WAITING_FOR_TURN
    assert "waits for Deployment a" in verdicts["b"].message


@pytest.mark.parametrize("pods", ["old", "new", "none"])
def test_the_next_waits_until_the_last_is_available(stage, pods):
    status = {"updatedReplicas": 1, "conditions": [UNDER_WAY]}
    deployment = stage.deployment("a", mark=stage.mark, status=status)
    if pods != "none":
        stage.add(deployment, injected=pods == "new", mark=stage.mark)
    stage.add(stage.deployment("b"))
    verdicts = stage.decide(elsewhere=[deployment] if pods == "none" else [])
    assert verdicts["b"].reason is Reason.WAITING_FOR_TURN


def test_the_next_follows_once_the_last_is_available(stage):
    stage.add(stage.deployment("a", mark=stage.mark), injected=True, mark=stage.mark)
    stage.add(stage.deployment("b"))
    assert stage.only().mark is not None


def test_pods_that_come_and_go_later_hold_nobody_up(stage):
    # Scaled up or drained after its rollout was over: the reason of Progressing stays.
    stage.add(stage.deployment("a", mark=stage.mark, status={"availableReplicas": 1}), injected=True, mark=stage.mark)
    stage.add(stage.deployment("b"))
    assert stage.only().mark is not None


@pytest.mark.parametrize(
    "conditions", [[], [{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"}]]
)
@pytest.mark.parametrize("available", [1, 2])
def test_without_a_word_on_progress_a_restart_is_over_when_all_pods_are_available(stage, conditions, available):
    status = {"conditions": conditions, "availableReplicas": available}
    stage.add(stage.deployment("a", mark=stage.mark, status=status), injected=True, mark=stage.mark)
    stage.add(stage.deployment("b"))
    assert (stage.only().mark is not None) is (available == 2)


@pytest.mark.parametrize("crash", [True, False])
def test_a_rollout_stops_where_pods_crash_or_are_late(stage, crash):
    conditions = [UNDER_WAY if crash else OVERDUE]
    deployment = stage.deployment("a", mark=stage.mark, status={"updatedReplicas": 1, "conditions": conditions})
    stage.add(deployment)
    stage.add(deployment, injected=True, mark=stage.mark, status=WAITING if crash else {})
    stage.add(stage.deployment("b"))
    verdicts = stage.decide()
    assert verdicts["a"].reason is Reason.ROLLOUT_STOPPED
    assert ("CrashLoopBackOff in container scoring" if crash else "deadline") in verdicts["a"].message
    assert "kubectl -n models rollout undo deployment/a" in verdicts["a"].message
    assert (verdicts["b"].reason, verdicts["b"].mark) == (Reason.WAITING_FOR_TURN, None)


def test_old_pods_that_crash_are_not_the_restarts_doing(stage):
    deployment = stage.deployment("a", mark=stage.mark, status={"updatedReplicas": 1, "conditions": [UNDER_WAY]})
    stage.add(deployment, status=WAITING)
    assert stage.only().reason is Reason.ROLLOUT_RUNNING


def test_a_template_that_someone_changed_later_is_not_the_restarts_doing(stage):
    changes = {"revision": 9, "status": {"conditions": [OVERDUE]}}
    stage.add(stage.deployment("a", mark=f"{stage.mark}/5", **changes), injected=True)
    stage.add(stage.deployment("b"))
    assert stage.only().mark is not None


def stopped(stage, *, observed_generation=3):
    entry = {"kind": "Deployment", "namespace": "models", "name": "a", "reason": "RolloutStopped"}
    status = {"observedGeneration": observed_generation, "conditions": [], "workloads": [entry]}
    return stage.build.collection(status=status)


def test_what_was_rolled_back_after_a_stop_is_not_restarted_again(stage):
    stage.collection = stopped(stage)
    stage.add(stage.deployment("a"))
    stage.add(stage.deployment("b"))
    verdicts = stage.decide()
    assert verdicts["a"].reason is Reason.ROLLOUT_STOPPED
    assert verdicts["b"].reason is Reason.WAITING_FOR_TURN
    assert not any(verdict.mark for verdict in verdicts.values())


def test_a_stopped_deployment_without_pods_still_stops(stage):
    stage.collection = stopped(stage)
    stage.add(stage.deployment("b"))
    assert stage.decide(elsewhere=[stage.deployment("a")])["b"].reason is Reason.WAITING_FOR_TURN


@pytest.mark.parametrize(
    "changes", [{"spec": {"replicas": 0}}, {"metadata": {"annotations": {"collect_model_data": "false"}}}]
)
def test_a_stopped_deployment_that_is_off_or_opted_out_stops_nothing(stage, changes):
    stage.collection = stopped(stage)
    stage.add(stage.deployment("b"))
    assert stage.only(elsewhere=[stage.deployment("a", **changes)]).mark is not None


def test_a_rollout_goes_on_once_its_stopped_deployment_is_injected_and_available(stage):
    stage.collection = stopped(stage)
    stage.add(stage.deployment("a"), injected=True)
    stage.add(stage.deployment("b"))
    assert stage.only().mark is not None


def test_a_rollout_goes_on_once_a_person_has_changed_the_collection(stage):
    stage.collection = stopped(stage, observed_generation=2)
    stage.add(stage.deployment("a"))
    assert stage.only().mark is not None


def test_pods_that_the_webhook_missed_are_told_apart_from_those_that_were_there_before(stage):
    deployment = stage.deployment(mark=stage.mark)
    stage.add(deployment, injected=True, metadata={"creationTimestamp": "2026-11-20T12:00:00Z"})
    stage.add(deployment, metadata={"creationTimestamp": "2026-11-20T11:00:00Z"})
    stage.add(deployment, metadata={"creationTimestamp": "2026-11-20T13:00:00Z"})
    verdict = stage.only()
    assert (verdict.reason, verdict.mark) == (Reason.WAITING_FOR_RESTART, None)
    assert "1 of the 3 pods" in verdict.message
    assert verdict.evict.key.name == "scoring-5c6f-2"


def test_a_pod_younger_than_the_unchanged_collection_that_selects_it_was_missed(stage):
    stage.collection = stage.build.collection(metadata={"generation": 1})
    stage.add(stage.deployment(), metadata={"creationTimestamp": "2026-11-20T10:01:00Z"})
    stage.add(stage.deployment(), metadata={"creationTimestamp": "2026-11-20T09:59:00Z"})
    (state,) = compare(stage.collection, stage.pods).states
    assert (state.missed, len(state.missing)) == (1, 2)
