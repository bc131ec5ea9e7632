"""The operator's accounts change what is theirs and nothing else, even where someone gave them every right.

Each request that the policies refuse is valid: the same, from anyone else, is accepted.
"""

from __future__ import annotations

import typing

import pytest

from ..conftest import poll
from . import argo, installation, server
from .installation import APPLY, CONTROLLER, JSON_PATCH, WEBHOOK
from .server import ApiServer, Refused

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
POD = "/api/v1/namespaces/models/pods/scoring"
DEPLOYMENT = "/apis/apps/v1/namespaces/models/deployments/scoring"
STATEFUL_SET = "/apis/apps/v1/namespaces/models/statefulsets/scoring"
DAEMON_SET = "/apis/apps/v1/namespaces/models/daemonsets/scoring"
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/models/rollouts/scoring"
SECRETS = "/api/v1/namespaces/models/secrets"
OWN_SECRETS = f"/api/v1/namespaces/{server.NAMESPACE}/secrets"
COLLECTIONS = "/apis/modeldata.dev/v1alpha1/namespaces/models/datacollections"
OURS = {"app.kubernetes.io/managed-by": "modeldata-operator"}
CHURN = {**OURS, "modeldata.dev/data-collection": "churn"}
DEFAULT = {**OURS, "modeldata.dev/data-collection": "default", "modeldata.dev/data-collection-namespace": "x"}


class Try(typing.NamedTuple):
    what: str
    method: str
    path: str
    body: typing.Any = None
    content_type: str = "application/json"
    really: bool = False
    """Not only as a dry run, which is how all others are tried."""


def secret(name: str, labels: typing.Mapping[str, str], **changes: typing.Any) -> dict[str, typing.Any]:
    metadata = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", **changes}


def patch(what: str, path: str, body: typing.Any, content_type: str = MERGE) -> Try:
    return Try(what, "PATCH", path, body, content_type)


def annotated(**annotations: str | None) -> dict[str, typing.Any]:
    return {"metadata": {"annotations": annotations}}


def template(**metadata: typing.Any) -> dict[str, typing.Any]:
    return {"spec": {"template": {"metadata": metadata}}}


def applied(version: str, kind: str, name: str, **rest: typing.Any) -> dict[str, typing.Any]:
    return {"apiVersion": version, "kind": kind, **rest, "metadata": {"name": name, **rest.get("metadata", {})}}


SETTINGS = {"modeldata.dev/settings": "{}"}
RESTARTED = {"modeldata.dev/restarted-for": "models/churn/1"}
TEAM = {"op": "replace", "path": "/metadata/annotations/team", "value": "other"}
IMAGE = {"spec": {"containers": [{"name": "scoring", "image": "other"}]}}
RESTART_AT = {"restartAt": "2026-11-20T12:00:00Z"}
EVICTION = Try("a pod evicted", "POST", f"{POD}/eviction", applied("policy/v1", "Eviction", "scoring"))


def generated() -> dict[str, typing.Any]:
    """A pod that the API server names, so that it can be made again and again."""
    body = installation.pod("", app="new")
    body["metadata"] |= {"generateName": "new-", "name": None}
    return body


JOB, THERE = "modeldata-closing-0123456789abcdef0123", "modeldata-closing-there"
JOBS = f"/apis/batch/v1/namespaces/{server.NAMESPACE}/jobs"


