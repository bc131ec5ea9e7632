from __future__ import annotations

import dataclasses
import json
import pathlib

import jsonschema
import pytest

from modeldata_operator.api import bounds, observed, resources
from modeldata_operator.decide import document, injection

SCHEMA = json.loads(
    (pathlib.Path(__file__).parents[2] / "docs/contract/settings.schema.json").read_text(encoding="utf-8")
)


CLOUD = ".blob.core.windows.net"  # whose authority has the longest name


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
            "workspace": "models",
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
    "redact": [
        {"feature": "ssn", "action": "Drop", "onMissing": "Hold"},
        {"feature": "e-mail \u00e4", "action": "Hash"},
    ],
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


# The most that a character may take in a path or a name of the CRD is a byte, and in a text of a pod six of them.
LONG_TEXTS = ["v" * 5000, "\x01" * 5000, "\u00e4" * 5000, "\U0001f600" * 5000, '"' * 5000]


def largest(build, version):
    """The largest collection that the CRD takes, as tests/apiserver/test_crd_rules.py tries it, and its largest pod."""
    spec = {
        "storage": {"endpoint": "https://" + "e" * 504, "container": "c" * 63, "path": LONGEST_PATH, "file": "PerPod"},
        "workspace": {"subscription": "s" * 64, "resourceGroup": "g" * 90, "name": "n" * 64},
        "webservice": "w" * 253,
        "redact": [{"feature": f"{number:096}", "action": "Hash"} for number in range(14)],
        "columns": "AzureML",
        "flushInterval": "300s",
        "spool": {"size": "100Gi"},
    }
    endpoint = "https://" + "e" * (504 - len(CLOUD)) + CLOUD
    guid = "01234567-89ab-cdef-0123-456789abcdef"
    who = {"secretRef": None, "workloadIdentity": {"clientId": guid, "tenantId": guid}}
    spec["storage"] |= {"endpoint": endpoint, "credential": who}
    metadata = {"name": "n" * 52, "namespace": "n" * 63, "generation": 2**62}
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "w" * 253, "uid": "u", "controller": True}
    pod = build.pod(
        metadata={
            "namespace": "n" * 63,
            "ownerReferences": [owner],
            "annotations": {"modeldata.dev/model-version": version},
        },
        spec={"containers": [{"name": "scoring"}]},
    )
    return build.collection(metadata=metadata, spec=spec), pod


@pytest.mark.parametrize("version", LONG_TEXTS, ids=["letters", "control", "umlauts", "emoji", "quotes"])
@pytest.mark.parametrize("webservice", ["given", "the workload's"])
def test_as_much_as_the_crd_allows_fits_into_4096_bytes_with_its_key(build, version, webservice):
    # Some container runtimes refuse to start a pod's containers with a longer annotation.
    collection, pod = largest(build, version)
    if webservice != "given":
        collection = dataclasses.replace(collection, webservice=None)
    text = settings(build, collection=collection, pod=pod, rotation=observed.MOST_ROTATIONS)
    # A push repeats the document with a line end, and switched off its number may have a digit more.
    assert len("modeldata.dev/settings") + len(text.encode()) + 2 < 4096
    assert injection.fits({}, text)
    off = document.switched_off(text, str(collection.key))
    assert len("modeldata.dev/settings") + len(off.encode()) + 1 < 4096
    jsonschema.validate(json.loads(text), SCHEMA)


# As many fields as there is room for, each of which becomes a name of 63 characters.
LONGEST_PATH = "{namespace}/" * 6 + "{designation}/{year}/{month}/{day}/"
LONGEST_PATH += "p" * (512 - len(LONGEST_PATH) - 6 * 52 - len("/{file}")) + "/{file}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("storage", {"endpoint": "https://" + "e" * 505}),
        ("storage", {"endpoint": "https://a/" + '"' * 252}),
        ("storage", {"path": "p" * 513}),
        ("storage", {"path": "{namespace}/" * 9}),
        ("storage", {"container": "c" * 64}),
        ("workspace", {"subscription": "s" * 65}),
        ("workspace", {"resourceGroup": "s" * 91}),
        ("workspace", {"name": "s" * 65}),
        ("webservice", "w" * 254),
        ("redact", [{"feature": f"{number:0128}", "action": "Drop"} for number in range(12)]),
        ("redact", [{"feature": f"{number:096}", "action": "Drop", "onMissing": "Hold"} for number in range(13)]),
        ("redact", [{"feature": f"{number}" + "\x01" * 126, "action": "Drop"} for number in range(3)]),
        ("redact", [{"feature": f"{number}" + "\u6f22" * 126, "action": "Drop"} for number in range(5)]),
    ],
)
def test_what_got_past_the_crd_and_is_longer_is_not_obeyed(build, field, value):
    parsed = resources.collection(build.collection_manifest(spec={field: value}))
    assert isinstance(parsed, resources.UnreadableCollection)
    assert f"spec.{field}" in parsed.problem


def test_a_document_that_is_too_long_all_the_same_is_not_injected(build):
    manifest, text = build.pod_manifest(), settings(build)
    room = 4096 - len("modeldata.dev/settings") - len(text)
    assert injection.fits(manifest, text + " " * (room - 1))
    assert not injection.fits(manifest, text + " " * room)


@pytest.mark.parametrize("version", LONG_TEXTS, ids=["letters", "control", "umlauts", "emoji", "quotes"])
def test_a_long_version_is_cut_and_two_that_begin_alike_stay_two(build, version):
    def told(text):
        pod = build.pod(metadata={"annotations": {"modeldata.dev/model-version": text}})
        return json.loads(settings(build, pod=pod))["identity"]["modelVersion"]

    assert bounds.size(told(version)) <= 64
    assert told(version) != told(version + "1")
    assert told("v" * 64) == "v" * 64


def test_the_workspace_is_the_pods_namespace_unless_given(build):
    elsewhere = build.pod(metadata={"namespace": "staging"})
    assert json.loads(settings(build, pod=elsewhere))["identity"]["workspace"] == "staging"
    given = build.collection(spec={"workspace": {"name": "given"}})
    assert json.loads(settings(build, collection=given, pod=elsewhere))["identity"]["workspace"] == "given"


def test_the_resource_group_is_the_clusters_name_unless_given(build):
    def told(**workspace):
        manifest = build.collection_manifest(spec={"workspace": workspace})
        collection = resources.collection(manifest, cluster="west")
        return json.loads(settings(build, collection=collection))["identity"]["resourceGroup"]

    assert told() == "west"
    assert told(resourceGroup="given") == "given"


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


@pytest.mark.parametrize(
    "present",
    [
        "",
        "{",
        "[]",
        '{"generation": "x"}',
        '{"generation": -1}',
        '{"generation": 1' + "0" * 300 + "}",
        '{"generation": 1' + "0" * 5000 + "}",
        "[" * 10_000,
        '{"generation": 1, "pad": "' + "x" * 200_000 + '"}',
    ],
    ids=lambda text: text[:20],
)
def test_switching_off_works_without_a_document(present):
    after = json.loads(document.switched_off(present, "models/churn"))
    assert (after["enabled"], after["collection"]) == (False, "models/churn")
