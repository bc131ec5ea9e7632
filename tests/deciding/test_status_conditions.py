from __future__ import annotations

import pathlib

import yaml

from modeldata_operator.api import resources
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.observed import CredentialStatus, PodCounts, Status
from modeldata_operator.api.owners import Owner, Workload
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import status
from modeldata_operator.decide.status import Finding, Observation
from modeldata_operator.decide.verification import Verdict

NOW, LATER = "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"
GOOD = Finding(Reason.CREDENTIALS_VALID, "fine")


def about(reason, message="", *, name="scoring"):
    workload = Workload("Deployment", ObjectKey("models", name), Owner("apps/v1", "Deployment", name, f"uid-{name}"))
    return Verdict(workload, reason, message, pods=2, injected=1)


def observe(**changes):
    values = {
        "generation": 3,
        "enabled": True,
        "credential": CredentialStatus(2, "2026-11-20T18:00:00Z"),
        "credential_finding": GOOD,
        "credential_ready": True,
        "pods": PodCounts(3, 3, 3),
        "verdicts": [],
    }
    return Observation(**{**values, **changes})


def conditions(observed, previous=None, now=NOW):
    result = status.from_observation(observed, previous=previous or Status(), now=now)
    return {condition.type: condition for condition in result.conditions}


def summary(observed):
    return {name: (condition.status, condition.reason) for name, condition in conditions(observed).items()}


def test_all_is_well():
    assert summary(observe()) == {
        "Ready": ("True", "Collecting"),
        "Reconciling": ("False", "Settled"),
        "Stalled": ("False", "Settled"),
        "CredentialsReady": ("True", "CredentialsValid"),
        "PodsInjected": ("True", "AllInjected"),
    }


def test_switched_off_is_ready_too():
    assert summary(observe(enabled=False))["Ready"] == ("True", "SwitchedOff")


def test_no_pods_is_ready_too():
    assert summary(observe(pods=PodCounts()))["Ready"] == ("True", "NoPods")


def test_a_missing_secret_stalls():
    found = summary(observe(credential_ready=False, credential_finding=Finding(Reason.SECRET_NOT_FOUND, "no")))
    assert found["Ready"] == ("False", "SecretNotFound")
    assert found["Stalled"] == ("True", "SecretNotFound")
    assert found["CredentialsReady"] == ("False", "SecretNotFound")


def test_storage_out_of_the_operators_reach_is_unknown_and_not_stalled():
    found = summary(observe(credential_ready=None, credential_finding=Finding(Reason.STORAGE_UNREACHABLE, "no")))
    assert found["CredentialsReady"] == ("Unknown", "StorageUnreachable")
    assert (found["Stalled"][0], found["Reconciling"][0]) == ("False", "True")


def test_what_waits_for_a_person_goes_before_what_is_unknown():
    unknown = Finding(Reason.STORAGE_UNREACHABLE, "no")
    verdicts = [about(Reason.ROLLOUT_STOPPED, "stopped")]
    found = summary(observe(credential_ready=None, credential_finding=unknown, verdicts=verdicts))
    assert found["Ready"] == ("False", "RolloutStopped")


def test_a_restart_under_way_is_reconciling():
    verdict = about(Reason.ROLLOUT_RUNNING, "rolling")
    found = summary(observe(pods=PodCounts(3, 1, 1), verdicts=[verdict]))
    assert found["Reconciling"] == ("True", "RolloutRunning")
    assert found["Stalled"][0] == "False"
    assert found["Ready"] == ("False", "RolloutRunning")


def test_a_restart_in_vain_is_stalled_and_counts():
    verdict = about(Reason.RESTARTED_IN_VAIN, "in vain")
    found = conditions(observe(pods=PodCounts(3, 1, 1), verdicts=[verdict]))
    assert found["Stalled"].reason == "RestartedInVain"
    assert "2 of 3 pods are not injected" in found["PodsInjected"].message