def job(**pod: typing.Any) -> dict[str, typing.Any]:
    """A Job as the operator makes it, but for what is said of its pod, and of its container."""
    container = {"name": "closing", "image": "localhost/modeldata-analytics:dev", "args": ["close"]}
    container |= pod.pop("container", {})
    metadata = {"name": pod.pop("name", JOB), "labels": {**OURS, "modeldata.dev/closing": JOB, **pod.pop("labels", {})}}
    volumes = [
        {"name": "credential", "secret": {"secretName": f"{JOB}-1"}},
        {"name": "scratch", "emptyDir": {}},
        *pod.pop("volumes", []),
    ]
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "volumes": volumes, **pod}
    template = {"spec": {**spec, "containers": [container, *spec.get("containers", [])]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}


def making(what: str, namespace: str = server.NAMESPACE, **pod: typing.Any) -> Try:
    return Try(what, "POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job(**pod))


ACCOUNT_KEY = {"secretKeyRef": {"name": "modeldata-webhook-tls", "key": "tls.key"}}
REFUSED = {
    "modeldata-operator-jobs": [
        making("a Job elsewhere", "models"),
        making("a Job of another name", name="other"),
        making("a Job without our label", labels={"app.kubernetes.io/managed-by": "Helm"}),
        making("a Job of another image", container={"image": "docker.io/library/busybox"}),
        making("a Job that does something else", container={"args": ["table"]}),
        making("a Job with a command", container={"command": ["sh"]}),
        making("a Job with another container", containers=[{"name": "x", "image": "x"}]),
        making("a Job with a container before it", initContainers=[{"name": "x", "image": "x"}]),
        making("a Job with an account", serviceAccountName=CONTROLLER),
        making("a Job with the account's token", automountServiceAccountToken=True),
        making("a Job with a Secret of somebody else", volumes=[{"name": "x", "secret": {"secretName": "account"}}]),
        making("a Job with the node's files", volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
        making(
            "a Job with an account's token as a volume",
            volumes=[{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}}],
        ),
        making("a Job with a variable out of a Secret", container={"env": [{"name": "X", "valueFrom": ACCOUNT_KEY}]}),
        making("a Job with a Secret's variables", container={"envFrom": [{"secretRef": {"name": "account"}}]}),
        making("a Job on its node's network", hostNetwork=True),
        making("a Job that sees its node's processes", hostPID=True),
        making("a Job with more rights", container={"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        patch("a Job's label", f"{JOBS}/{THERE}", {"metadata": {"labels": {"x": ""}}}),
        Try("a foreign Job deleted", "DELETE", f"{JOBS}/foreign"),
        Try(
            "a CronJob",
            "POST",
            f"/apis/batch/v1/namespaces/{server.NAMESPACE}/cronjobs",
            {
                "metadata": {"name": JOB, "labels": {**OURS, "modeldata.dev/closing": JOB}},
                "spec": {"schedule": "@daily", "jobTemplate": {"spec": job()["spec"]}},
            },
        ),
    ],
    "modeldata-operator-pods": [
        patch("a pod's image", POD, IMAGE, STRATEGIC),
        patch("a pod's life", POD, {"spec": {"activeDeadlineSeconds": 1}}),
        patch("a pod's label", POD, {"metadata": {"labels": {"app": "other"}}}),
        patch("a label that a pod lacks", POD, {"metadata": {"labels": {"new": ""}}}),
        patch("a pod's labels, all", POD, {"metadata": {"labels": None}}),
        patch("an annotation", POD, annotated(team="other")),
        patch("an annotation that a pod lacks", POD, annotated(new="")),
        patch("an annotation taken away", POD, annotated(team=None)),
        patch("an annotation beside the settings", POD, annotated(new="", **SETTINGS)),
        patch("what the webhook wrote", POD, annotated(**{"modeldata.dev/injected": "1"})),
        patch("a finalizer", POD, {"metadata": {"finalizers": ["modeldata.dev/x"]}}),
        patch("an owner", POD, {"metadata": {"ownerReferences": None}}),
        patch("an annotation, by JSON patch", POD, [TEAM], JSON_PATCH),
        patch("an annotation, applied", POD, applied("v1", "Pod", "scoring", **annotated(team="other")), APPLY),
        patch("a pod's status", f"{POD}/status", {"status": {"phase": "Failed"}}),
        patch(
            "another container",
            f"{POD}/ephemeralcontainers",
            {"spec": {"ephemeralContainers": [{"name": "x", "image": "x"}]}},
            STRATEGIC,
        ),
        Try("a pod deleted", "DELETE", POD),
        Try("all pods deleted", "DELETE", "/api/v1/namespaces/models/pods"),
        Try("a pod made", "POST", "/api/v1/namespaces/models/pods", generated(), really=True),
        Try("a pod bound", "POST", f"{POD}/binding", applied("v1", "Binding", "scoring", target={"name": "node"})),
    ],
    "modeldata-operator-workloads": [
        patch("replicas", DEPLOYMENT, {"spec": {"replicas": 0}}),
        patch("replicas, by scaling", f"{DEPLOYMENT}/scale", {"spec": {"replicas": 0}}),
        patch("a pause", DEPLOYMENT, {"spec": {"paused": True}}),
        patch("the strategy", DEPLOYMENT, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
        patch("the image", DEPLOYMENT, {"spec": {"template": IMAGE}}, STRATEGIC),
        patch("the template's annotation", DEPLOYMENT, template(annotations={"team": "other"})),
        patch("the template's annotation taken away", DEPLOYMENT, template(annotations={"team": None})),
        patch("an annotation beside ours", DEPLOYMENT, template(annotations={"new": "", **RESTARTED})),
        patch("the template's label", DEPLOYMENT, template(labels={"new": ""})),
        patch("the Deployment's annotation", DEPLOYMENT, annotated(collect_model_data="true")),
        patch("the Deployment's label", DEPLOYMENT, {"metadata": {"labels": {"new": ""}}}),
        patch("the status", f"{DEPLOYMENT}/status", {"status": {"replicas": 7}}),
        patch(
            "replicas, by JSON patch", DEPLOYMENT, [{"op": "replace", "path": "/spec/replicas", "value": 0}], JSON_PATCH
        ),
        patch(
            "replicas, applied", DEPLOYMENT, applied("apps/v1", "Deployment", "scoring", spec={"replicas": 0}), APPLY
        ),
        Try("a Deployment deleted", "DELETE", DEPLOYMENT),
        Try(
            "a Deployment made",
            "POST",
            "/apis/apps/v1/namespaces/models/deployments",
            installation.deployment("new", app="new"),
        ),
        patch("a StatefulSet's replicas", STATEFUL_SET, {"spec": {"replicas": 0}}),
        patch("a StatefulSet's replicas, by scaling", f"{STATEFUL_SET}/scale", {"spec": {"replicas": 0}}),
        patch("a StatefulSet's image", STATEFUL_SET, {"spec": {"template": IMAGE}}, STRATEGIC),
        patch(
            "a StatefulSet's strategy",
            STATEFUL_SET,
            {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}},
        ),
        patch("a StatefulSet's annotation", STATEFUL_SET, annotated(**RESTARTED)),
        Try("a StatefulSet deleted", "DELETE", STATEFUL_SET),
        patch("a DaemonSet's image", DAEMON_SET, {"spec": {"template": IMAGE}}, STRATEGIC),
        patch("a DaemonSet's annotation", DAEMON_SET, annotated(new="")),
        patch("a DaemonSet's annotation taken away", DAEMON_SET, annotated(team=None)),
        patch("a DaemonSet's template's annotation", DAEMON_SET, template(annotations={"new": "", **RESTARTED})),
        Try("a DaemonSet deleted", "DELETE", DAEMON_SET),
    ],
    "modeldata-operator-rollouts": [
        patch("a Rollout's replicas", ROLLOUT, {"spec": {"replicas": 0}}),
        patch("a Rollout's image", ROLLOUT, {"spec": {"template": IMAGE, **RESTART_AT}}),
        patch("a Rollout's template's annotation", ROLLOUT, template(annotations=RESTARTED)),
        patch("a Rollout's steps", ROLLOUT, {"spec": {"strategy": {"canary": {"steps": []}}}}),
        patch("a Rollout's annotation", ROLLOUT, annotated(new="", **RESTARTED)),
        patch("a Rollout's label", ROLLOUT, {"metadata": {"labels": {"new": ""}}}),
        patch("a Rollout's promotion", f"{ROLLOUT}/status", {"status": {"promoteFull": True}}),
        Try("a Rollout deleted", "DELETE", ROLLOUT),
    ],
    "modeldata-operator-secrets": [
        Try("a Secret without our label", "POST", SECRETS, secret("modeldata-churn", {})),
        Try("a Secret of another's name", "POST", SECRETS, secret("other", CHURN)),
        Try(
            "a Secret of a Job, elsewhere",
            "POST",
            SECRETS,
            secret(f"{JOB}-1", {**OURS, "modeldata.dev/closing": JOB}),
        ),
        Try(
            "a Secret of a Job, by another name",
            "POST",
            OWN_SECRETS,
            secret("modeldata-webhook", {**OURS, "modeldata.dev/closing": "modeldata"}),
        ),
        Try("a Secret of no collection", "POST", SECRETS, secret("modeldata-churn", OURS)),
        Try("the certificate, elsewhere", "POST", SECRETS, secret("modeldata-webhook-tls", OURS)),
        Try(
            "a Secret that would get an account's token",
            "POST",
            SECRETS,
            secret(
                "modeldata-churn",
                {},
                type="kubernetes.io/service-account-token",
                metadata={
                    "name": "modeldata-churn",
                    "labels": CHURN,
                    "annotations": {"kubernetes.io/service-account.name": "default"},
                },
            ),
        ),
        patch("a foreign Secret", f"{SECRETS}/account", {"stringData": {"accountKey": "x"}}),
        patch("a foreign Secret, taken over", f"{SECRETS}/account", {"metadata": {"labels": CHURN}}),
        patch("a foreign Secret, applied", f"{SECRETS}/account", secret("account", CHURN), APPLY),
        patch("ours, given away", f"{SECRETS}/modeldata-held", {"metadata": {"labels": None}}),
        Try("a foreign Secret deleted", "DELETE", f"{SECRETS}/account"),
        Try("all Secrets deleted", "DELETE", SECRETS),
    ],
    "modeldata-operator-collections": [
        patch("a collection's spec", f"{COLLECTIONS}/churn", {"spec": {"enabled": False}}),
        Try("a collection deleted", "DELETE", f"{COLLECTIONS}/churn"),
        Try("a collection made", "POST", COLLECTIONS, installation.collection("new")),
    ],
}

ACCEPTED = [
    patch("settings", POD, annotated(**SETTINGS)),
    patch("settings, applied", POD, applied("v1", "Pod", "scoring", **annotated(**SETTINGS)), APPLY),
    patch("settings of a pod without annotations", f"{POD}-bare", annotated(**SETTINGS)),
    Try("a pod that is only asked for", "POST", "/api/v1/namespaces/models/pods", generated()),
    EVICTION,
    patch("a StatefulSet's restart", STATEFUL_SET, template(annotations=RESTARTED)),
    patch("a DaemonSet's restart", DAEMON_SET, template(annotations=RESTARTED)),
    patch("a Rollout's restart", ROLLOUT, {"spec": RESTART_AT, **annotated(**RESTARTED)}),
    patch("a restart", DEPLOYMENT, template(annotations=RESTARTED)),
    patch("a restart of a template without annotations", f"{DEPLOYMENT}-bare", template(annotations=RESTARTED)),
    Try("a SAS", "POST", SECRETS, secret("modeldata-churn", CHURN)),
    Try("a SAS of the cluster's default", "POST", SECRETS, secret("modeldata-operator-default", DEFAULT)),
    patch(
        "a SAS, renewed",
        f"{SECRETS}/modeldata-held",
        secret("modeldata-held", {**CHURN, "modeldata.dev/data-collection": "held"}, data={"sas": "eA=="}),
        APPLY,
    ),
    Try("a SAS, withdrawn", "DELETE", f"{SECRETS}/modeldata-held"),
    Try("the certificate", "POST", OWN_SECRETS, secret("modeldata-webhook-tls", OURS)),
    making("a Job that closes days"),
    Try("a Job ended", "DELETE", f"{JOBS}/{THERE}"),
    Try("a Job's SAS", "POST", OWN_SECRETS, secret(f"{JOB}-1", {**OURS, "modeldata.dev/closing": JOB})),
    patch("a status", f"{COLLECTIONS}/churn/status", {"status": {"observedGeneration": 1}}),
]


@pytest.fixture(scope="module")
def installed() -> typing.Iterator[ApiServer]:
    """An API server where the operator's accounts have every right, so that only the policies hold them."""
    api = ApiServer()
    try:
        api.start()
        server.install(api)
        installation.install_operator(api)
        api.namespace("models")
        subjects = [
            {"kind": "ServiceAccount", "name": name, "namespace": server.NAMESPACE} for name in (CONTROLLER, WEBHOOK)
        ]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": "by-mistake"}, "roleRef": role, "subjects": subjects}
        api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
        pods, deployments = POD.rpartition("/")[0], DEPLOYMENT.rpartition("/")[0]
        api.create(pods, installation.pod("scoring", app="churn", deployment="scoring"))
        api.create(deployments, installation.deployment("scoring", app="churn"))
        bare = installation.pod("scoring-bare", app="churn")
        del bare["metadata"]["annotations"]
        api.create(pods, bare)
        bare = installation.deployment("scoring-bare", app="bare")
        del bare["spec"]["template"]["metadata"]["annotations"]
        api.create(deployments, bare)
        for path, kind in ((STATEFUL_SET, "StatefulSet"), (DAEMON_SET, "DaemonSet")):
            api.create(path.rpartition("/")[0], workload(kind))
        argo.install(api)
        api.create(ROLLOUT.rpartition("/")[0], workload("Rollout"))
        api.create(SECRETS, secret("account", {}))
        api.create(SECRETS, secret("modeldata-held", {**CHURN, "modeldata.dev/data-collection": "held"}))
        api.create(COLLECTIONS, installation.collection("churn"))
        api.create(JOBS, job(name=THERE, labels={"modeldata.dev/closing": THERE}))
        api.create(JOBS, job(name="foreign"))
        as_controller = installation.token(api, CONTROLLER)
        for policy, tries in REFUSED.items():
            # The API server compiles a policy a moment after it was made.
            poll(lambda policy=policy, tries=tries: policy in refusal(api, tries[0], as_controller))
        yield api
    finally:
        api.close()


@pytest.fixture(scope="module")
def tokens(installed: ApiServer) -> dict[str, str]:
    return {account: installation.token(installed, account) for account in (CONTROLLER, WEBHOOK)}


def workload(kind: str) -> dict[str, typing.Any]:
    """A workload of another kind, as the Deployment is."""
    body = installation.deployment("scoring", app=kind.lower())
    body["metadata"]["annotations"] = {"team": "risk"}
    if kind == "StatefulSet":
        body["spec"]["serviceName"] = "scoring"
    if kind == "DaemonSet":
        del body["spec"]["replicas"]
    if kind == "Rollout":
        body |= {"apiVersion": "argoproj.io/v1alpha1", "kind": kind}
        body["spec"]["strategy"] = {"canary": {"steps": [{"setWeight": 20}]}}
    return body


def send(api: ApiServer, attempt: Try, token: str) -> None:
    """Try something without lasting effect."""
    query = ("?" if attempt.really else "?dryRun=All") + (
        "&fieldManager=test&force=true" if attempt.content_type == APPLY else ""
    )
    headers = {"Accept": "application/json"}
    api.request(
        attempt.method,
        attempt.path + query,
        attempt.body,
        token=token,
        content_type=attempt.content_type,
        headers=headers,
    )


def refusal(api: ApiServer, attempt: Try, token: str) -> str:
    try:
        send(api, attempt, token)
    except Refused as refused:
        return refused.message
    return ""


EVERY = [(policy, attempt) for policy, tries in REFUSED.items() for attempt in tries]


@pytest.mark.parametrize("account", [CONTROLLER, WEBHOOK])
@pytest.mark.parametrize(("policy", "attempt"), EVERY, ids=[attempt.what for _, attempt in EVERY])
def test_what_is_not_the_operators_is_refused_to_its_accounts(
    installed: ApiServer, tokens: dict[str, str], policy: str, attempt: Try, account: str
) -> None:
    assert f"ValidatingAdmissionPolicy '{policy}'" in refusal(installed, attempt, tokens[account])


@pytest.mark.parametrize(("policy", "attempt"), EVERY, ids=[attempt.what for _, attempt in EVERY])
def test_nobody_else_is_refused_anything(installed: ApiServer, policy: str, attempt: Try) -> None:
    assert not refusal(installed, attempt, server.TOKEN)


@pytest.mark.parametrize("attempt", ACCEPTED, ids=[attempt.what for attempt in ACCEPTED])
def test_what_is_the_operators_is_accepted(installed: ApiServer, tokens: dict[str, str], attempt: Try) -> None:
    assert not refusal(installed, attempt, tokens[CONTROLLER])


def test_the_webhooks_account_may_neither_ask_for_pods_nor_evict_them(
    installed: ApiServer, tokens: dict[str, str]
) -> None:
    for attempt in (EVICTION, Try("asked for", "POST", POD.rpartition("/")[0], generated())):
        assert "ValidatingAdmissionPolicy 'modeldata-operator-pods'" in refusal(installed, attempt, tokens[WEBHOOK])


def test_a_pod_is_not_entered_under_the_operators_accounts(installed: ApiServer, tokens: dict[str, str]) -> None:
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy 'modeldata-operator-pods'"):
        installed.request("POST", f"{POD}/exec?command=sh&stdout=true", token=tokens[CONTROLLER])


def test_a_pod_with_thousands_of_annotations_still_gets_its_settings(
    installed: ApiServer, tokens: dict[str, str]
) -> None:
    body = installation.pod("crowded", app="crowded")
    # Nearly the 256 KiB that an object's annotations may have: what comparing them may cost is bounded too.
    body["metadata"]["annotations"] = {f"example.com/{number:06}": "x" * 30 for number in range(5_000)}
    pods = POD.rpartition("/")[0]
    installed.create(pods, body)
    assert not refusal(installed, patch("settings", f"{pods}/crowded", annotated(**SETTINGS)), tokens[CONTROLLER])
    assert refusal(installed, patch("another", f"{pods}/crowded", annotated(new="")), tokens[CONTROLLER])
