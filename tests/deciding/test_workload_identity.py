from __future__ import annotations

import copy
import json

import pytest

from modeldata_operator.access import minting
from modeldata_operator.api import pod_token, resources, workloads
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import document, injection
from modeldata_operator.decide.injection import Plan, Refusal

GUID = "01234567-89ab-cdef-0123-456789abcdef"
TENANT = "76543210-89ab-cdef-0123-456789abcdef"
TOKEN_VOLUME = {
    "name": "modeldata-identity-token",
    "projected": {
        "sources": [
            {
                "serviceAccountToken": {
                    "audience": "api://AzureADTokenExchange",
                    "expirationSeconds": 3600,
                    "path": "token",
                }
            }
        ]
    },
}
TOKEN_MOUNT = {"name": "modeldata-identity-token", "mountPath": "/var/run/modeldata/identity", "readOnly": True}


@pytest.fixture
def collection(build):
    return signing_in(build)


def signing_in(build, *, client=GUID, endpoint="https://account.blob.core.windows.net", **spec):
    manifest = build.collection_manifest(spec={"storage": {"endpoint": endpoint}, **spec})
    manifest["spec"]["storage"]["credential"] = {"workloadIdentity": {"clientId": client, "tenantId": TENANT}}
    parsed = resources.collection(manifest)
    assert isinstance(parsed, resources.DataCollection), parsed
    return parsed


def injected(collection, manifest):
    plan = injection.plan(collection, workloads.pod(manifest))
    assert isinstance(plan, Plan), plan
    result = copy.deepcopy(manifest)
    injection.inject(result, plan, "{}")
    return result


def container(manifest, name="scoring"):
    return next(item for item in manifest["spec"]["containers"] if item["name"] == name)


def test_a_pod_gets_a_token_in_the_collected_container_only(build, collection):
    pod = injected(collection, build.pod_manifest())
    assert TOKEN_VOLUME in pod["spec"]["volumes"]
    assert TOKEN_MOUNT in container(pod)["volumeMounts"]
    assert "volumeMounts" not in container(pod, "proxy")


def test_a_sidecar_that_is_collected_has_a_token(build):
    sidecar = {"name": "collecting", "image": "m", "restartPolicy": "Always"}
    collection = signing_in(build, containers=["collecting"])
    pod = injected(collection, build.pod_manifest(spec={"initContainers": [sidecar]}))
    assert TOKEN_MOUNT in pod["spec"]["initContainers"][0]["volumeMounts"]
    assert workloads.pod(pod).has_token


def test_nothing_of_azures_is_set(build, collection):
    # The label would have Azure's webhook called, which fails closed; the variables would change a model's identity.
    pod = injected(collection, build.pod_manifest())
    assert "azure" not in json.dumps(pod["metadata"]).lower()
    assert [item["name"] for item in container(pod)["env"] if item["name"].startswith("AZURE")] == []


def test_the_secret_is_mounted_too_for_the_key_of_hashes(build, collection):
    pod = injected(collection, build.pod_manifest())
    assert "modeldata-credential" in {volume["name"] for volume in pod["spec"]["volumes"]}


def test_injecting_twice_changes_nothing(build, collection):
    once = injected(collection, build.pod_manifest())
    assert injected(collection, once) == once


def test_a_token_that_is_there_already_is_not_given_twice(build, collection):
    manifest = build.pod_manifest(
        spec={
            "volumes": [TOKEN_VOLUME],
            "containers": [{"name": "scoring", "image": "m", "volumeMounts": [TOKEN_MOUNT]}],
        }
    )
    pod = injected(collection, manifest)
    assert pod["spec"]["volumes"].count(TOKEN_VOLUME) == 1
    assert container(pod)["volumeMounts"].count(TOKEN_MOUNT) == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"serviceAccountName": ""},
        {"volumes": [{"name": "modeldata-identity-token", "secret": {"secretName": "mine"}}]},
    ],
)
def test_what_stands_in_the_way_of_a_token_matters_only_where_one_is_needed(build, collection, spec):
    pod = build.pod(spec=spec)
    refusal = injection.plan(collection, pod)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.NAME_TAKEN
    assert isinstance(injection.plan(build.collection(), pod), Plan)


def test_a_switch_to_an_identity_needs_a_restart_and_a_switch_back_none(build, collection):
    by_sas, by_identity = (injection.plan(each, build.pod()) for each in (build.collection(), collection))
    assert by_sas.hash != by_identity.hash
    assert not by_identity.accepts(by_sas.hash)
    assert by_sas.accepts(by_identity.hash)
    assert by_sas.accepts(by_sas.hash)
    assert by_identity.accepts(by_identity.hash)


def test_another_identity_needs_no_restart(build, collection):
    other = signing_in(build, client=TENANT, endpoint="https://elsewhere.blob.core.windows.net")
    assert injection.plan(collection, build.pod()).hash == injection.plan(other, build.pod()).hash


def settings(collection, pod):
    return json.loads(document.settings(collection, pod, None, rotation=0))["storage"]


def test_the_settings_say_who_to_sign_in_as(build, collection):
    assert settings(collection, build.pod())["credential"] == {
        "workloadIdentity": {
            "clientId": GUID,
            "tenantId": TENANT,
            "authority": "https://login.microsoftonline.com/",
        }
    }
    assert "credential" not in settings(build.collection(), build.pod())


def test_a_pod_that_was_started_without_a_token_keeps_to_its_sas(build, collection):
    before = workloads.pod(injected(build.collection(), build.pod_manifest()))
    after = workloads.pod(injected(collection, build.pod_manifest()))
    assert "credential" not in settings(collection, before)
    assert "credential" in settings(collection, after)


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        ("https://a.blob.core.windows.net", "https://login.microsoftonline.com/"),
        ("https://a.privatelink.blob.core.windows.net", "https://login.microsoftonline.com/"),
        ("https://a.blob.core.usgovcloudapi.net", "https://login.microsoftonline.us/"),
        ("https://a.blob.core.chinacloudapi.cn", "https://login.chinacloudapi.cn/"),
        ("https://rows.example.com", None),
        ("https://core.windows.net.example.com/a", None),
    ],
)
def test_the_endpoint_tells_who_gives_tokens(endpoint, authority):
    assert pod_token.authority(endpoint) == authority


def test_what_can_be_known_is_said_and_no_more(build, collection):
    who = collection.storage.credential
    finding = minting.signing_in(collection, who, sas_kept=True, until="2026-11-20T18:00:00Z")
    assert finding.reason is Reason.WORKLOAD_IDENTITY
    assert GUID in finding.message
    assert "only they can tell" in finding.message
    assert "keep to their SAS until 2026-11-20T18:00:00Z" in finding.message
    assert "SAS" not in minting.signing_in(collection, who, sas_kept=False, until=None).message


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"secretRef": {"name": "account"}, "workloadIdentity": {"clientId": GUID, "tenantId": TENANT}},
        {"workloadIdentity": {"clientId": GUID}},
        {"workloadIdentity": "yes"},
    ],
)
def test_a_credential_that_makes_no_sense_is_reported(build, credential):
    manifest = build.collection_manifest()
    manifest["spec"]["storage"]["credential"] = credential
    parsed = resources.collection(manifest)
    assert isinstance(parsed, resources.UnreadableCollection)
    assert "spec.storage.credential" in parsed.problem
