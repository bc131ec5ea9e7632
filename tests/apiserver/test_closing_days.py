"""Days are closed by Jobs: the operator makes them, the real Job controller their pods, and the test is the kubelet.

What such a Job does with storage is not tried here: it meets the operator in docs/contract/closing.schema.json and in
tests/contract. The place for the real command in a real cluster is tests/cluster/operating.
"""

from __future__ import annotations

import base64
import json
import typing
import urllib.parse
import uuid
from datetime import datetime, timedelta

import pytest

from ..conftest import Eventually
from . import installation
from .actors import Actors, Manifest
from .conftest import Running, Start, operators
from .controllers import Controllers
from .server import NAMESPACE, ApiServer, Refused
from .server import install as install_definitions

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
REPORT = {
    "version": 1,
    "closed": {"days": 31, "rows": 123456, "through": "2026-11-28"},
    "late": {"days": 1, "rows": 12},
    "pending": {"days": 2},
    "failed": [],
    "deleted": {"files": 3},
    "streams": [{"stream": "churn/churn/10/inputs", "through": "2026-11-28", "rows": 100}],
}
DAMAGED = {"day": "churn/churn/10/inputs/2026/11/27", "reason": "Damaged", "message": "the manifest can't be read"}


class Place(Actors):
    """A namespace, its Jobs in the operator's, and their kubelet."""

    def __init__(self, api: ApiServer, eventually: Eventually, namespace: str) -> None:
        super().__init__(api, namespace)
        self._eventually = eventually

    def jobs(self, collection: str = "") -> list[Manifest]:
        """The Jobs for this namespace's collections."""
        selector = f"modeldata.dev/data-collection-namespace={self.namespace}"
        if collection:
            selector += f",modeldata.dev/data-collection={collection}"
        found = self.api.get(f"{JOBS}?labelSelector={urllib.parse.quote(selector)}")["items"]
        return typing.cast("list[Manifest]", found)

    def job(self, collection: str = "churn", *, but: str = "") -> Manifest:
        """Wait for the one Job of a collection, but not for this one."""

        def one() -> Manifest | None:
            found = [each for each in self.jobs(collection) if "deletionTimestamp" not in each["metadata"]]
            assert len(found) < 2
            return found[0] if found and found[0]["metadata"]["uid"] != but else None

        return self._eventually(one)

    def pod_of(self, job: Manifest) -> Manifest:
        """Wait for the pod that the Job controller makes."""
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        found = self._eventually(lambda: self.api.get(f"{PODS}?labelSelector={selector}")["items"])
        return typing.cast(Manifest, found[0])

    def end(self, job: Manifest, exit_code: int, report: object = None, *, reason: str = "") -> None:
        """Have the command end, as the kubelet tells it."""
        pod = self.pod_of(job)
        terminated: Manifest = {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed")}
        if report is not None:
            terminated["message"] = json.dumps(report)
        status = {
            "name": "closing",
            "image": "x",
            "imageID": "",
            "restartCount": 0,
            "ready": False,
            "state": {"terminated": terminated},
        }
        phase = "Failed" if exit_code else "Succeeded"
        path = f"{PODS}/{pod['metadata']['name']}/status"
        self.api.merge(path, {"status": {"phase": phase, "containerStatuses": [status]}})

    def sas(self, job: Manifest) -> dict[str, str]:
        """The SAS that a Job has, by its fields."""
        (name,) = [
            volume["secret"]["secretName"]
            for volume in job["spec"]["template"]["spec"]["volumes"]
            if volume["name"] == "modeldata-credential"
        ]

        def written() -> Manifest | None:
            try:
                return typing.cast(Manifest, self.api.get(f"{SECRETS}/{name}"))
            except Refused:
                return None

        secret = self._eventually(written)
        assert [each["uid"] for each in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
        token = base64.b64decode(secret["data"]["sas"]).decode()
        return {key: values[0] for key, values in urllib.parse.parse_qs(token).items()}

    def reaches(self, status: str, reason: str, collection: str = "churn") -> str:
        """Wait for DaysClosed to be so; return its message."""

        def so() -> bool:
            found = [item for item in self.status(collection).get("conditions", []) if item["type"] == "DaysClosed"]
            return bool(found) and (found[0]["status"], found[0]["reason"]) == (status, reason)

        self._eventually(so)
        (found,) = [item for item in self.status(collection)["conditions"] if item["type"] == "DaysClosed"]
        return typing.cast(str, found["message"])

    def patch_closing(self, collection: str, **closing: typing.Any) -> None:
        self.patch_collection(collection, {"closing": closing})


@pytest.fixture(scope="module")
def closing_api() -> typing.Iterator[ApiServer]:
    """An API server with the operator's rights and policies, and the controllers of Jobs and of garbage."""
    api = ApiServer()
    controllers = None
    try:
        api.start()
        install_definitions(api)
        installation.install_operator(api)
        installation.aggregate_roles(api)
        controllers = Controllers(api, ["job", "garbagecollector"])
        yield api
    finally:
        if controllers is not None:
            controllers.close()
        api.close()


def environment(**changes: typing.Any) -> dict[str, str]:
    """As the chart installs the controller, with room for all that the tests side by side make."""
    return {"MODELDATA_CLOSING": installation.closing(**{"atOnce": 100, **changes}), "MODELDATA_RESYNC": "1"}


def controller_of(api: ApiServer, start: Start, **changes: typing.Any) -> Running:
    """Start the controller with its own account's rights."""
    token = installation.token(api, installation.CONTROLLER)
    kubeconfig = api.kubeconfig_for(token=token, name=f"kubeconfig-{uuid.uuid4().hex[:8]}")
    return start("controller", kubeconfig, environment=environment(**changes))


@pytest.fixture(scope="module")
def controller(closing_api: ApiServer) -> typing.Iterator[Running]:
    with operators() as start:
        running = controller_of(closing_api, start)
        yield running
        # It does all of this with the rights that it is installed with.
        assert "forbidden" not in running.said().lower()


@pytest.fixture
def place(closing_api: ApiServer, controller: Running, eventually: Eventually) -> Place:
    made = Place(closing_api, eventually, f"test-{uuid.uuid4().hex[:8]}")
    closing_api.namespace(made.namespace)
    made.account()
    return made


def test_a_day_is_closed_by_a_job_and_what_it_says_is_told(place: Place, eventually: Eventually) -> None:
    place.collection(closing={"after": "90m"}, webservice="churn")
    job = place.job()
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == [
        "close",
        "http://127.0.0.1:9/modeldata",
        "--path={subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
        "/{year}/{month}/{day}/{file}",
        "--match=subscription=default",
        "--match=resourceGroup=default",
        f"--match=workspace={place.namespace}",
        "--match=webservice=churn",
        "--after=90m",
        "--format=CSV",
        "--format=Parquet",
        "--sas-file=/var/run/modeldata/credential/sas",
        "--scratch=/scratch",
        "--memory=1GB",
        "--threads=2",
        "--report=/dev/termination-log",
    ]
    sas = place.sas(job)
    # It reads, writes and lists, and does not delete; for this container, as long as the Job may take.
    assert (sas["sp"], sas["sr"]) == ("rwl", "c")
    created = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(sas["se"]) == created + timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
    place.reaches("Unknown", "Closing")
    place.end(job, 0, REPORT)
    message = place.reaches("True", "Closed")
    assert message == (
        "days through 2026-11-28 are closed: 31 days, 123456 rows; "
        "12 rows came late, taken in by the last run; 2 days not due yet"
    )
    status = place.status()
    told = status["closing"]
    assert (told["through"], told["days"], told["rows"], told["lateRows"]) == ("2026-11-28", 31, 123456, 12)
    assert told["job"] == job["metadata"]["name"]
    assert told["streams"] == REPORT["streams"]
    assert eventually(lambda: place.events("DataCollection", "churn").get("Closed")) == message
    shown = place.api.kubectl("-n", place.namespace, "get", "mdc", "churn", "-o", "wide")
    assert "2026-11-28" in shown
    # Once a day.
    assert [each["metadata"]["uid"] for each in place.jobs()] == [job["metadata"]["uid"]]


def test_a_job_that_failed_is_told_and_is_made_again_for_another_spec(place: Place, eventually: Eventually) -> None:
    place.collection(closing={})
    job = place.job()
    place.end(job, 1, {**REPORT, "failed": [DAMAGED]})
    message = place.reaches("False", "ClosingFailed")
    assert "1 day can't be closed, all others are: churn/churn/10/inputs/2026/11/27: Damaged" in message
    assert f"kubectl -n {NAMESPACE} logs job/{job['metadata']['name']}" in message
    assert place.status()["closing"]["failed"] == [DAMAGED]
    assert eventually(lambda: place.events("DataCollection", "churn").get("ClosingFailed"))
    conditions = {each["type"]: each["status"] for each in place.status()["conditions"]}
    # Rows are collected all the same.
    assert conditions["Stalled"] == "False"
    # Not before its time, but at once where somebody has changed what is asked for.
    place.patch_closing("churn", deleteAfter="720h")
    again = place.job(but=job["metadata"]["uid"])
    assert again["metadata"]["annotations"]["modeldata.dev/tries"] == "1"
    assert "--delete-after=720h" in again["spec"]["template"]["spec"]["containers"][0]["args"]
    assert place.sas(again)["sp"] == "rwdl"
    place.reaches("False", "Closing")
    place.end(again, 0, REPORT)
    place.reaches("True", "Closed")
    eventually(lambda: place.status()["closing"]["failed"] == [])


@pytest.mark.parametrize(
    ("exit_code", "reason", "said"),
    [
        (3, "StorageRefused", "storage refuses to let days be closed"),
        (2, "ClosingFailed", "another version than the operator"),
    ],
)
def test_what_the_command_ends_with_is_told(place: Place, exit_code: int, reason: str, said: str) -> None:
    place.collection(closing={})
    place.end(place.job(), exit_code)
    assert said in place.reaches("False", reason)


def test_a_killed_pod_is_replaced_by_its_job(place: Place, eventually: Eventually) -> None:
    place.collection(closing={})
    job = place.job()
    first = place.pod_of(job)
    place.end(job, 137, reason="OOMKilled")
    selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"

    def another() -> bool:
        names = {each["metadata"]["name"] for each in place.api.get(f"{PODS}?labelSelector={selector}")["items"]}
        return bool(names - {first["metadata"]["name"]})

    eventually(another)
    assert [each["metadata"]["uid"] for each in place.jobs()] == [job["metadata"]["uid"]]


def gone(place: Place, job: Manifest) -> bool:
    """Whether nothing is left of a Job."""
    owned = [
        each
        for path in (PODS, SECRETS)
        for each in place.api.get(path)["items"]
        if job["metadata"]["uid"] in [owner["uid"] for owner in each["metadata"].get("ownerReferences", [])]
    ]
    return not owned and job["metadata"]["uid"] not in [each["metadata"]["uid"] for each in place.jobs()]


def test_of_a_collection_that_is_deleted_no_job_no_pod_and_no_secret_is_left(
    place: Place, eventually: Eventually
) -> None:
    place.collection(closing={})
    place.collection("done", closing={})
    job, done = place.job(), place.job("done")
    place.pod_of(job)
    place.sas(job)
    place.end(done, 0, REPORT)
    place.reaches("True", "Closed", "done")
    for name in ("churn", "done"):
        place.delete_collection(name)
    eventually(lambda: gone(place, job) and gone(place, done))


def test_who_suspends_closing_ends_its_job_and_who_stops_asking_for_it_is_told_nothing(
    place: Place, eventually: Eventually
) -> None:
    place.collection(closing={})
    job = place.job()
    place.patch_closing("churn", suspend=True)
    place.reaches("False", "ClosingSuspended")
    eventually(lambda: gone(place, job))
    place.patch_closing("churn", suspend=False)
    place.end(place.job(), 0, REPORT)
    place.reaches("True", "Closed")
    place.patch_collection("churn", {"closing": None})
    eventually(lambda: "closing" not in place.status())
    assert "DaysClosed" not in {each["type"] for each in place.status()["conditions"]}
    eventually(lambda: place.jobs() == [])


def test_a_job_for_what_is_not_wanted_any_more_is_ended_and_another_made(place: Place, eventually: Eventually) -> None:
    place.collection(closing={"deleteAfter": "168h"})
    job = place.job()
    assert place.sas(job)["sp"] == "rwdl"
    place.patch_closing("churn", deleteAfter=None)
    again = place.job(but=job["metadata"]["uid"])
    assert place.sas(again)["sp"] == "rwl"
    assert not [each for each in again["spec"]["template"]["spec"]["containers"][0]["args"] if "delete" in each]
    eventually(lambda: gone(place, job))


def test_the_next_leader_makes_no_second_job(
    closing_api: ApiServer, place: Place, start_operator: Start, eventually: Eventually
) -> None:
    # Two controllers that both believe they lead: each in the place of the other.
    place.collection(closing={})
    job = place.job()
    second = start_operator("controller", closing_api.kubeconfig, environment={**environment(), **OF_ANOTHER_LEASE})
    eventually(lambda: "leading as" in second.said())
    place.collection("late", closing={})
    late = place.job("late")
    place.end(job, 0, REPORT)
    place.end(late, 0, REPORT)
    place.reaches("True", "Closed")
    place.reaches("True", "Closed", "late")
    assert [each["metadata"]["uid"] for each in place.jobs("churn")] == [job["metadata"]["uid"]]
    assert [each["metadata"]["uid"] for each in place.jobs("late")] == [late["metadata"]["uid"]]


OF_ANOTHER_LEASE = {"MODELDATA_CONTROLLER_NAME": "another-controller"}


@pytest.mark.parametrize(
    ("storage", "secret", "reason", "said"),
    [
        (
            {
                "endpoint": "http://storage.elsewhere.svc:10000/account",
                "credential": {"secretRef": {"name": "account"}},
            },
            None,
            "StorageNotAllowed",
            "storage.allowedHosts",
        ),
        (
            {
                "endpoint": "https://127.0.0.1:9",
                "credential": {"workloadIdentity": dict.fromkeys(("clientId", "tenantId"), str(uuid.UUID(int=1)))},
            },
            None,
            "NoCredential",
            "modeldata close",
        ),
        (
            {"endpoint": "http://127.0.0.1:9", "credential": {"sasTokenSecretRef": {"name": "writer"}}},
            "sv=2024-11-04&sr=c&sp=rac&se=2099-01-01T00:00:00Z&sig=c2ln",
            "SasInsufficient",
            "closing days needs rwl",
        ),
        (
            {"endpoint": "http://127.0.0.1:9", "credential": {"secretRef": {"name": "nothing"}}},
            None,
            "SecretNotFound",
            "Secret nothing does not exist",
        ),
    ],
)
def test_what_keeps_a_job_from_being_made_is_told_with_the_way_out(
    place: Place, storage: Manifest, secret: str | None, reason: str, said: str
) -> None:
    if secret is not None:
        body = {"metadata": {"name": "writer"}, "stringData": {"sas": secret}}
        place.api.create(f"/api/v1/namespaces/{place.namespace}/secrets", body)
    place.collection(storage=storage, closing={})
    assert said in place.reaches("False", reason)
    assert place.jobs() == []


def test_a_sas_that_suffices_is_handed_to_the_job(place: Place) -> None:
    token = "sv=2024-11-04&sr=c&sp=racwl&se=2099-01-01T00:00:00Z&sig=c2ln"
    body = {"metadata": {"name": "writer"}, "stringData": {"sas": token}}
    place.api.create(f"/api/v1/namespaces/{place.namespace}/secrets", body)
    storage = {"endpoint": "http://127.0.0.1:9", "credential": {"sasTokenSecretRef": {"name": "writer"}}}
    place.collection(storage=storage, closing={})
    assert place.sas(place.job())["sp"] == "racwl"


def test_a_tenant_reads_neither_the_jobs_secret_nor_its_pod(place: Place) -> None:
    place.collection(closing={})
    job = place.job()
    place.sas(job)
    user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"user-{place.namespace}"}
    binding = {
        "metadata": {"name": "admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [user],
    }
    place.api.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}/rolebindings", binding)
    for path in (SECRETS, PODS, JOBS, f"{JOBS}/{job['metadata']['name']}"):
        with pytest.raises(Refused) as refused:
            place.api.request("GET", path, headers={"Impersonate-User": user["name"]})
        assert refused.value.status == 403
    # Nor does the status say more than its name.
    assert "sig=" not in json.dumps(place.status())


def test_what_a_tenant_writes_reaches_a_job_as_values_of_arguments_alone(place: Place) -> None:
    storage = {
        "endpoint": "http://127.0.0.1:9",
        "credential": {"secretRef": {"name": "account"}},
        "path": "--sas-file=/x/{workspace}/{designation}/{year}/{month}/{day}/{file}",
    }
    name = "n." * 25 + "n"
    place.collection(name, storage=storage, closing={}, workspace={"name": "(--delete-after-1h)"})
    job = place.job(name)
    pod = job["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    assert [each for each in arguments if "sas-file" in each] == [
        "--path=--sas-file=/x/{workspace}/{designation}/{year}/{month}/{day}/{file}",
        "--sas-file=/var/run/modeldata/credential/sas",
    ]
    assert "--match=workspace=(--delete-after-1h)" in arguments
    # Neither a name nor a label of the pod is a tenant's; Pod Security restricted is enforced where it runs.
    made = place.pod_of(job)
    assert place.namespace not in json.dumps({**made["metadata"], "managedFields": None})
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"emptyDir", "secret"}


