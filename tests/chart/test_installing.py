"""The chart on a real API server, with the operator's real processes: installed, upgraded again and again, uninstalled.

Nothing runs in it: what controllers and kubelets would do with the Deployments and the Job is done here.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import typing

import pytest
import yaml

from ..apiserver import installation, server
from ..apiserver.conftest import Running, Start, operators
from ..conftest import Eventually
from .conftest import CHART, Helm, Manifest, Refused

SYSTEM = server.NAMESPACE
RELEASE = "modeldata"
KINDS = (
    "serviceaccounts,services,deployments,jobs,poddisruptionbudgets,networkpolicies,roles,rolebindings,clusterroles,"
    "clusterrolebindings,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings"
)
UPGRADE: Manifest = {"webhook.timeoutSeconds": 7, "controller.resyncSeconds": 10, "commonLabels": {"team": "platform"}}


@pytest.fixture
def own_api() -> typing.Iterator[server.ApiServer]:
    """An API server in which nothing is installed yet."""
    started = server.ApiServer()
    try:
        started.start()
        for name in (SYSTEM, "models", "more-models"):
            started.namespace(name)
        yield started
    finally:
        started.close()


@pytest.fixture
def start_operator() -> typing.Iterator[Start]:
    with operators() as start:
        yield start


def configuration(api: server.ApiServer, name: str) -> Manifest:
    path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}"
    return typing.cast(Manifest, api.get(path))


def ca_bundle(api: server.ApiServer, name: str) -> str:
    return str(configuration(api, name)["webhooks"][0]["clientConfig"].get("caBundle", ""))


def variables(api: server.ApiServer, kind: str, name: str, namespace: str) -> dict[str, str]:
    """What the chart tells a process, but for what its pod would know."""
    group = "batch" if kind == "jobs" else "apps"
    body = api.get(f"/apis/{group}/v1/namespaces/{namespace}/{kind}/{name}")
    (container,) = body["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return {**told, "MODELDATA_OPERATOR_NAMESPACE": namespace, "MODELDATA_RESYNC": "2"}


def run_as(
    api: server.ApiServer, start: Start, role: str, *, account: str, namespace: str, told: typing.Mapping[str, str]
) -> Running:
    """Start a process under the account that the chart has made, with its rights and no others."""
    token = installation.token(api, account, namespace=namespace)
    kubeconfig = api.kubeconfig_for(token=token, name=f"kubeconfig-{namespace}-{account}")
    return start(role, kubeconfig, environment=told)


def run_controller(api: server.ApiServer, start: Start, *, fullname: str, namespace: str) -> Running:
    name = f"{fullname}-controller"
    told = variables(api, "deployments", name, namespace)
    return run_as(api, start, "controller", account=name, namespace=namespace, told=told)


@pytest.mark.parametrize(
    ("values", "namespace"),
    [
        ({}, SYSTEM),
        ({"namespaces": ["models"]}, SYSTEM),
        ({"fullnameOverride": "mdc", "namespaces": ["models"]}, "ops"),
    ],
    ids=["whole cluster", "some namespaces", "names and namespace of its own"],
)
def test_applied_by_the_server_again_and_again_there_is_neither_conflict_nor_difference(
    helm: Helm,
    own_api: server.ApiServer,
    start_operator: Start,
    eventually: Eventually,
    values: Manifest,
    namespace: str,
) -> None:
    own_api.namespace(namespace)
    # As Helm 4 does it, Argo CD and Flux: one owner of each field, and none is taken from another.
    manager = ("--server-side", "--field-manager=helm", "-f", "-")

    def text(more: Manifest) -> str:
        options = ["--namespace", namespace, "--no-hooks", "--kube-version", "1.35"]
        for name, value in {**values, **more}.items():
            options += ["--set-json", f"{name}={json.dumps(value)}"]
        return helm.run("template", RELEASE, str(CHART), *options)

    own_api.kubectl("apply", *manager, input=text({}))
    fullname = values.get("fullnameOverride", "modeldata-operator")
    cluster = fullname if namespace == SYSTEM else f"{fullname}-{namespace}"
    run_controller(own_api, start_operator, fullname=fullname, namespace=namespace)
    trusted = eventually(lambda: ca_bundle(own_api, cluster))
    for more in ({}, UPGRADE, UPGRADE):
        own_api.kubectl("apply", *manager, input=text(more))
        assert ca_bundle(own_api, cluster) == trusted
    # What a tool would see that compares: by the server, and by merging. It fails where there is a difference.
    own_api.kubectl("diff", *manager, input=text(UPGRADE))
    own_api.kubectl("diff", "-f", "-", input=text(UPGRADE))
    (owner,) = [
        each["manager"]
        for each in configuration(own_api, cluster)["metadata"]["managedFields"]
        if "caBundle" in json.dumps(each["fieldsV1"])
    ]
    assert owner == "modeldata-operator"


class Cluster:
    """Helm at an API server, and whoever would run what it makes."""

    def __init__(self, helm: Helm, api: server.ApiServer, start: Start, eventually: Eventually) -> None:
        self.api = api
        self._helm = helm
        self._start = start
        self._eventually = eventually

    def __call__(self, command: str, *options: str, namespace: str = SYSTEM, values: Manifest | None = None) -> str:
        settings = [f"--set-json={name}={json.dumps(value)}" for name, value in (values or {}).items()]
        arguments = (command, RELEASE, *options, "--namespace", namespace, "--kubeconfig", str(self.api.kubeconfig))
        return self._helm.run(*arguments, *settings)

    def uninstall(self, controller: Running, *, namespace: str = SYSTEM, fullname: str = "modeldata-operator") -> None:
        """Uninstall, and be the kubelet of the Job that comes before, and the garbage collector of the controller."""
        with concurrent.futures.ThreadPoolExecutor() as beside:
            asked = beside.submit(self, "uninstall", "--timeout", "170s", namespace=namespace)
            job, name = f"/apis/batch/v1/namespaces/{namespace}/jobs/{fullname}-retirement", f"{fullname}-controller"
            deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
            self._eventually(lambda: asked.done() or self.there(job))
            assert not asked.done(), asked.result()
            told = variables(self.api, "jobs", f"{fullname}-retirement", namespace)
            account = f"{fullname}-retirement"
            retiring = run_as(self.api, self._start, "retire", account=account, namespace=namespace, told=told)
            self._eventually(lambda: self.api.get(deployment)["metadata"].get("deletionTimestamp"))
            controller.stop()
            self.api.merge(deployment, {"metadata": {"finalizers": None}})
            assert retiring.process.wait(150) == 0, retiring.said()
            self._complete(job)
            asked.result()

    def left(self) -> list[str]:
        """What is there of any installation."""
        ours = ("get", KINDS, "--all-namespaces", "-l", "app.kubernetes.io/part-of=modeldata", "-o", "name")
        return self.api.kubectl(*ours).split()

    def there(self, path: str) -> bool:
        """Whether an object exists."""
        with contextlib.suppress(server.Refused):
            return bool(self.api.get(path))
        return False

    def _complete(self, job: str) -> None:
        now = "2026-11-20T12:00:00Z"
        conditions = [
            {"type": kind, "status": "True", "reason": "CompletionsReached", "lastTransitionTime": now}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        self.api.merge(f"{job}/status", {"status": {"startTime": now, "conditions": conditions[:1]}})
        done = {"succeeded": 1, "completionTime": now, "conditions": conditions, "ready": 0, "terminating": 0}
        self.api.merge(f"{job}/status", {"status": done})


@pytest.fixture
def cluster(helm: Helm, own_api: server.ApiServer, start_operator: Start, eventually: Eventually) -> Cluster:
    return Cluster(helm, own_api, start_operator, eventually)


def collect(api: server.ApiServer, namespace: str) -> None:
    """A collection, and the account's Secret that it names."""
    data = {"accountName": "devstoreaccount1", "accountKey": "eA=="}
    api.create(f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "account"}, "stringData": data})
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections"
    api.create(path, installation.collection("churn", selector={"matchLabels": {"app": "scoring"}}))
    api.create(f"/api/v1/namespaces/{namespace}/pods", installation.pod("scoring", app="scoring"))


