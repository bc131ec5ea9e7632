"""The operator is installed, upgraded and taken out again while a model serves; nothing of it stays."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import typing

import pytest

from .. import conftest, diabetes
from ..installation import SYSTEM, left, uninstall_plainly

CHART = conftest.REPOSITORY / "manifests/chart"
AZURITE = "storage.allowedHosts={azurite.storage.svc:10000}"

pytestmark = pytest.mark.timeout(600)


class Helm:
    def __init__(self, cluster: typing.Any) -> None:
        self._program = str(cluster.programs / "helm")
        self._environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}

    def __call__(self, *arguments: str) -> str:
        command = [self._program, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def install(self, name: str, namespace: str, *options: str) -> str:
        where = ["--namespace", namespace, "--create-namespace", "--wait", "--timeout", "180s"]
        return self("upgrade", "--install", name, str(CHART), *where, *options)


@pytest.fixture
def helm(cluster: typing.Any) -> Helm:
    return Helm(cluster)


def model(cluster: typing.Any, namespace: str) -> tuple[str, str, int, bool]:
    """The model's pod: its address, uid and restarts, and whether it is switched on."""
    (pod,) = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-l", "app=diabetes", "-o", "json"))["items"]
    settings = json.loads(pod["metadata"]["annotations"]["modeldata.dev/settings"])
    status = pod["status"]["containerStatuses"][0]
    return pod["status"]["podIP"], pod["metadata"]["uid"], status["restartCount"], settings["enabled"]


def test_a_model_serves_on_while_the_chart_is_installed_upgraded_and_uninstalled(
    cluster: typing.Any, helm: Helm, namespace: str, azurite: typing.Any, eventually: typing.Any
) -> None:
    # The CRD is there from a plain installation, as it may be at a user's: Helm is told to take it.
    notes = helm.install("modeldata", SYSTEM, "--take-ownership", "--set", AZURITE)
    assert "helm test modeldata -n modeldata-system" in notes
    assert "Phase:          Succeeded" in helm("test", "modeldata", "-n", SYSTEM)

    diabetes.collect(cluster, namespace, azurite)
    secret = ("-n", namespace, "get", "secret", "modeldata-diabetes", "--ignore-not-found", "-o", "name")
    eventually(lambda: cluster.kubectl(*secret))
    diabetes.deploy(cluster, namespace)
    address, uid, restarts, enabled = model(cluster, namespace)
    assert enabled
    rows = [diabetes.row() for _ in range(40)]
    for row in rows[:20]:
        diabetes.score(address, [row])

    settings = ("controller.resyncSeconds=10", "webhook.replicas=1", AZURITE)
    helm.install("modeldata", SYSTEM, *itertools.chain.from_iterable(("--set", each) for each in settings))
    assert model(cluster, namespace) == (address, uid, restarts, True)
    for row in rows[20:]:
        diabetes.score(address, [row])

    helm("uninstall", "modeldata", "--namespace", SYSTEM, "--wait", "--timeout", "180s")
    assert left(cluster) == []
    # The CRD is kept, and with it what the user wrote.
    assert "diabetes" in cluster.kubectl("-n", namespace, "get", "mdc", "-o", "name")
    assert model(cluster, namespace) == (address, uid, restarts, False)
    settings = ("-n", namespace, "exec", "deploy/diabetes", "--", "cat", "/var/run/modeldata/settings/settings.json")
    eventually(lambda: json.loads(cluster.kubectl(*settings))["enabled"] is False, seconds=120)
    cluster.kubectl(*settings)  # by now the client, who looks ten times a second, has seen it too
    diabetes.score(address, [diabetes.row()])
    assert sorted(diabetes.collected(azurite, namespace)) == sorted(rows)


def test_applied_by_the_server_as_helm_4_does_it_meets_no_conflict(
    cluster: typing.Any, helm: Helm, eventually: typing.Any, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: uninstall_plainly(cluster))  # also if it fails, or none of the next would install
    text = helm("template", "modeldata", str(CHART), "--namespace", SYSTEM, "--no-hooks", "--kube-version", "1.35")
    cluster.kubectl("create", "namespace", SYSTEM, check=False)  # Helm leaves the one that it made
    apply = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
    # Whoever applied the CRD before owns it, as Helm 3 does; Helm 4 has --force-conflicts for that.
    cluster.kubectl(*apply, "--force-conflicts", input=text)
    configuration = ("get", "mutatingwebhookconfiguration", "modeldata-operator", "-o")
    bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}"
    trusted = eventually(lambda: cluster.kubectl(*configuration, bundle), seconds=300)
    cluster.kubectl(*apply, input=text)
    assert cluster.kubectl(*configuration, bundle) == trusted


def test_two_for_some_namespaces_work_side_by_side(
    cluster: typing.Any, helm: Helm, eventually: typing.Any, request: pytest.FixtureRequest
) -> None:
    teams = ("team-a", "team-b", "team-c")
    for team in teams:
        cluster.kubectl("create", "namespace", team)
        request.addfinalizer(lambda team=team: cluster.kubectl("delete", "namespace", team, "--wait=false"))
    for team in teams[:2]:
        request.addfinalizer(lambda team=team: cluster.kubectl("delete", "namespace", f"{team}-ops", "--wait=false"))
        options = ("--set", f"namespaces={{{team}}}", "--set", "crds.enabled=false", "--set", "webhook.replicas=1")
        helm.install("modeldata", f"{team}-ops", *options)
        assert "Phase:          Succeeded" in helm("test", "modeldata", "-n", f"{team}-ops")
    storage = {"endpoint": "https://nowhere.invalid", "credential": {"secretRef": {"name": "account"}}}
    for team in teams:
        kind = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection"}
        spec = {"selector": {"matchLabels": {"app": "model"}}, "storage": storage}
        body = {**kind, "metadata": {"name": "churn", "namespace": team}, "spec": spec}
        cluster.kubectl("apply", "-f", "-", input=json.dumps(body))
    observed = "jsonpath={.status.observedGeneration}"
    for team in teams[:2]:
        eventually(lambda team=team: cluster.kubectl("-n", team, "get", "mdc", "churn", "-o", observed) == "1")
    assert cluster.kubectl("-n", teams[2], "get", "mdc", "churn", "-o", observed) == ""
    for team in teams[:2]:
        helm("uninstall", "modeldata", "--namespace", f"{team}-ops", "--wait", "--timeout", "180s")
    assert left(cluster) == []