def test_what_a_person_must_do_goes_before_what_passes():
    verdicts = [about(Reason.ROLLOUT_RUNNING, "rolling"), about(Reason.ROLLOUT_PAUSED, "paused")]
    assert summary(observe(pods=PodCounts(2, 0, 0), verdicts=verdicts))["PodsInjected"] == ("False", "RolloutPaused")


def test_settings_on_their_way_are_reconciling():
    found = summary(observe(pods=PodCounts(3, 3, 1)))
    assert found["Ready"] == ("False", "PushingSettings")
    assert found["Reconciling"][0] == "True"


def test_a_conflict_is_told():
    found = summary(observe(verdicts=[about(Reason.CONFLICT, "older")]))
    assert found["Ready"] == ("False", "Conflict")


def test_a_stopped_rollout_stalls_and_goes_before_everything():
    waits = [about(Reason.WAITING_FOR_TURN, "waits"), about(Reason.NAME_TAKEN, "taken")]
    found = summary(observe(verdicts=[*waits, about(Reason.ROLLOUT_STOPPED, "stopped")]))
    assert found["Stalled"] == ("True", "RolloutStopped")
    assert found["Ready"] == ("False", "RolloutStopped")


def test_who_opted_out_is_listed_and_nobodys_trouble():
    observed = observe(verdicts=[about(Reason.OPTED_OUT, "off")])
    assert summary(observed)["Ready"] == ("True", "Collecting")
    (listed,) = status.from_observation(observed, previous=Status(), now=NOW).workloads
    assert (listed.kind, str(listed.key), listed.reason) == ("Deployment", "models/scoring", "OptedOut")


def test_a_thousand_workloads_fit_and_the_worst_are_listed():
    verdicts = [about(Reason.RESTART_NEEDED, f"number {number}", name=f"w{number}") for number in range(1000)]
    verdicts.append(about(Reason.ROLLOUT_STOPPED, "x" * 2000, name="stopped"))
    written = status.from_observation(observe(verdicts=verdicts), previous=Status(), now=NOW)
    assert [workload.key.name for workload in written.workloads[:2]] == ["stopped", "w0"]
    assert len(written.workloads) == status.WORKLOADS_LIMIT
    assert len(written.workloads[0].message) == status.WORKLOAD_MESSAGE_LIMIT


def test_a_message_says_how_many_more_there_are():
    verdicts = [about(Reason.RESTART_NEEDED, f"number {number} " + "x" * 100) for number in range(20)]
    message = conditions(observe(verdicts=verdicts))["PodsInjected"].message
    assert len(message) <= status.MESSAGE_LIMIT
    told = message.count("number")
    assert message.endswith(f"; and {20 - told} more, see status.workloads")


def test_uninjected_pods_of_a_collection_that_is_off_are_nobodys_trouble():
    verdict = about(Reason.SWITCHED_OFF, "off")
    found = summary(observe(enabled=False, pods=PodCounts(2, 0, 0), verdicts=[verdict]))
    assert found["PodsInjected"] == ("False", "SwitchedOff")
    assert found["Ready"] == ("True", "SwitchedOff")
    assert found["Stalled"][0] == "False"


def test_what_a_person_restarts_by_choice_is_no_fault():
    verdict = about(Reason.RESTART_NEEDED, "kubectl rollout restart")
    found = summary(observe(by_choice=True, pods=PodCounts(3, 1, 1), verdicts=[verdict]))
    # The spec asks for no more than to say so: kubectl wait --for=condition=Ready ends.
    assert found["Ready"] == ("True", "RestartNeeded")
    assert found["PodsInjected"] == ("False", "RestartNeeded")
    assert (found["Stalled"][0], found["Reconciling"][0]) == ("False", "False")


def test_what_only_a_person_can_restart_is_one_where_the_operator_was_to():
    verdict = about(Reason.RESTART_NEEDED, "kubectl delete job")
    assert summary(observe(pods=PodCounts(1, 0, 0), verdicts=[verdict]))["Stalled"] == ("True", "RestartNeeded")


