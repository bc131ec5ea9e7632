"""The pod that the API server is asked for is the one that a restart would bring, and its answer is understood."""

from __future__ import annotations

import pytest

from modeldata_operator.api import restartables, workloads
from modeldata_operator.api.owners import RestartMark
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import injection, rehearsal

from .conftest import DEPLOYMENT, merged

TEMPLATE = {
    "metadata": {"labels": {"app": "churn"}, "annotations": {"team": "risk"}},
    "spec": {"containers": [{"name": "scoring", "image": "model"}], "volumes": [{"name": "data", "emptyDir": {}}]},
}
NAMED = {"name": "other", "namespace": "models", "uid": "uid-other"}
SPEC = {"selector": {"matchLabels": {"app": "churn"}}, "template": TEMPLATE, "replicas": 3}
WHERE = "kubernetes.io/metadata.name"


def example(build, kind, **labels):
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "other", "uid": "uid-owner", "controller": True}
    if kind == "ReplicaSet":
        owner["name"] = "other-5c6f"
    return build.pod(metadata={"ownerReferences": [owner], "labels": labels})


def rehearsed(body, parse, pod, **arguments):
    mark = RestartMark(parse(body).key, "0123", 5)
    return rehearsal.pod(body, parse(body), pod, arguments.pop("mark", mark), **arguments)


def test_of_a_deployment_it_is_its_replica_sets(build):
    body = merged(DEPLOYMENT, {"metadata": NAMED, "spec": SPEC})
    pod = rehearsed(body, restartables.deployment, example(build, "ReplicaSet"))
    metadata = pod["metadata"]
    assert metadata["generateName"] == "other-5c6f-"
    assert metadata["labels"] == {"app": "churn", "pod-template-hash": "5c6f"}
    assert metadata["annotations"] == {"team": "risk", "modeldata.dev/restarted-for": "models/other/0123/5"}
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ReplicaSet", "other-5c6f", "uid-owner")
    assert pod["spec"] == TEMPLATE["spec"]
    # So the webhook finds the Deployment by it.
    assert workloads.pod(pod).deployment_name == "other"
    assert "pod-template-hash" not in body["spec"]["template"]["metadata"]["labels"]


def test_of_a_stateful_set_it_has_a_name_a_host_and_claims_of_its_own(build):
    claims = [{"metadata": {"name": "data"}}, {"metadata": {"name": "cache"}}]
    spec = {**SPEC, "volumeClaimTemplates": claims, "serviceName": "db", "ordinals": {"start": 5}}
    body = {"metadata": NAMED, "spec": spec, "status": {"replicas": 4, "updateRevision": "other-7"}}
    pod = rehearsed(body, restartables.stateful_set, example(build, "StatefulSet"))
    # Beyond all that there are: the API server refuses a name that is taken.
    assert pod["metadata"]["name"] == pod["spec"]["hostname"] == "other-9"
    assert pod["spec"]["subdomain"] == "db"
    assert pod["metadata"]["labels"] == {
        "app": "churn",
        "controller-revision-hash": "other-7",
        "statefulset.kubernetes.io/pod-name": "other-9",
        "apps.kubernetes.io/pod-index": "9",
    }
    assert pod["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-other-9"}},
        {"name": "cache", "persistentVolumeClaim": {"claimName": "cache-other-9"}},
    ]
    assert workloads.pod(pod).owner.kind == "StatefulSet"


def test_of_a_daemon_set_it_has_its_revision(build):
    body = {"metadata": {**NAMED, "annotations": {"deprecated.daemonset.template.generation": "4"}}, "spec": SPEC}
    pod = rehearsed(body, restartables.daemon_set, example(build, "DaemonSet", **{"controller-revision-hash": "6d5b"}))
    assert pod["metadata"]["generateName"] == "other-"
    assert pod["metadata"]["labels"] == {
        "app": "churn",
        "controller-revision-hash": "6d5b",
        "pod-template-generation": "4",
    }


def test_of_an_argo_rollout_the_template_is_as_it_was(build):
    body = {"metadata": NAMED, "spec": SPEC}
    pod = rehearsed(body, restartables.rollout, example(build, "ReplicaSet", **{"rollouts-pod-template-hash": "5c6f"}))
    assert pod["metadata"]["labels"] == {"app": "churn", "rollouts-pod-template-hash": "5c6f"}
    assert pod["metadata"]["annotations"] == {"team": "risk"}