def conditions(api: server.ApiServer, namespace: str) -> dict[str, str]:
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections/churn"
    return {each["type"]: each["reason"] for each in api.get(path).get("status", {}).get("conditions", ())}


@pytest.mark.timeout(600)
def test_helm_installs_upgrades_twice_and_uninstalls(
    cluster: Cluster, own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    cluster("install", str(CHART))
    own_api.kubectl("wait", "--for=condition=Established", "crd/datacollections.modeldata.dev", "--timeout=60s")
    controller = run_controller(own_api, start_operator, fullname="modeldata-operator", namespace=SYSTEM)
    trusted = eventually(lambda: ca_bundle(own_api, "modeldata-operator"))
    collect(own_api, "models")
    eventually(lambda: conditions(own_api, "models"))
    for _ in range(2):
        cluster("upgrade", str(CHART), values=UPGRADE)
        assert ca_bundle(own_api, "modeldata-operator") == trusted
        assert configuration(own_api, "modeldata-operator")["webhooks"][0]["timeoutSeconds"] == 7
    cluster.uninstall(controller)
    assert cluster.left() == []
    # What people wrote stays.
    assert conditions(own_api, "models")


@pytest.mark.timeout(600)
def test_two_for_some_namespaces_are_upgraded_and_one_is_taken_out_beside_the_other(
    cluster: Cluster, own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    server.install(own_api)
    running = {}
    for team, fullname in (("models", "modeldata-operator"), ("more-models", "mdc")):
        namespace = f"{team}-ops"
        own_api.namespace(namespace)
        values = {"namespaces": [team], "crds.enabled": False, "test.namespace": team}
        if fullname == "mdc":
            values["fullnameOverride"] = fullname
        cluster("install", str(CHART), namespace=namespace, values=values)
        running[team] = run_controller(own_api, start_operator, fullname=fullname, namespace=namespace)
        eventually(lambda name=f"{fullname}-{namespace}": ca_bundle(own_api, name))  # type: ignore[misc]
        cluster("upgrade", str(CHART), namespace=namespace, values={**values, **UPGRADE})
        cluster("upgrade", str(CHART), namespace=namespace, values={**values, **UPGRADE})
        collect(own_api, team)
        eventually(lambda team=team: conditions(own_api, team))  # type: ignore[misc]
    cluster.uninstall(running["models"], namespace="models-ops")
    left = cluster.left()
    assert left
    assert [name for name in left if "mdc" not in name] == []
    assert ca_bundle(own_api, "mdc-more-models-ops")
    cluster.uninstall(running["more-models"], namespace="more-models-ops", fullname="mdc")
    assert cluster.left() == []


def refusal(name: str, *, resources: list[str], namespace: str, expression: str, message: str) -> str:
    """A policy as an administrator of the cluster has it, by Kyverno or otherwise."""
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": resources}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            },
            "validations": [{"expression": expression, "message": message}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return yaml.safe_dump_all([policy, binding])


@pytest.mark.timeout(600)
def test_where_others_policies_refuse_things_the_chart_can_fulfil_them_and_the_rest_goes_on(
    cluster: Cluster, own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    labelled = refusal(
        "labels",
        resources=["serviceaccounts", "deployments", "services", "jobs", "roles", "rolebindings"],
        namespace=SYSTEM,
        expression="has(object.metadata.labels) && 'team' in object.metadata.labels",
        message="everything has a team",
    )
    # Those of the operator: a person's own, such as the account's, is there already.
    sealed = refusal(
        "sealed",
        resources=["secrets"],
        namespace="models",
        expression="!object.metadata.name.startsWith('modeldata-')",
        message="no Secret is made here",
    )
    for text in (labelled, sealed):
        own_api.kubectl("apply", "-f", "-", input=text)

    def refused() -> bool:
        try:
            own_api.create(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts?dryRun=All", {"metadata": {"name": "probe"}})
        except server.Refused as error:
            return "everything has a team" in error.message
        return False

    eventually(refused)  # a policy is heeded a moment after it is made
    with pytest.raises(Refused, match="everything has a team"):
        cluster("install", str(CHART))
    cluster("uninstall", "--no-hooks", "--ignore-not-found")
    cluster("install", str(CHART), values={"commonLabels": {"team": "platform"}})
    own_api.kubectl("wait", "--for=condition=Established", "crd/datacollections.modeldata.dev", "--timeout=60s")
    controller = run_controller(own_api, start_operator, fullname="modeldata-operator", namespace=SYSTEM)
    for namespace in ("models", "more-models"):
        collect(own_api, namespace)
    # The collection where nobody may make a Secret does not keep the other from its own.
    secret = "/api/v1/namespaces/more-models/secrets/modeldata-churn"
    eventually(lambda: cluster.there(secret))
    eventually(lambda: "no Secret is made here" in controller.said())
    cluster("upgrade", str(CHART), values={"commonLabels": {"team": "platform"}, "webhook.timeoutSeconds": 7})
    cluster.uninstall(controller)
    assert cluster.left() == []
    assert not cluster.there(secret)


@pytest.mark.timeout(600)
def test_accounts_that_somebody_else_made_are_given_the_rights(
    cluster: Cluster, own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    values: Manifest = {}
    for part in ("webhook", "controller"):
        name = f"given-{part}"
        own_api.create(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts", {"metadata": {"name": name}})
        values[f"{part}.serviceAccount"] = {"create": False, "name": name}
    cluster("install", str(CHART), values=values)
    told = variables(own_api, "deployments", "modeldata-operator-controller", SYSTEM)
    run_as(own_api, start_operator, "controller", account="given-controller", namespace=SYSTEM, told=told)
    eventually(lambda: ca_bundle(own_api, "modeldata-operator"))
    # And they are held to it: the policies name them.
    stray = {"metadata": {"name": "stray"}, "type": "Opaque"}
    token = installation.token(own_api, "given-controller")
    with pytest.raises(server.Refused, match="only writes Secrets labelled"):
        own_api.request("POST", "/api/v1/namespaces/models/secrets", stray, token=token)
    cluster("uninstall", "--no-hooks")
    assert own_api.get(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/given-controller")
