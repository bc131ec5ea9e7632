from __future__ import annotations

import pytest

from modeldata_operator import rollout
from modeldata_operator.reasons import Reason
from modeldata_operator.resources import ObjectKey
from modeldata_operator.rollout import Uninjected

HASH = "0123456789abcdef"
MARKER = f"models/churn/{HASH}"


def decide(build, deployment, *, collection=None, credentials_ready=True, webhook_ready=True, hashes=(HASH,)):
    pods = [Uninjected(ObjectKey("models", f"pod-{number}"), deployment, value) for number, value in enumerate(hashes)]
    found = rollout.verdicts(
        collection or build.collection(), pods, credentials_ready=credentials_ready, webhook_ready=webhook_ready
    )
    assert len(found) == 1
    return found[0]


def test_an_uninjected_deployment_is_restarted(build):
    verdict = decide(build, build.deployment())
    assert verdict.restart
    assert verdict.marker == MARKER


def test_pods_of_one_deployment_lead_to_one_restart(build):
    verdict = decide(build, build.deployment(), hashes=("ffffffffffffffff", "0123456789abcdef"))
    assert verdict.marker == MARKER


def marked(build, **changes):
    template = {"template": {"metadata": {"annotations": {"modeldata.dev/restarted-for": MARKER}}}}
    return build.deployment(spec=template, **changes)


def test_never_twice_for_the_same_reason(build):
    verdict = decide(build, marked(build))
    assert not verdict.restart
    assert verdict.reason is Reason.RESTARTED_IN_VAIN
    assert "kubectl -n models rollout restart deployment/scoring" in verdict.message


def test_a_restart_that_is_under_way_is_waited_for(build):
    verdict = decide(build, marked(build, status={"updatedReplicas": 1, "replicas": 3}))
    assert verdict.reason is Reason.ROLLOUT_RUNNING


def test_another_injection_is_another_reason(build):
    assert decide(build, marked(build), hashes=("ffffffffffffffff",)).restart


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"spec": {"paused": True}}, Reason.ROLLOUT_PAUSED),
        ({"metadata": {"generation": 2}}, Reason.ROLLOUT_RUNNING),
        ({"status": {"replicas": 3}}, Reason.ROLLOUT_RUNNING),
        ({"status": {"updatedReplicas": 1}}, Reason.ROLLOUT_RUNNING),
    ],
)
def test_a_deployment_in_motion_or_paused_is_left_alone(build, deployment, expected):
    verdict = decide(build, build.deployment(**deployment))
    assert (verdict.restart, verdict.reason) == (False, expected)


def test_nothing_is_restarted_while_switched_off(build):
    verdict = decide(build, build.deployment(), collection=build.collection(spec={"enabled": False}))
    assert (verdict.restart, verdict.reason) == (False, Reason.SWITCHED_OFF)


def test_nothing_is_restarted_without_a_sas(build):
    assert not decide(build, build.deployment(), credentials_ready=False).restart


def test_nothing_is_restarted_while_the_webhook_is_away(build):
    verdict = decide(build, build.deployment(), webhook_ready=False)
    assert (verdict.restart, verdict.reason) == (False, Reason.WEBHOOK_UNAVAILABLE)


def test_pods_of_no_deployment_are_only_reported(build):
    verdict = decide(build, None, hashes=("a", "b", "c", "d"))
    assert (verdict.restart, verdict.reason) == (False, Reason.RESTART_NEEDED)
    assert "4 pods" in verdict.message
