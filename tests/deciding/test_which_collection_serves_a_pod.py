from __future__ import annotations

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide.selection import Collections, choose

ANNOTATED = {"metadata": {"annotations": {"collect_model_data": "true"}}}


def named(build, name, *, created="2026-11-20T10:00:00Z", namespace="models", selector=None):
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": created}
    return build.collection(metadata=metadata, spec={"selector": selector})


def test_a_selector_that_matches_serves(build):
    choice = choose(build.pod(), build.deployment(), Collections.of([build.collection()]))
    assert choice.collection is not None
    assert choice.reason is Reason.SELECTED


def test_a_selector_that_does_not_match_leaves_the_pod_alone(build):
    pod = build.pod(metadata={"labels": {"app": "other"}})
    choice = choose(pod, build.deployment(), Collections.of([build.collection()]))
    assert (choice.collection, choice.reason) == (None, Reason.NOT_SELECTED)


def test_an_emptied_selector_matches_nothing(build):
    everything = named(build, "all", selector={"matchLabels": None})
    assert choose(build.pod(), None, Collections.of([everything])).collection is None


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [
        ("In", ["churn", "other"], True),
        ("In", ["other"], False),
        ("NotIn", ["other"], True),
        ("NotIn", ["churn"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_expressions_match_as_in_kubernetes(build, operator, values, matches):
    selector = {"matchLabels": None, "matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
    choice = choose(build.pod(), None, Collections.of([named(build, "x", selector=selector)]))
    assert (choice.collection is not None) is matches


def test_a_label_may_have_an_empty_value(build):
    marked = build.pod(metadata={"labels": {"app": "churn", "models.example/scored": ""}})
    collections = Collections.of([named(build, "x", selector={"matchLabels": {"models.example/scored": ""}})])
    assert choose(marked, None, collections).collection is not None
    assert choose(build.pod(), None, collections).collection is None


@pytest.mark.parametrize("operator", ["NotIn", "DoesNotExist"])
def test_a_label_that_is_not_there_is_not_in_anything(build, operator):
    expression = {"key": "missing", "operator": operator, "values": ["x"] if operator == "NotIn" else []}
    collection = named(build, "x", selector={"matchLabels": None, "matchExpressions": [expression]})
    assert choose(build.pod(), None, Collections.of([collection])).collection is not None


def test_the_older_of_two_serves_and_the_other_loses(build):
    older = named(build, "zebra", created="2026-01-01T00:00:00Z", selector={"matchLabels": {"app": "churn"}})
    newer = named(build, "aardvark", created="2026-01-02T00:00:00Z", selector={"matchLabels": {"app": "churn"}})
    choice = choose(build.pod(), None, Collections.of([newer, older]))
    assert choice.collection is older
    assert choice.losers == (newer.key,)


def test_of_the_same_age_the_name_decides(build):
    selector = {"matchLabels": {"app": "churn"}}
    first, second = named(build, "a", selector=selector), named(build, "b", selector=selector)
    assert choose(build.pod(), None, Collections.of([second, first])).collection is first


@pytest.mark.parametrize("where", ["deployment", "pod"])
def test_false_always_wins_and_says_who_would_have_served(build, where):
    off = {"metadata": {"annotations": {"collect_model_data": "false"}}}
    on = ANNOTATED
    pod, deployment = (
        (build.pod(**off), build.deployment(**on)) if where == "pod" else (build.pod(**on), build.deployment(**off))
    )
    choice = choose(pod, deployment, Collections.of([build.collection()]))
    assert (choice.collection, choice.reason) == (None, Reason.OPTED_OUT)
    assert choice.candidate == ObjectKey("models", "churn")


@pytest.mark.parametrize("value", ["True", "yes", "", "1", " true"])
def test_a_misspelt_wish_collects_nothing_and_says_so(build, value):
    deployment = build.deployment(metadata={"annotations": {"collect_model_data": value}})
    choice = choose(build.pod(), deployment, Collections.of([build.collection()]))
    assert (choice.collection, choice.reason) == (None, Reason.INVALID_ANNOTATION)
    assert choice.candidate == ObjectKey("models", "churn")
    assert '"true" or "false"' in choice.message


def test_the_named_collection_serves_before_the_selected_one(build):
    other = named(build, "other")
    metadata = {"annotations": {"collect_model_data": "true", "modeldata.dev/data-collection": "other"}}
    choice = choose(build.pod(), build.deployment(metadata=metadata), Collections.of([build.collection(), other]))
    assert (choice.collection, choice.reason) == (other, Reason.NAMED)


def test_a_named_collection_that_is_not_there_is_not_replaced_by_another(build):
    metadata = {"annotations": {"collect_model_data": "true", "modeldata.dev/data-collection": "gone"}}
    choice = choose(build.pod(), build.deployment(metadata=metadata), Collections.of([build.collection()]))
    assert (choice.collection, choice.reason) == (None, Reason.COLLECTION_NOT_FOUND)
    assert "'gone'" in choice.message


def test_the_selected_collection_serves_before_the_default(build):
    default = named(build, "default")
    choice = choose(build.pod(), build.deployment(**ANNOTATED), Collections.of([default, build.collection()]))
    assert choice.reason is Reason.SELECTED


def test_the_namespaces_default_serves_before_the_operators(build):
    default, operators = named(build, "default"), named(build, "default", namespace="modeldata-system")
    choice = choose(build.pod(), build.deployment(**ANNOTATED), Collections.of([default], operators))
    assert (choice.collection, choice.reason) == (default, Reason.DEFAULT)


def test_the_operators_default_serves_when_nothing_else_does(build):
    operators = named(build, "default", namespace="modeldata-system")
    choice = choose(build.pod(), build.deployment(**ANNOTATED), Collections.of([], operators))
    assert (choice.collection, choice.reason) == (operators, Reason.OPERATOR_DEFAULT)


def test_the_operators_default_serves_only_what_is_annotated(build):
    everything = {"matchLabels": {"app": "churn"}}
    operators = named(build, "default", namespace="modeldata-system", selector=everything)
    assert choose(build.pod(), build.deployment(), Collections.of([], operators)).collection is None


def test_nothing_to_serve_an_annotated_deployment_says_what_to_create(build):
    choice = choose(build.pod(), build.deployment(**ANNOTATED), Collections.of([]))
    assert choice.reason is Reason.COLLECTION_NOT_FOUND
    assert 'named "default"' in choice.message


def test_a_pod_template_may_carry_the_annotation_itself(build):
    pod = build.pod(metadata={"ownerReferences": [], "labels": {"app": "x"}, **ANNOTATED["metadata"]})
    assert choose(pod, None, Collections.of([named(build, "default")])).reason is Reason.DEFAULT


def test_a_pod_template_may_name_its_collection(build):
    other = named(build, "other")
    annotations = {"collect_model_data": "true", "modeldata.dev/data-collection": "other"}
    pod = build.pod(metadata={"ownerReferences": [], "annotations": annotations})
    choice = choose(pod, None, Collections.of([build.collection(), other]))
    assert (choice.collection, choice.reason) == (other, Reason.NAMED)


def test_a_misspelt_wish_of_a_pod_template_collects_nothing(build):
    pod = build.pod(metadata={"ownerReferences": [], "annotations": {"collect_model_data": "yes"}})
    assert choose(pod, None, Collections.of([build.collection()])).reason is Reason.INVALID_ANNOTATION


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "ReplicaSet", None])
def test_pods_of_every_kind_are_selected_by_their_labels(build, kind):
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "owner", "uid": "u", "controller": True}
    pod = build.pod(metadata={"labels": {"app": "churn"}, "ownerReferences": [owner] if kind else []})
    choice = choose(pod, None, Collections.of([build.collection()]))
    assert choice.reason is Reason.SELECTED
    assert pod.workload(None).kind == (kind or "Pod")


def test_an_argo_rollout_is_named_without_its_templates_hash(build):
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "canary-77", "uid": "u", "controller": True}
    labels = {"app": "churn", "pod-template-hash": None, "rollouts-pod-template-hash": "77"}
    pod = build.pod(metadata={"labels": labels, "ownerReferences": [owner]})
    assert (pod.deployment_name, pod.workload_name(None)) == (None, "canary")
    assert pod.workload(None).subject.kind == "ReplicaSet"


def test_a_static_pod_is_never_touched(build):
    pod = build.pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
    assert choose(pod, None, Collections.of([build.collection()])).collection is None
