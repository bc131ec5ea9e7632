from __future__ import annotations

import copy

import pytest

from modeldata_operator.api import workloads
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import injection
from modeldata_operator.decide.injection import Plan, Refusal

SETTINGS = '{"version":1}'


def injected(build, manifest, collection=None):
    plan = injection.plan(collection or build.collection(), workloads.pod(manifest))
    assert isinstance(plan, Plan), plan
    result = copy.deepcopy(manifest)
    injection.inject(result, plan, SETTINGS)
    return result


def container(manifest, name):
    return next(item for item in manifest["spec"]["containers"] if item["name"] == name)


def test_a_pod_gets_exactly_what_the_contract_says(build):
    pod = injected(build, build.pod_manifest())
    scoring = container(pod, "scoring")
    assert scoring["env"] == [
        {"name": "MODELDATA_DIR", "value": "/var/run/modeldata"},
        {"name": "MODELDATA_POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}},
        {"name": "MODELDATA_POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        {"name": "AML_MODEL_DC_STORAGE_ENABLED", "value": "true"},
    ]
    assert scoring["volumeMounts"] == [
        {"name": "modeldata-settings", "mountPath": "/var/run/modeldata/settings", "readOnly": True},
        {"name": "modeldata-credential", "mountPath": "/var/run/modeldata/credential", "readOnly": True},
        {"name": "modeldata-spool", "mountPath": "/var/run/modeldata/spool"},
    ]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    item = volumes["modeldata-settings"]["downwardAPI"]["items"][0]
    assert item["path"] == "settings.json"
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['modeldata.dev/settings']"
    assert volumes["modeldata-credential"]["secret"] == {
        "secretName": "modeldata-churn",
        "optional": True,
        "defaultMode": 0o444,
    }
    assert volumes["modeldata-spool"] == {"name": "modeldata-spool", "emptyDir": {"sizeLimit": str(512 * 1024 * 1024)}}
    assert pod["metadata"]["labels"]["modeldata.dev/data-collection"] == "churn"
    assert "modeldata.dev/data-collection-namespace" not in pod["metadata"]["labels"]
    assert pod["metadata"]["annotations"]["modeldata.dev/settings"] == SETTINGS
    assert len(pod["metadata"]["annotations"]["modeldata.dev/injected"]) == 16


def test_only_the_first_container_is_chosen_unless_something_else_is_said(build):
    assert "env" not in container(injected(build, build.pod_manifest()), "proxy")


def test_kubectls_default_container_is_chosen(build):
    manifest = build.pod_manifest(metadata={"annotations": {"kubectl.kubernetes.io/default-container": "proxy"}})
    pod = injected(build, manifest)
    assert "env" in container(pod, "proxy")
    assert "env" not in container(pod, "scoring")


def test_the_named_containers_are_chosen(build):
    pod = injected(build, build.pod_manifest(), build.collection(spec={"containers": ["proxy", "elsewhere"]}))
    assert "env" in container(pod, "proxy")
    assert "env" not in container(pod, "scoring")


def test_a_container_that_is_not_there_leaves_the_pod_alone(build):
    refusal = injection.plan(build.collection(spec={"containers": ["nobody"]}), build.pod())
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.CONTAINER_NOT_FOUND
    assert "nobody" in refusal.message
    assert "scoring" in refusal.message


SIDECAR = {"initContainers": [{"name": "model", "restartPolicy": "Always"}, {"name": "fetch"}]}


def test_a_sidecar_can_be_chosen_by_name(build):
    pod = injected(build, build.pod_manifest(spec=SIDECAR), build.collection(spec={"containers": ["model"]}))
    model, fetch = pod["spec"]["initContainers"]
    assert {"name": "MODELDATA_DIR", "value": "/var/run/modeldata"} in model["env"]
    assert "volumeMounts" in model
    assert fetch == {"name": "fetch"}
    assert "env" not in container(pod, "scoring")


def test_a_sidecar_is_not_chosen_unless_it_is_named(build):
    pod = injected(build, build.pod_manifest(spec=SIDECAR))
    assert pod["spec"]["initContainers"] == SIDECAR["initContainers"]


def test_an_init_container_ends_before_the_model_serves_and_is_never_chosen(build):
    refusal = injection.plan(build.collection(spec={"containers": ["fetch"]}), build.pod(spec=SIDECAR))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.CONTAINER_NOT_FOUND
    assert "the pod has scoring, proxy, model" in refusal.message


def test_an_obstacle_in_a_chosen_sidecar_counts(build):
    env = [{"name": "MODELDATA_DIR", "value": "/mine"}]
    spec = {"initContainers": [{"name": "model", "restartPolicy": "Always", "env": env}]}
    refusal = injection.plan(build.collection(spec={"containers": ["model"]}), build.pod(spec=spec))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NAME_TAKEN


def test_injecting_twice_changes_nothing(build):
    once = injected(build, build.pod_manifest())
    assert injected(build, once) == once


def test_what_the_api_server_filled_in_does_not_make_it_another_injection(build):
    once = injected(build, build.pod_manifest())
    before = workloads.pod(once).injection
    once["spec"]["volumes"][0]["downwardAPI"]["items"][0]["mode"] = None
    once["spec"]["volumes"].append({"name": "kube-api-access", "projected": {}})
    assert injected(build, once) == once
    assert workloads.pod(once).injection == before


def test_nothing_else_of_the_pod_changes(build):
    manifest = build.pod_manifest(
        metadata={"annotations": {"mine": "1"}},
        spec={
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [
                {
                    "name": "scoring",
                    "image": "m",
                    "env": [{"name": "A", "value": "1"}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
        },
    )
    pod = injected(build, manifest)
    scoring = container(pod, "scoring")
    assert scoring["env"][0] == {"name": "A", "value": "1"}
    assert scoring["volumeMounts"][0] == {"name": "data", "mountPath": "/data"}
    assert pod["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}
    assert pod["metadata"]["annotations"]["mine"] == "1"
    assert set(pod["spec"]) == {"containers", "serviceAccountName", "volumes"}


def test_the_users_own_switch_is_left_alone(build):
    env = [{"name": "AML_MODEL_DC_STORAGE_ENABLED", "value": "false"}]
    pod = injected(build, build.pod_manifest(spec={"containers": [{"name": "scoring", "env": env}]}))
    values = [item for item in container(pod, "scoring")["env"] if item["name"] == "AML_MODEL_DC_STORAGE_ENABLED"]
    assert values == env


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            {"containers": [{"name": "scoring", "env": [{"name": "MODELDATA_DIR", "value": "/mine"}]}]},
            Reason.NAME_TAKEN,
        ),
        ({"volumes": [{"name": "modeldata-spool", "hostPath": {"path": "/"}}]}, Reason.NAME_TAKEN),
        ({"volumes": [{"name": "modeldata-settings", "configMap": {"name": "x"}}]}, Reason.NAME_TAKEN),
        (
            {
                "volumes": [
                    {
                        "name": "modeldata-settings",
                        "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]},
                    }
                ]
            },
            Reason.NAME_TAKEN,
        ),
        ({"volumes": [{"name": "modeldata-credential", "secret": {"secretName": "mine"}}]}, Reason.NAME_TAKEN),
        (
            {
                "containers": [
                    {"name": "scoring", "volumeMounts": [{"name": "v", "mountPath": "/var/run/modeldata/spool/"}]}
                ]
            },
            Reason.PATH_TAKEN,
        ),
        (
            {"containers": [{"name": "scoring", "volumeMounts": [{"name": "v", "mountPath": "/var/run/modeldata"}]}]},
            Reason.PATH_TAKEN,
        ),
        (
            {
                "volumes": [{"name": "v", "configMap": {"name": "x"}}],
                "containers": [{"name": "scoring", "volumeMounts": [{"name": "v", "mountPath": "/var/run"}]}],
            },
            Reason.PATH_TAKEN,
        ),
        (
            {
                "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [
                    {"name": "scoring", "volumeMounts": [{"name": "v", "mountPath": "/run", "readOnly": True}]}
                ],
            },
            Reason.PATH_TAKEN,
        ),
    ],
)
def test_what_the_user_has_there_already_stays_and_the_pod_is_left_alone(build, spec, reason):
    refusal = injection.plan(build.collection(), build.pod(spec=spec))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


def test_a_writable_run_directory_of_the_users_is_no_obstacle(build):
    spec = {
        "volumes": [{"name": "run", "emptyDir": {}}],
        "containers": [{"name": "scoring", "volumeMounts": [{"name": "run", "mountPath": "/run"}]}],
    }
    assert isinstance(injection.plan(build.collection(), build.pod(spec=spec)), Plan)


def test_an_obstacle_in_a_container_that_is_not_collected_does_not_matter(build):
    env = [{"name": "MODELDATA_DIR", "value": "/mine"}]
    spec = {"containers": [{"name": "scoring"}, {"name": "proxy", "env": env}]}
    assert isinstance(injection.plan(build.collection(), build.pod(spec=spec)), Plan)


def test_a_label_and_annotations_copied_into_a_template_are_no_injection(build):
    once = injected(build, build.pod_manifest())
    copied = build.pod_manifest(
        metadata={"labels": once["metadata"]["labels"], "annotations": once["metadata"]["annotations"]}
    )
    assert workloads.pod(copied).injection is None


def test_the_operators_default_says_in_which_namespace_it_is(build):
    default = build.collection(metadata={"name": "default", "namespace": "modeldata-system"})
    pod = injected(build, build.pod_manifest(), default)
    assert pod["metadata"]["labels"]["modeldata.dev/data-collection-namespace"] == "modeldata-system"
    parsed = workloads.pod(pod).injection
    assert parsed is not None
    assert str(parsed.collection) == "modeldata-system/default"
    secret = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "modeldata-credential")
    assert secret["secret"]["secretName"] == "modeldata-operator-default"


def test_a_pod_that_has_no_name_yet_is_injected(build):
    manifest = build.pod_manifest()
    del manifest["metadata"]["name"], manifest["metadata"]["namespace"], manifest["metadata"]["labels"]
    plan = injection.plan(build.collection(), workloads.pod(manifest, namespace="models"))
    assert isinstance(plan, Plan)
    injection.inject(manifest, plan, SETTINGS)
    assert manifest["metadata"]["labels"] == {"modeldata.dev/data-collection": "churn"}


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"webservice": "other"},
        {"storage": {"path": "{designation}/{file}", "file": "PerPod"}},
        {"storage": {"credential": {"secretRef": None, "sasTokenSecretRef": {"name": "writer"}}}},
        {"sampling": {"percent": 5}},
        {"redact": [{"feature": "ssn", "action": "Hash"}]},
        {"columns": "AzureML"},
        {"flushInterval": "1m"},
        {"spool": {"size": "10Gi"}},
        {"rollout": "Manual"},
    ],
)
def test_what_is_live_needs_no_restart(build, change):
    plans = [
        injection.plan(collection, build.pod()) for collection in (build.collection(), build.collection(spec=change))
    ]
    assert plans[0].hash == plans[1].hash


