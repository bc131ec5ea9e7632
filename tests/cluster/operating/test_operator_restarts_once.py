"""A Deployment whose pods missed the webhook is restarted, once, and never on a doubt."""

from __future__ import annotations

import json

WEBHOOK = "modeldata-operator-webhook"
SELECTED = {"matchLabels": {"app": "churn"}}


def revisions(world):
    return len(world.get("replicasets", "-l", "app=churn")["items"])


def test_what_the_webhook_missed_is_restarted_once_when_it_is_back(world):
    world.account()
    world.collection(selector=SELECTED)
    with world.without(WEBHOOK):
        world.deployment()
        world.reaches("PodsInjected", "False", "WebhookUnavailable")
        assert revisions(world) == 1
    world.reaches("Ready", "True", "Collecting")
    assert world.injected(world.pod())
    assert revisions(world) == 2


def test_a_pod_that_the_webhook_missed_later_is_replaced_and_nothing_restarted(world):
    world.deployment()
    world.account()
    world.collection(selector=SELECTED)
    world.reaches("Ready", "True", "Collecting")
    with world.without(WEBHOOK):
        world.kubectl("delete", "pods", "-l", "app=churn", "--wait=true")
        world.rolled_out()
        world.eventually(lambda: [world.injected(pod) for pod in world.pods()] == [False])
        world.reaches("PodsInjected", "False", "WebhookUnavailable")
    world.reaches("Ready", "True", "Collecting")
    assert world.injected(world.pod())
    assert revisions(world) == 2


def test_a_paused_deployment_is_not_restarted(world):
    world.deployment()
    world.kubectl("rollout", "pause", "deployment/scoring")
    world.account()
    world.collection(selector=SELECTED)
    world.reaches("PodsInjected", "False", "RolloutPaused")
    assert revisions(world) == 1
    world.kubectl("rollout", "resume", "deployment/scoring")
    world.reaches("Ready", "True", "Collecting")
    assert revisions(world) == 2


def test_nothing_is_restarted_while_switched_off_or_without_a_sas(world):
    world.deployment()
    world.collection(selector=SELECTED)
    world.reaches("CredentialsReady", "False", "SecretNotFound")
    world.kubectl("patch", "mdc", "churn", "--type", "merge", "-p", json.dumps({"spec": {"enabled": False}}))
    world.account()
    world.eventually(lambda: world.reason("CredentialsReady")[0] == "True")
    world.reaches("PodsInjected", "False", "SwitchedOff")
    assert revisions(world) == 1
