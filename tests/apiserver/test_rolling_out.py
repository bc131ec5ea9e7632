"""Which Deployments are restarted and when, with the real controller and webhook; the rest is played by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from modeldata_operator.decide import verification

from ..conftest import Eventually
from .actors import CRASHING, Actors, Manifest, lead_to_webhook, webhook_replicas
from .conftest import Operated
from .server import free_ports


def age(pod: Manifest) -> float:
    """Seconds since a pod was created."""
    return (datetime.now(UTC) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()


def test_deployments_are_restarted_one_by_one_until_one_of_them_crashes(
    actors: Actors, operated: Operated, eventually: Eventually
) -> None:
    for name in ("a", "b", "c"):
        actors.deployment(name, pods=2)
    assert actors.enabled("a") == {None}
    actors.collection()

    eventually(lambda: actors.mark("a"))
    eventually(lambda: actors.told("b")[0] == "WaitingForTurn")
    # A controller that knows nothing of the last one's doings waits just the same.
    operated.replace_controller()
    actors.roll_out("a", keep_old=True)
    eventually(lambda: actors.status()["pods"]["injected"] == 2)
    eventually(lambda: actors.told("b") == ("WaitingForTurn", "Deployment b waits for Deployment a"))
    assert (actors.mark("b"), actors.mark("c")) == (None, None)

    actors.roll_out("a")
    assert actors.enabled("a") == {True}
    eventually(lambda: actors.mark("b"))
    eventually(lambda: actors.told("c") == ("WaitingForTurn", "Deployment c waits for Deployment b"))

    actors.roll_out("b", state=CRASHING, keep_old=True)
    eventually(lambda: actors.condition("Stalled") == ("True", "RolloutStopped"))
    assert "CrashLoopBackOff in container scoring" in actors.told("b")[1]
    assert actors.mark("c") is None
    eventually(lambda: "rollout undo deployment/b" in actors.events("Deployment", "b").get("RolloutStopped", ""))

    # Rolled back, the mark is gone with the template that had it; it is not restarted again all the same.
    actors.roll_back("b")
    eventually(lambda: "did not become available after its restart" in actors.told("b")[1])
    assert actors.enabled("b") == {None}
    assert (actors.mark("b"), actors.mark("c")) == (None, None)

    # Started again by a person, and well: the rollout goes on.
    actors.roll_out("b")
    eventually(lambda: actors.mark("c"))
    actors.roll_out("c")
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))
    assert actors.condition("Stalled")[0] == "False"
    assert actors.status()["pods"] == {"matched": 6, "injected": 6, "current": 6}


def test_manual_restarts_nothing_and_says_the_command(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    actors.collection(rollout="Manual")
    eventually(lambda: actors.told("a")[0] == "RestartNeeded")
    assert actors.condition("PodsInjected") == ("False", "RestartNeeded")
    # That a person does it is what was asked for: only the storage, which is not there, keeps it from being ready.
    eventually(lambda: actors.condition("Ready") == ("False", "StorageUnreachable"))
    assert actors.condition("Stalled")[0] == "False"
    eventually(lambda: "RestartNeeded" in actors.events("Deployment", "a"))
    assert actors.mark("a") is None
    command = actors.told("a")[1].partition("kubectl ")[2]
    actors.api.kubectl(*command.split())
    actors.roll_out("a")
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))
    # What was put off to a person's time is done at once when it is put into the operator's hands.
    actors.deployment("b", app="later")
    actors.patch_collection("churn", {"rollout": "Automatic", "selector": {"matchLabels": {"app": "later"}}})
    eventually(lambda: actors.mark("b"))


def test_a_paused_deployment_is_left_alone_until_it_goes_on(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    actors.patch_deployment("a", {"spec": {"paused": True}})
    actors.set_status("a", replicas=1, ready=1)
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "RolloutPaused")
    eventually(lambda: "RolloutPaused" in actors.events("Deployment", "a"))
    assert actors.mark("a") is None
    command = actors.told("a")[1].partition("kubectl ")[2]
    actors.api.kubectl(*command.split())
    actors.set_status("a", replicas=1, ready=1)
    eventually(lambda: actors.mark("a"))
    eventually(lambda: "Restarted" in actors.events("Deployment", "a"))


def test_an_unhealthy_deployment_is_not_restarted(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a", pods=2)
    actors.set_status("a", replicas=2, ready=1)
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "WorkloadUnavailable")
    assert actors.mark("a") is None
    actors.set_status("a", replicas=2, ready=2)
    eventually(lambda: actors.mark("a"))


def test_nothing_is_restarted_while_the_webhook_is_away(actors: Actors, eventually: Eventually) -> None:
    webhook_replicas(actors.api, 0)
    actors.deployment("a")
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "WebhookUnavailable")
    eventually(lambda: "WebhookUnavailable" in actors.events("Deployment", "a"))
    assert actors.mark("a") is None
    webhook_replicas(actors.api, 1)
    eventually(lambda: actors.mark("a"))


def test_a_pod_made_while_the_webhook_did_not_answer_is_told_and_evicted_each_time(
    actors: Actors, operated: Operated, eventually: Eventually
) -> None:
    actors.deployment("a")
    actors.collection()
    eventually(lambda: actors.mark("a"))
    actors.roll_out("a")
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))
    (sibling,) = actors.pods("a")

    mark = actors.mark("a")

    # What is hardly younger than its sibling may be from before the webhook knew the collection.
    eventually(lambda: age(sibling) > verification.WEBHOOK_GRACE + 1)
    for number in ("first", "second"):
        late = like(sibling, f"late-{number}")
        lead_to_webhook(actors.api, free_ports(1)[0])
        try:
            eventually(lambda late=late: actors.start(late) == "")
            # Nobody is evicted for a pod that would not be injected either.
            eventually(lambda: actors.told("a")[0] == "WebhookUnreachable")
            assert "a firewall" in actors.told("a")[1]
            assert actors.enabled("a") == {True, None}
        finally:
            lead_to_webhook(actors.api, operated.webhook.webhook_port)
        eventually(lambda: "1 of 2 pods were not injected" in actors.events("Deployment", "a").get("WebhookMissed", ""))
        eventually(lambda late=late: late["name"] not in names(actors))
        eventually(lambda: actors.told("a")[0] == "ReplacingPods")
        # As its ReplicaSet makes another in its place.
        eventually(lambda number=number: actors.start(like(sibling, f"next-{number}")) == "churn")
        eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))
        actors.delete_pod(f"next-{number}")
    # Its sibling and its template were left alone.
    assert sibling["metadata"]["name"] in names(actors)
    assert actors.mark("a") == mark
    assert actors.said("Deployment", "a").count("PodEvicted") == 2


def like(pod: Manifest, name: str) -> Manifest:
    """The metadata of another pod of the same ReplicaSet, before the webhook sees it."""
    labels = {key: value for key, value in pod["metadata"]["labels"].items() if "modeldata" not in key}
    return {"name": name, "labels": labels, "ownerReferences": pod["metadata"]["ownerReferences"]}


def names(actors: Actors) -> set[str]:
    """The pods that are there and not being deleted."""
    return {pod["metadata"]["name"] for pod in actors.pods() if "deletionTimestamp" not in pod["metadata"]}


def test_pods_that_stay_uninjected_after_a_restart_are_reported_and_not_restarted_again(
    actors: Actors, eventually: Eventually
) -> None:
    actors.deployment("a")
    actors.collection()
    mark = eventually(lambda: actors.mark("a"))
    actors.set_status("a", replicas=1, ready=1)
    eventually(lambda: actors.told("a")[0] == "RestartedInVain")
    eventually(lambda: "RestartedInVain" in actors.events("Deployment", "a"))
    assert actors.mark("a") == mark
