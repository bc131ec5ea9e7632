"""On and off for running models: no restart, no new pod."""

from __future__ import annotations

import json

WEBHOOK = "modeldata-operator-webhook"


def switch(world, enabled):
    patch = json.dumps({"spec": {"enabled": enabled}})
    world.kubectl("patch", "mdc", "churn", "--type", "merge", "-p", patch)


def test_running_models_obey_the_switch(collected):
    before = collected.identity()
    (first,) = collected.settings()
    for enabled in (False, True):
        switch(collected, enabled)
        collected.eventually(lambda enabled=enabled: collected.enabled() == {enabled}, seconds=10)
    (last,) = collected.settings()
    assert last["generation"] == first["generation"] + 2
    assert collected.identity() == before


def test_the_switch_works_while_the_webhook_is_away(collected):
    with collected.without(WEBHOOK):
        switch(collected, False)
        collected.eventually(lambda: collected.enabled() == {False}, seconds=10)


def test_the_switch_works_while_the_account_is_gone(collected):
    collected.kubectl("delete", "secret", "account")
    switch(collected, False)
    collected.eventually(lambda: collected.enabled() == {False}, seconds=10)
    assert collected.sas()


def test_other_storage_reaches_running_models_with_its_sas(collected):
    before, old = collected.identity(), collected.sas()
    patch = json.dumps({"spec": {"storage": {"container": "elsewhere"}, "webservice": "renamed"}})
    collected.kubectl("patch", "mdc", "churn", "--type", "merge", "-p", patch)
    collected.eventually(lambda: collected.settings()[0]["storage"]["container"] == "elsewhere", seconds=10)
    assert collected.settings()[0]["identity"]["webservice"] == "renamed"
    assert collected.sas() != old
    collected.eventually(lambda: collected.read(collected.pod(), "credential/sas") == collected.sas(), seconds=10)
    assert collected.identity() == before


def test_deleting_the_collection_switches_off_and_leaves_nothing(collected):
    before = collected.identity()
    (last,) = collected.settings()
    collected.kubectl("delete", "mdc", "churn", "--timeout=20s")
    collected.eventually(lambda: collected.enabled() == {False}, seconds=10)
    (now,) = collected.settings()
    # What the client still has to deliver, it still can.
    assert now == {**last, "enabled": False, "generation": last["generation"] + 1}
    collected.eventually(lambda: collected.find("secret", "modeldata-churn") is None, seconds=60)
    assert collected.identity() == before
    collected.kubectl("rollout", "restart", "deployment/scoring")
    collected.rolled_out()
    collected.eventually(lambda: "modeldata" not in json.dumps(collected.pod()), seconds=30)


def test_a_changed_selector_switches_off_what_it_leaves(collected):
    before = collected.identity()
    patch = json.dumps({"spec": {"selector": {"matchLabels": {"app": "other"}}}})
    collected.kubectl("patch", "mdc", "churn", "--type", "merge", "-p", patch)
    collected.eventually(lambda: collected.enabled() == {False}, seconds=10)
    collected.reaches("Ready", "True", "NoPods")
    assert collected.identity() == before


def test_settings_someone_overwrote_come_back(collected):
    name = collected.pod()["metadata"]["name"]
    collected.kubectl("annotate", "pod", name, "--overwrite", "modeldata.dev/settings={}")
    collected.eventually(lambda: collected.settings() and collected.enabled() == {True}, seconds=10)
