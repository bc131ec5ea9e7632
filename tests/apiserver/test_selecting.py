"""Which pods are collected, and what is said of those that are not, with the real controller and webhook."""

from __future__ import annotations

import json
import subprocess
import typing

import pytest

from ..conftest import Eventually
from . import installation
from .actors import CONTAINER, Actors, owned_by
from .server import NAMESPACE, programs


def labels(**more: str) -> dict[str, str]:
    return {"app": "churn", **more}


@pytest.mark.parametrize(
    ("owner", "more", "workload", "command"),
    [
        (owned_by("StatefulSet", "db"), {}, "db", "rollout restart statefulset/db"),
        (owned_by("DaemonSet", "edge"), {}, "edge", "rollout restart daemonset/edge"),
        (owned_by("Job", "nightly", api_version="batch/v1"), {}, "nightly", "delete job/nightly, and create it again"),
        (owned_by("ReplicaSet", "old"), {}, "old", "delete pod before"),
        (
            owned_by("ReplicaSet", "canary-77"),
            {"rollouts-pod-template-hash": "77"},
            "canary",
            "kubectl argo rollouts restart canary -n",
        ),
    ],
)
def test_pods_of_what_is_no_deployment_are_collected_from_their_next_start_on(
    actors: Actors,
    eventually: Eventually,
    owner: dict[str, typing.Any],
    more: dict[str, str],
    workload: str,
    command: str,
) -> None:
    actors.pod({"name": "before", "labels": labels(**more), "ownerReferences": [owner]})
    actors.collection()
    eventually(lambda: actors.told(workload)[0] == "RestartNeeded")
    assert command in actors.told(workload)[1]
    eventually(lambda: command in actors.events(owner["kind"], owner["name"]).get("RestartNeeded", ""))
    actors.delete_pod("before")
    after = {"name": "after", "labels": labels(**more), "ownerReferences": [owner]}
    eventually(lambda: actors.start(after) == "churn")
    eventually(lambda: actors.condition("PodsInjected") == ("True", "AllInjected"))


def test_a_bare_pod_is_made_anew_by_the_command_that_is_told(actors: Actors, eventually: Eventually) -> None:
    actors.pod({"name": "alone", "labels": labels()})
    actors.collection()
    eventually(lambda: actors.told("alone")[0] == "RestartNeeded")
    command = "kubectl " + actors.told("alone")[1].partition("kubectl ")[2]
    home = str(actors.api.directory)
    environment = {"PATH": f"{programs()}:/usr/bin:/bin", "KUBECONFIG": str(actors.api.kubeconfig), "HOME": home}
    subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True)
    assert actors.injected_by("alone") == "churn"


def test_a_template_that_carries_the_annotation_is_told_what_to_create_and_then_collected(
    actors: Actors, eventually: Eventually
) -> None:
    replica_set = owned_by("ReplicaSet", "canary-77")
    metadata = {
        "labels": {"app": "unselected", "rollouts-pod-template-hash": "77"},
        "annotations": {"collect_model_data": "true"},
        "ownerReferences": [replica_set],
    }
    actors.pod({"name": "before", **metadata})
    eventually(lambda: 'named "default"' in actors.events("ReplicaSet", "canary-77").get("CollectionNotFound", ""))
    actors.collection("default", selector=None)
    eventually(lambda: "kubectl argo rollouts restart canary" in actors.told("canary", "default")[1])
    eventually(lambda: actors.start({"name": "after", **metadata}) == "default")

    metadata["annotations"]["modeldata.dev/data-collection"] = "other"
    actors.collection("other", selector=None)
    eventually(lambda: actors.start({"name": "after", **metadata}) == "other")