def test_a_choice_hides_no_fault():
    verdicts = [about(Reason.RESTART_NEEDED, "restart"), about(Reason.CONTAINER_NOT_FOUND, "none", name="b")]
    found = summary(observe(by_choice=True, pods=PodCounts(2, 0, 0), verdicts=verdicts))
    assert found["Stalled"] == ("True", "ContainerNotFound")


def test_a_webhook_that_is_not_reached_waits_for_a_person_and_a_budget_that_gives_way_does_not():
    for reason, stalled in ((Reason.WEBHOOK_UNREACHABLE, "True"), (Reason.EVICTION_WAITS, "False")):
        found = summary(observe(pods=PodCounts(2, 0, 0), verdicts=[about(reason, "so")]))
        assert (found["Ready"], found["Stalled"][0]) == (("False", reason.value), stalled)


def test_what_stalls_is_not_reconciling():
    waiting = about(Reason.CREDENTIALS_UNKNOWN, "waits for a SAS")
    missing = Finding(Reason.SECRET_NOT_FOUND, "no")
    found = summary(
        observe(pods=PodCounts(1, 0, 0), verdicts=[waiting], credential_ready=False, credential_finding=missing)
    )
    assert (found["Stalled"], found["Reconciling"]) == (("True", "SecretNotFound"), ("False", "SecretNotFound"))


def test_the_transition_time_changes_only_with_the_status():
    before = status.from_observation(observe(), previous=Status(), now=NOW)
    after = conditions(observe(credential_ready=False), previous=before, now=LATER)
    assert after["Ready"].last_transition_time == LATER
    assert after["PodsInjected"].last_transition_time == NOW


def test_an_unchanged_observation_gives_an_equal_status():
    before = status.from_observation(observe(), previous=Status(), now=NOW)
    assert status.from_observation(observe(), previous=before, now=LATER) == before


def test_what_is_written_is_read_back_the_same(build):
    verdicts = [about(Reason.ROLLOUT_STOPPED, "stopped")]
    wanted = status.from_observation(observe(verdicts=verdicts), previous=Status(), now=NOW)
    assert build.collection(status=status.serialized(wanted)).status == wanted


def test_every_condition_carries_the_generation():
    assert {condition.observed_generation for condition in conditions(observe()).values()} == {3}


def test_nonsense_stalls(build):
    manifest = build.collection_manifest(spec={"storage": {"endpoint": "nowhere"}})
    broken = resources.collection(manifest)
    assert isinstance(broken, resources.UnreadableCollection)
    assert "spec.storage.endpoint" in broken.problem
    written = status.unreadable(broken.problem, generation=3, previous=Status(), now=NOW)
    found = {condition.type: (condition.status, condition.reason) for condition in written.conditions}
    assert found["Stalled"] == ("True", "Invalid")
    assert found["Ready"] == ("False", "Invalid")


def test_every_field_of_the_status_is_in_the_schema():
    path = pathlib.Path(__file__).parents[2] / "crds/datacollections.yaml"
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    known = schema["properties"]["status"]["properties"]
    observed = observe(verdicts=[about(Reason.RESTART_NEEDED)])
    written = status.serialized(status.from_observation(observed, previous=Status(), now=NOW))
    assert set(written) == set(known)
    assert set(written["workloads"][0]) == set(known["workloads"]["items"]["properties"])
    assert known["workloads"]["maxItems"] == status.WORKLOADS_LIMIT
    assert known["workloads"]["items"]["properties"]["message"]["maxLength"] == status.WORKLOAD_MESSAGE_LIMIT
    assert set(written["credential"]) == set(known["credential"]["properties"])
    assert set(written["pods"]) == set(known["pods"]["properties"])
    assert set(written["conditions"][0]) == set(known["conditions"]["items"]["properties"])