def test_an_argo_rollout_that_follows_a_deployment_has_that_ones_template(build):
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}
    body = {"metadata": NAMED, "spec": {"workloadRef": reference}}
    assert rehearsal.template_source(body).name == "scoring"
    pod = rehearsed(body, restartables.rollout, example(build, "ReplicaSet"), template=TEMPLATE)
    assert pod["spec"] == TEMPLATE["spec"]
    assert rehearsal.template_source({"metadata": NAMED, "spec": SPEC}) is None


@pytest.mark.parametrize(
    "name", ["../../others/deployments/scoring", "scoring?", "scoring/status", "%2e%2e", "..", "", None, ["scoring"]]
)
def test_an_argo_rollout_that_follows_what_no_deployment_is_called_follows_none(name):
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert rehearsal.template_source({"metadata": NAMED, "spec": {"workloadRef": reference}}) is None


def test_a_pod_to_be_evicted_has_a_successor_without_a_new_mark(build):
    body = merged(DEPLOYMENT, {"metadata": NAMED, "spec": SPEC})
    pod = rehearsed(body, restartables.deployment, example(build, "ReplicaSet"), mark=None)
    assert pod["metadata"]["annotations"] == {"team": "risk"}


def injected(build, collection):
    manifest = build.pod_manifest()
    injection.inject(manifest, injection.plan(collection, build.pod()), "{}")
    return manifest


def test_an_answer_that_is_injected_for_this_very_collection_proves_it(build):
    collection = build.collection()
    assert rehearsal.judge(collection, injected(build, collection), "models")


@pytest.mark.parametrize(
    "other", [{"metadata": {"name": "older"}}, {"spec": {"containers": ["proxy"]}}], ids=["another", "otherwise"]
)
def test_an_answer_that_is_not_proves_nothing(build, other):
    collection = build.collection()
    assert not rehearsal.judge(collection, build.pod_manifest(), "models")
    assert not rehearsal.judge(collection, injected(build, build.collection(**other)), "models")


def configuration(**changes):
    entry = {"name": "pods.modeldata.dev", "clientConfig": {"caBundle": "eA=="}, **changes}
    return {"webhooks": [{"name": "others.example.com"}, entry]}


@pytest.mark.parametrize(
    ("found", "seen", "said"),
    [
        (None, True, "there is no MutatingWebhookConfiguration here"),
        ({"webhooks": []}, True, "there is no MutatingWebhookConfiguration here"),
        (None, False, "look at namespaceSelector, objectSelector and caBundle of"),
        (configuration(clientConfig={}), True, "has no caBundle"),
        (configuration(objectSelector={"matchLabels": {"app": "other"}}), True, "objectSelector of"),
        (
            configuration(
                namespaceSelector={"matchExpressions": [{"key": WHERE, "operator": "NotIn", "values": ["models"]}]}
            ),
            True,
            "leaves namespace models out",
        ),
        (
            configuration(namespaceSelector={"matchLabels": {"modeldata.dev/collect": "enabled"}}),
            True,
            "labels that namespace models may lack (modeldata.dev/collect)",
        ),
        (configuration(), True, "a firewall"),
        (
            configuration(
                namespaceSelector={"matchExpressions": [{"key": WHERE, "operator": "NotIn", "values": ["x"]}]}
            ),
            True,
            "a firewall",
        ),
    ],
)
def test_what_to_look_at_is_said_as_far_as_it_can_be_told(build, found, seen, said):
    setback = rehearsal.not_injected("Deployment a", build.pod_manifest(), found, name="here", seen=seen)
    assert setback.reason is Reason.WEBHOOK_UNREACHABLE
    assert said in setback.message
    # It must not be cut in the status.
    assert len(setback.message) < 512


@pytest.mark.parametrize(("value", "out"), [("enabled", False), ("no", True)])
def test_where_the_namespaces_labels_are_known_it_is_said_for_certain(build, value, out):
    found = configuration(namespaceSelector={"matchLabels": {"modeldata.dev/collect": "enabled"}})
    labels = {"modeldata.dev/collect": value}
    setback = rehearsal.not_injected(
        "Deployment a", build.pod_manifest(), found, name="here", seen=True, namespace_labels=labels
    )
    assert ("leaves namespace models out, by the label modeldata.dev/collect" in setback.message) is out
    assert ("a firewall" in setback.message) is not out
