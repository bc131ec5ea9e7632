from __future__ import annotations

import json
import pathlib

import jsonschema
import pytest

from modeldata_operator import document

SCHEMA = json.loads(
    (pathlib.Path(__file__).parents[2] / "docs/contract/settings.schema.json").read_text(encoding="utf-8")
)


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


def test_every_document_is_valid_by_the_schema(build):
    present = settings(build)
    for text in (
        present,
        settings(build, collection=build.collection(spec={"enabled": False})),
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