def test_other_containers_need_a_restart(build):
    plans = [
        injection.plan(collection, build.pod())
        for collection in (build.collection(), build.collection(spec={"containers": ["proxy"]}))
    ]
    assert plans[0].hash != plans[1].hash


def limited(*limits, init=()):
    containers = [
        {"name": f"c{number}", "resources": {"limits": {"ephemeral-storage": limit} if limit else {}}}
        for number, limit in enumerate(limits)
    ]
    return {
        "containers": containers,
        "initContainers": [{"name": "i", "resources": {"limits": {"ephemeral-storage": limit}}} for limit in init],
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (limited(None, None), 256 * 1024**2),
        (limited("4Gi"), 256 * 1024**2),
        (limited("400Mi"), 100 * 1024**2),
        # One limit is enough for the kubelet to hold the whole pod to it.
        (limited("40Mi", None), 10 * 1024**2),
        (limited("20Mi", "20M"), (20 * 1024**2 + 20_000_000) // 4),
        (limited(None, init=["8Mi"]), 2 * 1024**2),
        # A sidecar runs as long as the pod does, so its limit counts to the sum.
        (
            {
                "containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": "20Mi"}}}],
                "initContainers": [
                    {"name": "s", "restartPolicy": "Always", "resources": {"limits": {"ephemeral-storage": "20Mi"}}}
                ],
            },
            10 * 1024**2,
        ),
        (limited("4Mi"), 1024**2),
    ],
)
def test_the_spool_never_gets_a_pod_evicted(build, spec, expected):
    pod = build.pod(spec=spec)
    assert injection.spool_bytes(build.collection(), pod) == expected
    if pod.ephemeral_storage is not None:
        plan = injection.plan(build.collection(), pod)
        assert plan.spool_bytes * injection.SIZE_LIMIT_FACTOR <= pod.ephemeral_storage


