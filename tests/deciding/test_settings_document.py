from __future__ import annotations

import json
import pathlib

import jsonschema
import pytest

from modeldata_operator.decide import document

SCHEMA = json.loads(
    (pathlib.Path(__file__).parents[2] / "docs/contract/settings.schema.json").read_text(encoding="utf-8")
)


CLOUD = ".blob.core.usgovcloudapi.net"  # whose authority has no shorter name than others


def settings(build, *, collection=None, pod=None, deployment=None, rotation=0):
    return document.settings(collection or build.collection(), pod or build.pod(), deployment, rotation=rotation)


def test_the_document_has_every_key_of_the_contract(build):
    assert json.loads(settings(build, deployment=build.deployment())) == {
        "version": 1,
        "enabled": True,
        "collection": "models/churn",
        "generation": 3,
        "storage": {
            "endpoint": "https://account.blob.core.windows.net",
            "container": "modeldata",
            "path": "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
            "/{year}/{month}/{day}/{file}",
            "file": "Shared",
        },
        "identity": {
            "subscription": "default",
            "resourceGroup": "default",
            "workspace": "default",
            "webservice": "scoring",
            "modelVersion": "default",
        },
        "sampling": {"percent": 100},
        "redact": [],
        "columns": "Leading",
        "flushInterval": "5s",
        "spool": {"bytes": 268435456},
    }


WHOLE = {
    "storage": {"file": "PerPod"},
    "sampling": {"percent": 25},
    "redact": [{"feature": "ssn", "action": "Drop"}, {"feature": "e-mail \u00e4", "action": "Hash"}],
    "columns": "AzureML",
    "flushInterval": "2m",
    "spool": {"size": "64Mi"},
}


def test_what_the_spec_says_is_in_the_document(build):
    content = json.loads(settings(build, collection=build.collection(spec=WHOLE)))
    assert content["storage"]["file"] == "PerPod"
    assert content["sampling"] == {"percent": 25}
    assert content["redact"] == WHOLE["redact"]
    assert content["columns"] == "AzureML"
    assert content["flushInterval"] == "2m"
    assert content["spool"] == {"bytes": 64 * 1024**2}


@pytest.mark.parametrize("field", WHOLE)
def test_every_field_that_changes_changes_the_document(build, field):
    changed = build.collection(spec={field: WHOLE[field]})
    assert settings(build, collection=changed) != settings(build)


def test_a_credential_of_another_kind_is_no_change_of_the_document(build):
    given = {"credential": {"secretRef": None, "sasTokenSecretRef": {"name": "writer", "key": "sas"}}}
    assert settings(build, collection=build.collection(spec={"storage": given})) == settings(build)


def test_as_much_as_the_crd_allows_fits_into_4096_bytes_with_its_key(build):
    # Some container runtimes refuse to start a pod's containers with a longer annotation.
    spec = {
        "storage": {"endpoint": "https://" + "e" * 504, "container": "c" * 63, "path": "p" * 512, "file": "PerPod"},
        "workspace": {"subscription": "s" * 64, "resourceGroup": "g" * 90, "name": "n" * 64},
        "webservice": "w" * 253,
        "redact": [{"feature": f"{number:096}", "action": "Drop"} for number in range(14)],
        "columns": "AzureML",
        "flushInterval": "300s",
        "spool": {"size": "100Gi"},
    }
    endpoint = "https://" + "e" * (504 - len(CLOUD)) + CLOUD
    guid = "01234567-89ab-cdef-0123-456789abcdef"
    who = {"secretRef": None, "workloadIdentity": {"clientId": guid, "tenantId": guid}}
    spec["storage"] |= {"endpoint": endpoint, "credential": who}
    collection = build.collection(metadata={"name": "n" * 52, "namespace": "n" * 63}, spec=spec)
    pod = build.pod(metadata={"labels": {"app.kubernetes.io/version": "v" * 63}})
    text = settings(build, collection=collection, pod=pod, rotation=10**6)
    assert len("modeldata.dev/settings") + len(text) < 4096


def test_every_document_is_valid_by_the_schema(build):
    present = settings(build)
    for text in (
        present,
        settings(build, collection=build.collection(spec={"enabled": False})),
        settings(build, collection=build.collection(spec=WHOLE)),
        document.switched_off(present, "models/churn"),
        document.switched_off("", "models/churn"),
    ):
        jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize("missing", ["storage", "identity", "generation", "collection"])
def test_the_schema_refuses_a_document_that_can_not_be_obeyed(build, missing):
    content = json.loads(settings(build))
    del content[missing]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)


def test_a_field_of_tomorrow_is_no_error(build):
    jsonschema.validate({**json.loads(settings(build)), "tomorrow": {}}, SCHEMA)


def test_equal_inputs_give_equal_bytes(build):
    assert settings(build) == settings(build)
    assert " " not in settings(build)


def test_a_new_sas_raises_the_generation(build):
    assert json.loads(settings(build, rotation=4))["generation"] == 7


def test_the_webservice_is_the_deployment_unless_given(build):
    given = build.collection(spec={"webservice": "given"})
    assert json.loads(settings(build, collection=given))["identity"]["webservice"] == "given"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"ownerReferences": [{"kind": "StatefulSet", "name": "ranker", "controller": True}]}, "ranker"),
        ({"ownerReferences": []}, "scoring-5c6f"),
        ({"ownerReferences": [], "generateName": ""}, "scoring-5c6f-abcde"),
    ],
)
def test_the_webservice_of_other_workloads_is_their_name(build, metadata, expected):
    pod = build.pod(metadata=metadata)
    assert json.loads(settings(build, pod=pod))["identity"]["webservice"] == expected


def test_the_webservice_is_the_same_when_the_deployment_is_deleted_before_its_pods(build):
    assert settings(build, deployment=None) == settings(build, deployment=build.deployment())


def test_the_webservice_is_the_same_before_and_after_the_pod_got_its_name(build):
    unnamed = build.pod(metadata={"ownerReferences": [], "name": None, "uid": None})
    assert settings(build, pod=unnamed) == settings(build, pod=build.pod(metadata={"ownerReferences": []}))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"annotations": {"modeldata.dev/model-version": "10"}, "labels": {"app.kubernetes.io/version": "9"}}, "10"),
        ({"labels": {"app.kubernetes.io/version": "9"}}, "9"),
        ({}, "default"),
    ],
)
def test_the_model_version_comes_from_the_annotation_then_the_label(build, metadata, expected):
    assert json.loads(settings(build, pod=build.pod(metadata=metadata)))["identity"]["modelVersion"] == expected


def test_switching_off_keeps_what_is_needed_to_deliver_the_rest(build):
    before = json.loads(settings(build))
    after = json.loads(document.switched_off(settings(build), "models/churn"))
    assert after == {**before, "enabled": False, "generation": before["generation"] + 1}


@pytest.mark.parametrize("present", ["", "{", "[]", '{"generation": "x"}'])
def test_switching_off_works_without_a_document(present):
    after = json.loads(document.switched_off(present, "models/churn"))
    assert (after["enabled"], after["collection"]) == (False, "models/churn")
