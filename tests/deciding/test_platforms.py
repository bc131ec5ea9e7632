"""What a pod says of its platform: nodes that can't carry what collecting needs, a mesh's proxies, an autoscaler."""

from __future__ import annotations

import copy
import json

import pytest

from modeldata_operator.api import workloads
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import CredentialStatus, PodCounts, Status
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import injection, rollout, status
from modeldata_operator.decide.injection import Plan, Refusal
from modeldata_operator.decide.selection import Collections, Matched, choose

from .conftest import compare

SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
VIRTUAL = {"nodeSelector": {"kubernetes.io/role": "agent", "type": "virtual-kubelet"}}
TOLERATING = {"tolerations": [{"key": "virtual-kubelet.io/provider", "operator": "Exists"}]}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (VIRTUAL, Reason.VIRTUAL_NODE),
        (TOLERATING, Reason.VIRTUAL_NODE),
        ({"tolerations": [{"key": "virtual-kubelet.io/provider", "value": "azure"}]}, Reason.VIRTUAL_NODE),
        ({"os": {"name": "windows"}}, Reason.WINDOWS_NODE),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, Reason.WINDOWS_NODE),
        ({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, Reason.WINDOWS_NODE),
    ],
)
def test_a_pod_whose_nodes_cannot_carry_it_is_left_alone_with_the_reason(build, spec, reason):
    refusal = injection.plan(build.collection(), build.pod(spec=spec))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": {"type": "gpu"}},
        {"nodeSelector": {"kubernetes.io/os": "linux"}, "os": {"name": "linux"}},
        # It tolerates whatever there is, as an agent of every node does; and is not aimed at anything.
        {"tolerations": [{"operator": "Exists"}]},
        {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
    ],
)
def test_any_other_pod_is_not(build, spec):
    assert isinstance(injection.plan(build.collection(), build.pod(spec=spec)), Plan)


def summary(build, *pods):
    """The conditions of a collection that serves these pods."""
    collection = build.collection()
    served = [Matched(pod, None, choose(pod, None, Collections.of([collection]))) for pod in pods]
    found = compare(collection, served)
    given = rollout.Circumstances(credentials_ready=True, webhook_ready=True, now=0.0)
    verdicts = rollout.decide(collection, found.states, elsewhere=(), given=given)
    observed = status.Observation(
        generation=1,
        enabled=True,
        credential=CredentialStatus(0, ""),
        credential_finding=status.Finding(Reason.CREDENTIALS_VALID, ""),
        credential_ready=True,
        pods=PodCounts(found.matched, found.injected, found.injected),
        verdicts=verdicts,
    )
    made = status.from_observation(observed, previous=Status(), now="2026-11-20T12:00:00Z")
    conditions = {each.type: (each.status, each.reason) for each in made.conditions}
    return made, conditions


def collected(build, name):
    manifest = build.pod_manifest(metadata={"name": name, "ownerReferences": []})
    plan = injection.plan(build.collection(), workloads.pod(manifest))
    injection.inject(manifest, plan, "{}")
    return workloads.pod(manifest)


def test_beside_pods_that_are_collected_they_are_listed_and_nobodys_trouble(build):
    virtual = build.pod(metadata={"name": "burst", "ownerReferences": []}, spec=VIRTUAL)
    made, conditions = summary(build, collected(build, "a"), virtual)
    assert conditions["Ready"] == ("True", "Collecting")
    assert conditions["Stalled"][0] == "False"
    assert (made.pods.matched, made.pods.injected) == (1, 1)
    assert [(each.key, each.reason) for each in made.workloads] == [(ObjectKey("models", "burst"), "VirtualNode")]


def test_where_there_are_no_others_nothing_is_collected_and_a_person_is_told(build):
    _, conditions = summary(build, build.pod(spec={"os": {"name": "windows"}}))
    assert conditions["Ready"] == ("False", "WindowsNode")
    assert conditions["Stalled"] == ("True", "WindowsNode")


def test_they_hide_no_other_fault(build):
    virtual = build.pod(metadata={"name": "burst", "ownerReferences": []}, spec=VIRTUAL)
    bare = build.pod(metadata={"name": "bare", "ownerReferences": []})
    _, conditions = summary(build, virtual, bare)
    assert conditions["Stalled"] == ("True", "RestartNeeded")


PROXY_FIRST = [{"name": "linkerd-proxy", "image": "proxy"}, {"name": "scoring", "image": "model"}]


def chosen(build, manifest, collection=None):
    plan = injection.plan(collection or build.collection(), workloads.pod(manifest))
    assert isinstance(plan, Plan)
    return plan.containers


@pytest.mark.parametrize("name", ["linkerd-proxy", "istio-proxy"])
def test_a_meshs_proxy_that_stands_first_is_not_the_model(build, name):
    manifest = build.pod_manifest(spec={"containers": [{"name": name}, {"name": "scoring"}]})
    assert chosen(build, manifest) == ("scoring",)