def test_no_more_jobs_run_than_there_is_room_for_and_no_namespace_has_all_of_it(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    places = []
    for name in ("eager", "modest"):
        own_api.namespace(name)
        places.append(Place(own_api, eventually, name))
        places[-1].account()
    eager, modest = places
    for number in range(3):
        eager.collection(f"c{number}", closing={})
    controller_of(own_api, start_operator, atOnce=2)
    eventually(lambda: len(eager.jobs()) == 1)
    for number in range(3):
        status = "Closing" if eager.jobs(f"c{number}") else "WaitingToClose"
        eager.reaches("Unknown", status, f"c{number}")
    assert len(eager.jobs()) == 1
    modest.collection(closing={})
    modest.job()
    assert len(eager.jobs()) == 1


def test_the_operators_default_closes_each_namespaces_container_by_a_job_of_its_own(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    default = Place(own_api, eventually, NAMESPACE)
    default.account()
    spec = installation.serving({"matchLabels": {"team": "retail"}})
    own_api.create(
        f"/apis/modeldata.dev/v1alpha1/namespaces/{NAMESPACE}/datacollections",
        installation.collection("default", **spec, closing={}),
    )
    for name in ("a", "b"):
        own_api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"team": "retail"}}})
        pod = {
            "metadata": {"name": "annotated", "annotations": {"collect_model_data": "true"}},
            "spec": {"containers": [{"name": "scoring", "image": "model"}]},
        }
        own_api.create(f"/api/v1/namespaces/{name}/pods", pod)
    controller_of(own_api, start_operator)
    jobs = eventually(lambda: found if len(found := default.jobs("default")) == 2 else None)
    closed = {each["metadata"]["labels"]["modeldata.dev/closed-namespace"]: each for each in jobs}
    for name in ("a", "b"):
        arguments = closed[name]["spec"]["template"]["spec"]["containers"][0]["args"]
        assert arguments[1] == f"http://127.0.0.1:1/devstoreaccount1/modeldata-{name}"
        assert f"--match=workspace={name}" in arguments
    default.reaches("Unknown", "Closing", "default")


