"""What a started pod has of ours, seen from inside and from outside."""

from __future__ import annotations

import json

SELECTED = {"matchLabels": {"app": "churn"}}


def test_the_model_finds_settings_credential_and_a_spool_it_can_write(collected):
    pod = collected.pod()
    (settings,) = collected.settings()
    assert settings["collection"] == f"{collected.namespace}/churn"
    assert settings["identity"]["webservice"] == "scoring"
    assert collected.read(pod, "credential/sas") == collected.sas()
    program = (
        "import os, pathlib; d = pathlib.Path(os.environ['MODELDATA_DIR']); (d / 'spool/x').write_text('x');"
        "print(os.environ['MODELDATA_POD_UID'], os.environ['MODELDATA_POD_NAME'], os.getuid())"
    )
    printed = collected.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", program).split()
    assert printed == [pod["metadata"]["uid"], pod["metadata"]["name"], "4321"]


def test_a_pod_injected_already_is_not_injected_again(collected):
    """What other webhooks cause by a change after ours, and what people do with `kubectl get -o yaml`."""
    pod = collected.pod()
    before = pod["spec"]
    again = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "again",
            "labels": pod["metadata"]["labels"],
            "annotations": pod["metadata"]["annotations"],
            "ownerReferences": pod["metadata"]["ownerReferences"],
        },
        "spec": {key: value for key, value in before.items() if key != "nodeName"},
    }
    text = collected.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(again))
    after = json.loads(text)
    assert after["spec"]["volumes"] == before["volumes"]
    assert after["spec"]["containers"] == before["containers"]
    assert after["metadata"]["labels"] == pod["metadata"]["labels"]
    assert after["metadata"]["annotations"] == pod["metadata"]["annotations"]


def test_pods_are_prepared_while_switched_off(world):
    world.account()
    world.collection(selector=SELECTED, enabled=False)
    world.deployment()
    assert world.injected(world.pod())
    assert world.enabled() == {False}
    world.reaches("Ready", "True", "SwitchedOff")


def test_the_first_pod_of_a_deployment_made_together_with_its_collection_is_collected(world):
    world.account()
    world.collection(selector=SELECTED)
    world.deployment(replicas=2)
    world.reaches("Ready", "True", "Collecting")
    assert world.get("mdc", "churn")["status"]["pods"] == {"matched": 2, "injected": 2, "current": 2}


def test_of_two_collections_the_older_serves_and_the_other_reports_it(collected):
    collected.collection("late", selector=SELECTED)
    collected.reaches("Ready", "False", "Conflict", name="late")
    assert "churn" in collected.condition("Ready", "late")["message"]
    assert collected.reason("Ready") == ("True", "Collecting")
    assert collected.settings()[0]["collection"].endswith("/churn")


def test_nothing_of_ours_but_what_the_contract_names_is_on_anyones_object(collected):
    deployment, pod = collected.get("deployment", "scoring"), collected.pod()
    assert not any("modeldata" in name for name in deployment["metadata"].get("annotations", {}))
    assert not deployment["metadata"].get("finalizers")
    ours = [name for name in pod["metadata"]["annotations"] if "modeldata" in name]
    assert sorted(ours) == ["modeldata.dev/injected", "modeldata.dev/settings"]
    for item in (deployment, pod, collected.get("mdc", "churn")):
        assert "kopf" not in json.dumps(item)
        assert not item["metadata"].get("finalizers")


def test_bare_pods_are_reported_with_what_is_missing(world):
    spec = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "labels": {"app": "churn"}}}
    world.apply({**spec, "spec": world.pod_spec()})
    world.account()
    world.collection(selector=SELECTED)
    world.reaches("PodsInjected", "False", "RestartNeeded")
    assert "bare" in world.condition("PodsInjected")["message"]