@pytest.mark.parametrize("said", ['{"containers": ["gateway"]}', '{"containers": ["other"]}', "no json", '["a"]', "{}"])
def test_what_istio_says_that_it_injected_is_not_the_model_either(build, said):
    manifest = build.pod_manifest(
        metadata={"annotations": {"sidecar.istio.io/status": said}},
        spec={"containers": [{"name": "gateway"}, {"name": "scoring"}]},
    )
    assert chosen(build, manifest) == (("scoring",) if "gateway" in said else ("gateway",))


def test_kubectls_default_container_goes_before_the_order_but_is_no_proxy(build):
    spec = {"containers": [*PROXY_FIRST, {"name": "second"}]}
    annotations = {"kubectl.kubernetes.io/default-container": "second"}
    assert chosen(build, build.pod_manifest(metadata={"annotations": annotations}, spec=spec)) == ("second",)
    annotations = {"kubectl.kubernetes.io/default-container": "linkerd-proxy"}
    assert chosen(build, build.pod_manifest(metadata={"annotations": annotations}, spec=spec)) == ("scoring",)


def test_who_names_a_proxy_gets_it(build):
    manifest = build.pod_manifest(spec={"containers": PROXY_FIRST})
    assert chosen(build, manifest, build.collection(spec={"containers": ["linkerd-proxy"]})) == ("linkerd-proxy",)


def test_a_pod_of_nothing_but_a_proxy_is_collected_as_it_is(build):
    assert chosen(build, build.pod_manifest(spec={"containers": PROXY_FIRST[:1]})) == ("linkerd-proxy",)


def test_a_proxy_that_comes_after_the_injection_and_stands_first_changes_nothing(build):
    manifest = build.pod_manifest(spec={"containers": [{"name": "scoring", "image": "model"}]})
    injection.inject(manifest, injection.plan(build.collection(), workloads.pod(manifest)), "{}")
    before = copy.deepcopy(manifest)
    # Then the API server asks again, with what the mesh's webhook has made of it.
    manifest["spec"]["containers"].insert(0, {"name": "linkerd-proxy", "image": "proxy"})
    plan = injection.plan(build.collection(), workloads.pod(manifest))
    injection.inject(manifest, plan, "{}")
    assert manifest["metadata"] == before["metadata"]
    assert manifest["spec"]["containers"] == [
        {"name": "linkerd-proxy", "image": "proxy"},
        *before["spec"]["containers"],
    ]


def injected(build, **annotations):
    manifest = build.pod_manifest(metadata={"annotations": annotations})
    plan = injection.plan(build.collection(), workloads.pod(manifest))
    injection.inject(manifest, plan, "{}")
    return manifest, plan


@pytest.mark.parametrize(
    ("present", "after"),
    [
        ({}, "modeldata-spool"),
        ({VOLUMES: ""}, "modeldata-spool"),
        ({VOLUMES: "cache"}, "cache,modeldata-spool"),
        ({VOLUMES: "cache, models"}, "cache, models,modeldata-spool"),
        ({VOLUMES: "modeldata-spool"}, "modeldata-spool"),
        ({VOLUMES: "cache, modeldata-spool"}, "cache, modeldata-spool"),
        ({SAFE: "true"}, "modeldata-spool"),
        ({SAFE: "false"}, None),
        ({SAFE: "false", VOLUMES: "cache"}, "cache"),
    ],
)
def test_the_spool_does_not_keep_a_node_alive(build, present, after):
    manifest, _ = injected(build, **present)
    assert manifest["metadata"]["annotations"].get(VOLUMES) == after
    again = copy.deepcopy(manifest)
    injection.inject(again, injection.plan(build.collection(), workloads.pod(again)), "{}")
    assert again == manifest


def test_no_pod_is_restarted_for_it(build):
    _, without = injected(build, **{SAFE: "false"})
    manifest, plan = injected(build)
    assert plan.hash == without.hash
    del manifest["metadata"]["annotations"][VOLUMES]  # as it was injected before
    assert plan.accepts(workloads.pod(manifest).injection.hash)


def test_what_is_added_counts_among_the_annotations_that_an_object_may_have(build):
    settings = json.dumps({"pad": "x" * 100})
    ours = {"modeldata.dev/injected": "0" * 16, "modeldata.dev/settings": settings, VOLUMES: "modeldata-spool"}
    size = sum(len(name) + len(value) for name, value in ours.items())
    room = injection.ANNOTATION_BYTES - size - len("pad")
    assert injection.fits(build.pod_manifest(metadata={"annotations": {"pad": "x" * room}}), settings)
    assert not injection.fits(build.pod_manifest(metadata={"annotations": {"pad": "x" * (room + 1)}}), settings)