def test_installed_for_some_namespaces_it_closes_their_days_with_its_rights_there(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    own_api.namespace("models")
    installation.install_operator(own_api, installation.NAMESPACED)
    place = Place(own_api, eventually, "models")
    place.account()
    place.collection(closing={})
    token = installation.token(own_api, installation.CONTROLLER)
    kubeconfig = own_api.kubeconfig_for(token=token, name="kubeconfig-closing")
    started = start_operator("controller", kubeconfig, environment={**environment(), "MODELDATA_NAMESPACES": "models"})
    place.sas(place.job())
    place.reaches("Unknown", "Closing")
    assert "forbidden" not in started.said().lower()


def test_an_operator_that_makes_no_jobs_says_so(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    own_api.namespace("models")
    place = Place(own_api, eventually, "models")
    place.account()
    place.collection(closing={})
    start_operator("controller", own_api.kubeconfig)
    assert "closing.enabled" in place.reaches("False", "ClosingUnavailable")


def test_who_does_not_let_a_job_be_made_is_told(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    own_api.namespace("models")
    place = Place(own_api, eventually, "models")
    place.account()
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    own_api.create(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas", quota)
    # In the place of the controller that counts.
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/none/status"
    own_api.merge(path, {"status": {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}})
    place.collection(closing={})
    controller_of(own_api, start_operator)
    assert "exceeded quota: none" in place.reaches("False", "ClosingRefused")


def test_an_operator_that_is_uninstalled_leaves_no_job(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    own_api.namespace("models")
    place = Place(own_api, eventually, "models")
    place.account()
    place.collection(closing={})
    controller = controller_of(own_api, start_operator)
    place.job()
    controller.stop()
    own_api.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{installation.CONTROLLER}")
    retiring = start_operator("retire", own_api.kubeconfig, environment=environment())
    # Nobody collects garbage here: it is marked, and goes after its pods.
    eventually(lambda: "deletionTimestamp" in place.jobs()[0]["metadata"])
    assert retiring.process.wait(60) == 0, retiring.said()