def test_a_deployment_is_told_what_its_annotation_lacks(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a", annotations={"collect_model_data": "true"})
    eventually(lambda: 'named "default"' in actors.events("Deployment", "a").get("CollectionNotFound", ""))
    actors.annotate("a", "yes")
    eventually(lambda: 'write "true" or "false"' in actors.events("Deployment", "a").get("InvalidAnnotation", ""))
    actors.collection()
    eventually(lambda: actors.told("a")[0] == "InvalidAnnotation")
    assert actors.condition("Stalled") == ("True", "InvalidAnnotation")
    eventually(lambda: "InvalidAnnotation" in actors.events("DataCollection", "churn"))
    assert actors.said("Deployment", "a").count("InvalidAnnotation") == 1


def test_who_opted_out_is_listed_with_the_reason_and_collected_by_nobody(
    actors: Actors, eventually: Eventually
) -> None:
    actors.collection()
    actors.deployment("a", annotations={"collect_model_data": "false"})
    eventually(lambda: actors.told("a")[0] == "OptedOut")
    assert actors.enabled("a") == {None}
    assert actors.condition("PodsInjected") == ("True", "NoPods")
    eventually(lambda: "OptedOut" in actors.events("Deployment", "a"))


def test_of_two_that_select_the_same_the_later_says_conflict(actors: Actors, eventually: Eventually) -> None:
    actors.collection("first", selector={"matchLabels": {"app": "churn"}})
    # Their ages are whole seconds; of the same second the name decides.
    actors.collection("second", selector={"matchLabels": {"app": "churn"}})
    actors.deployment("a")
    eventually(lambda: actors.told("a", "second")[0] == "Conflict")
    assert "older DataCollection first" in actors.told("a", "second")[1]
    assert actors.condition("PodsInjected", "second") == ("False", "Conflict")
    assert actors.condition("Stalled", "second") == ("True", "Conflict")
    eventually(lambda: actors.status("first")["pods"]["matched"] == 1)
    assert actors.status("second")["pods"]["matched"] == 0


def test_a_missing_secret_is_told_on_the_deployment_too(actors: Actors, eventually: Eventually) -> None:
    storage = {"credential": {"secretRef": {"name": "nowhere"}}, "endpoint": "http://127.0.0.1:9"}
    actors.collection(storage=storage)
    actors.deployment("a")
    eventually(lambda: actors.condition("Stalled") == ("True", "SecretNotFound"))
    eventually(lambda: "nowhere" in actors.events("Deployment", "a").get("SecretNotFound", ""))


def test_the_operators_default_serves_annotated_deployments_everywhere(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a", annotations={"collect_model_data": "true"})
    operators = Actors(actors.api, NAMESPACE)
    operators.account()
    operators.collection("default", selector=None, **installation.serving(installation.EVERYWHERE))
    try:
        eventually(lambda: actors.mark("a"))
        assert actors.mark("a").startswith(f"{NAMESPACE}/default/")
        actors.roll_out("a")
        eventually(lambda: actors.enabled("a") == {True})
        assert actors.secret("modeldata-operator-default")["data"]["sas"]
    finally:
        operators.delete_collection("default")
    eventually(lambda: actors.enabled("a") == {False})
    # No owner reference crosses namespaces, so garbage collection would not take it.
    eventually(lambda: actors.secret("modeldata-operator-default") is None)


def test_of_many_containers_the_named_ones_are_collected_a_sidecar_too(actors: Actors, eventually: Eventually) -> None:
    actors.collection(containers=["proxy", "sidecar"])
    spec = {
        "containers": [CONTAINER, {"name": "proxy", "image": "x"}],
        "initContainers": [
            {"name": "fetch", "image": "x"},
            {"name": "sidecar", "image": "x", "restartPolicy": "Always"},
        ],
    }
    eventually(lambda: actors.start({"name": "many", "labels": labels()}, spec) == "churn")
    stored = actors.get_pod("many")["spec"]
    mounting = {
        container["name"]
        for container in stored["containers"] + stored["initContainers"]
        if any(mount["name"] == "modeldata-spool" for mount in container.get("volumeMounts", []))
    }
    assert mounting == {"proxy", "sidecar"}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"volumes": [{"name": "modeldata-spool", "hostPath": {"path": "/tmp"}}]}, "NameTaken"),
        ({"containers": [{**CONTAINER, "env": [{"name": "MODELDATA_DIR", "value": "/mine"}]}]}, "NameTaken"),
        (
            {
                "volumes": [{"name": "mine", "emptyDir": {}}],
                "containers": [{**CONTAINER, "volumeMounts": [{"name": "mine", "mountPath": "/var/run/modeldata"}]}],
            },
            "PathTaken",
        ),
        ({"containers": [{"name": "other", "image": "x"}], "initContainers": [CONTAINER]}, "ContainerNotFound"),
        ({"containers": [{**CONTAINER, "resources": {"limits": {"ephemeral-storage": "3Mi"}}}]}, "NoRoom"),
    ],
)
def test_a_pod_that_uses_what_is_ours_runs_unchanged_and_is_told(
    actors: Actors, eventually: Eventually, spec: dict[str, typing.Any], reason: str
) -> None:
    actors.collection(containers=["scoring"])
    # One that can be injected first: the webhook knows the collection from then on.
    eventually(lambda: actors.start({"name": "good", "labels": labels()}) == "churn")
    assert actors.start({"name": "taken", "labels": labels()}, spec) == ""
    stored = actors.get_pod("taken")
    assert "modeldata.dev/settings" not in stored["metadata"].get("annotations", {})
    eventually(lambda: actors.told("taken")[0] == reason)
    eventually(lambda: reason in actors.events("Pod", "taken"))


def test_a_pod_with_as_many_annotations_as_there_may_be_is_admitted(actors: Actors, eventually: Eventually) -> None:
    actors.collection()
    eventually(lambda: actors.start({"name": "good", "labels": labels()}) == "churn")
    most = 256 * 1024
    annotations = {"note": "x" * (most - len("note"))}
    assert actors.start({"name": "crowded", "labels": labels(), "annotations": annotations}) == ""


def test_a_label_without_a_value_selects(actors: Actors, eventually: Eventually) -> None:
    actors.collection(selector={"matchLabels": {"scored": ""}})
    eventually(lambda: actors.start({"name": "good", "labels": labels(scored="")}) == "churn")
    assert actors.start({"name": "other", "labels": labels(scored="no")}) == ""
    actors.deployment("a", app="", annotations={"collect_model_data": "yes"})
    eventually(lambda: "InvalidAnnotation" in actors.events("Deployment", "a"))


def test_a_small_disk_limit_makes_a_small_spool(actors: Actors, eventually: Eventually) -> None:
    actors.collection()
    limits = {"limits": {"ephemeral-storage": "20Mi"}}
    spec = {"containers": [{**CONTAINER, "resources": limits}, {"name": "proxy", "image": "x", "resources": limits}]}
    eventually(lambda: actors.start({"name": "small", "labels": labels()}, spec) == "churn")
    stored = actors.get_pod("small")
    spool = next(volume for volume in stored["spec"]["volumes"] if volume["name"] == "modeldata-spool")
    settings = json.loads(stored["metadata"]["annotations"]["modeldata.dev/settings"])
    assert settings["spool"]["bytes"] == 10 * 1024**2
    assert spool["emptyDir"]["sizeLimit"] in ("20Mi", str(20 * 1024**2))