@pytest.mark.parametrize(
    "spec",
    [
        limited("4194303"),
        limited("1e6"),
        limited("nonsense"),
        limited("0"),
        {"volumes": [{"name": "modeldata-spool", "emptyDir": {"sizeLimit": "1Mi"}}]},
    ],
)
def test_a_pod_without_room_for_a_spool_is_left_alone(build, spec):
    refusal = injection.plan(build.collection(), build.pod(spec=spec))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NO_ROOM


SPOOL = {"name": "modeldata-spool", "emptyDir": {"sizeLimit": "512Mi"}}


@pytest.mark.parametrize(
    ("size", "volume", "expected"),
    [
        ("256Mi", SPOOL, 256 * 1024**2),
        ("1Gi", SPOOL, 256 * 1024**2),
        ("64Mi", SPOOL, 64 * 1024**2),
        ("1Gi", {"name": "modeldata-spool", "emptyDir": {"sizeLimit": 1_000_000}}, 500_000),
        ("1Gi", {"name": "modeldata-spool", "emptyDir": {}}, 1024**3),
        ("1Gi", {"name": "another", "emptyDir": {"sizeLimit": "1Mi"}}, 1024**3),
    ],
)
def test_a_running_pods_spool_never_outgrows_the_volume_it_was_started_with(build, size, volume, expected):
    pod = build.pod(spec={"volumes": [volume]})
    collection = build.collection(spec={"spool": {"size": size}})
    assert injection.spool_bytes(collection, pod) == expected


def test_the_smallest_of_wish_volume_and_disk_limit_counts(build):
    pod = build.pod(spec={**limited("100Mi"), "volumes": [SPOOL]})
    assert injection.spool_bytes(build.collection(spec={"spool": {"size": "1Gi"}}), pod) == 25 * 1024**2


def test_another_spool_gives_new_pods_another_volume(build):
    pod = injected(build, build.pod_manifest(), build.collection(spec={"spool": {"size": "1Gi"}}))
    volume = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "modeldata-spool")
    assert volume["emptyDir"]["sizeLimit"] == str(2 * 1024**3)


@pytest.mark.parametrize(("size", "outgrown"), [("1Gi", True), ("256Mi", False), ("1Mi", False)])
def test_a_pod_that_would_get_more_by_a_restart_is_known(build, size, outgrown):
    pod = build.pod(spec={"volumes": [SPOOL]})
    assert injection.outgrown(build.collection(spec={"spool": {"size": size}}), pod) is outgrown


def test_a_restart_gives_no_more_where_the_disk_limit_is_what_bounds(build):
    pod = build.pod(spec={**limited("1Gi"), "volumes": [SPOOL]})
    assert not injection.outgrown(build.collection(spec={"spool": {"size": "10Gi"}}), pod)
