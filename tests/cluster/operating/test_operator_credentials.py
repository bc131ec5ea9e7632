"""The account's key stays with the operator; what pods get is a SAS, always valid."""

from __future__ import annotations

import base64
import json
import urllib.parse

SYSTEM = "modeldata-system"
RESYNC = 30
"""Seconds between two looks at Secrets, which are not watched."""


def test_an_expiring_sas_is_renewed_and_running_pods_have_it_at_once(collected):
    before, old = collected.identity(), collected.sas()
    (first,) = collected.settings()
    past = "modeldata.dev/expires-at=2020-01-01T00:00:00Z"
    # A SAS minted within the same second would be the same.
    collected.kubectl("annotate", "secret", "modeldata-churn", "--overwrite", past)
    collected.eventually(lambda: collected.sas() != old, seconds=RESYNC + 15)
    collected.eventually(lambda: collected.read(collected.pod(), "credential/sas") == collected.sas(), seconds=10)
    collected.eventually(lambda: collected.settings()[0]["generation"] == first["generation"] + 1, seconds=10)
    assert collected.get("mdc", "churn")["status"]["credential"]["rotation"] == 2
    assert collected.identity() == before


def test_a_deleted_sas_comes_back(collected):
    collected.kubectl("delete", "secret", "modeldata-churn")
    collected.eventually(collected.sas, seconds=RESYNC + 15)
    collected.eventually(lambda: collected.read(collected.pod(), "credential/sas") == collected.sas(), seconds=10)


def test_the_sas_lets_pods_read_add_and_create_in_one_container_for_hours(collected):
    values = urllib.parse.parse_qs(collected.sas())
    assert values["sr"] == ["c"]
    assert sorted(values["sp"][0]) == ["a", "c", "r"]
    assert collected.get("mdc", "churn")["status"]["credential"]["expiresAt"] == values["se"][0]


def test_the_key_is_nowhere_but_in_its_secret(collected):
    key = collected.azurite.account_key
    needles = (key, base64.b64encode(key.encode()).decode(), urllib.parse.quote(key), collected.sas())
    secrets = [item for item in collected.get("secrets")["items"] if item["metadata"]["name"] != "account"]
    assert [item["metadata"]["name"] for item in secrets] == ["modeldata-churn"]
    assert key not in base64.b64decode(secrets[0]["data"]["sas"]).decode()
    seen = [collected.get(kind) for kind in ("pods", "deployments", "events", "mdc")]
    logs = [
        collected.kubectl("logs", "-l", f"app.kubernetes.io/component={each}", "--tail=-1", namespace=SYSTEM)
        for each in ("controller", "webhook")
    ]
    assert all(logs)
    for text in (json.dumps(seen), *logs, json.dumps(secrets)):
        assert not any(needle in text for needle in needles[:3])
    for text in (json.dumps(seen), *logs):
        assert needles[3] not in text


def test_a_wrong_key_is_reported_and_heals(collected):
    good = collected.azurite.account_key
    collected.account(key=base64.b64encode(b"x" * 64).decode())
    collected.reaches("CredentialsReady", "False", "KeyRejected", seconds=RESYNC + 30)
    collected.account(key=good)
    collected.reaches("Ready", "True", "Collecting", seconds=RESYNC + 30)


def test_a_secret_that_is_not_ours_is_left_alone(world):
    world.account()
    mine = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "modeldata-churn"},
        "stringData": {"sas": "mine"},
    }
    world.apply(mine)
    world.collection()
    world.reaches("CredentialsReady", "False", "SecretNotOurs")
    assert world.sas() == "mine"


def test_the_operators_accounts_may_no_more_than_they_must(cluster, operator):
    def may(account, *question):
        subject = f"--as=system:serviceaccount:{SYSTEM}:modeldata-operator-{account}"
        return cluster.kubectl("auth", "can-i", *question, subject, check=False).split()[0] == "yes"

    for account in ("controller", "webhook"):
        for verb in ("list", "watch", "update"):
            assert not may(account, verb, "secrets", "-A")
        for question in (("delete", "pods"), ("delete", "deployments"), ("get", "configmaps")):
            assert not may(account, *question, "-A")
        assert not may(account, "update", "mutatingwebhookconfigurations/other")
    assert not may("webhook", "get", "secrets", "-A")
    assert not may("webhook", "patch", "pods", "-A")
    # The controller asks for pods in dry runs; that it makes none is the policy's, tested on the API server.
    assert not may("webhook", "create", "pods", "-A")
    assert may("webhook", "get", "secrets/modeldata-webhook-tls", "-n", SYSTEM)
    assert may("controller", "patch", "pods", "-A")
