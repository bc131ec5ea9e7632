"""The whole way, shown: a real model in a real cluster is collected, switched, killed, and every row checked.

Run by ``make demo``. Does what a user would do, with the commands that a user would type, and checks each claim; the
first one that does not hold ends it with exit code 1.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import io
import json
import os
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
import typing

import joblib
import numpy
import pandas
from azure.storage.blob import ContainerClient
from sklearn.datasets import load_diabetes

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
ACCOUNT = "devstoreaccount1"
# Azurite's well-known key, the same in every installation of it: no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FEATURES = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
CLIENTS = 6
MODEL_LOOKS = 0.5
"""Seconds until a model has surely seen what its settings file says: it looks ten times a second."""

Row = tuple[float, ...]
Value = typing.TypeVar("Value")


class BrokenPromiseError(Exception):
    """Something the demo promises did not happen."""


def main() -> None:
    started = time.monotonic()
    title("Install: the resource, the operator, and a storage account (Azurite, in the cluster)")
    install()
    title("A DataCollection, and a model that knows nothing of it")
    deploy()
    model = joblib.load(
        io.BytesIO(kubectl_bytes("-n", "models", "exec", "deploy/diabetes", "--", "cat", "/srv/model/ridge.pkl"))
    )
    blobs = Blobs()

    title("442 rows of scikit-learn's diabetes data, in requests of 1 to 20 rows, from 6 clients at once")
    collect_everything(blobs, model)
    title("Off and on again, while the model serves")
    switch(blobs)
    title("A second, running Deployment is annotated")
    annotate(blobs)
    title("A model container is killed in the middle of a burst")
    kill(blobs)
    title(f"All of it held, in {time.monotonic() - started:.0f} s. Where to look next")
    print(
        """\
  eval "$(python3 localcluster env)"                       kubectl and helm for this cluster
  kubectl get mdc -A                                       what is collected, and whether it works
  kubectl -n models describe mdc diabetes                  why, if it doesn't
  kubectl -n modeldata-system logs -l app.kubernetes.io/component=controller --tail=-1
  kubectl -n models patch mdc diabetes --type merge -p '{"spec":{"enabled":false}}'
  make demo-down                                           removes the cluster and all that is in it"""
    )


def install() -> None:
    kubectl("apply", "--server-side", "-f", "crds/")
    kubectl("apply", "-f", "manifests/install.yaml")
    # Beside Azure Blob Storage the operator connects only to hosts that it is told of.
    controller = "deploy/modeldata-operator-controller"
    kubectl("-n", "modeldata-system", "set", "env", controller, "MODELDATA_ALLOWED_HOSTS=azurite.storage.svc:10000")
    kubectl("apply", "-f", "examples/azurite.yaml")
    # In a cluster that was up already, images may have come under the tags that run.
    quiet(
        "-n",
        "modeldata-system",
        "rollout",
        "restart",
        "deploy/modeldata-operator-webhook",
        "deploy/modeldata-operator-controller",
    )
    for namespace, names in (
        ("modeldata-system", ("modeldata-operator-webhook", "modeldata-operator-controller")),
        ("storage", ("azurite",)),
    ):
        for name in names:
            quiet("-n", namespace, "rollout", "status", f"deploy/{name}", "--timeout=180s")
    kubectl("-n", "modeldata-system", "get", "pods")


def deploy() -> None:
    # A demo starts from nothing: what an earlier one left is removed.
    quiet("delete", "namespace", "models", "--ignore-not-found", "--timeout=120s")
    quiet("-n", "storage", "rollout", "restart", "deploy/azurite")
    quiet("-n", "storage", "rollout", "status", "deploy/azurite", "--timeout=120s")
    kubectl("create", "namespace", "models")
    quiet("label", "namespace", "models", "pod-security.kubernetes.io/enforce=restricted")
    kubectl(
        "-n", "models", "create", "secret", "generic", "account",
        f"--from-literal=accountName={ACCOUNT}", f"--from-literal=accountKey={KEY}", hide=KEY,
    )  # fmt: skip
    kubectl("apply", "-f", "examples/diabetes/datacollection.yaml")
    kubectl("apply", "-f", "examples/diabetes/deployment.yaml")
    quiet("-n", "models", "rollout", "status", "deploy/diabetes", "--timeout=180s")
    eventually(lambda: injected("diabetes") == 2, "both replicas are injected")
    kubectl("get", "mdc", "-A")


def collect_everything(blobs: Blobs, model: typing.Any) -> None:
    rows = [tuple(map(float, row)) for row in load_diabetes(return_X_y=True)[0]]
    random.shuffle(rows)
    requests = []
    while rows:
        size = random.randint(1, 20)
        requests.append(rows[:size])
        rows = rows[size:]
    service = Service("diabetes")
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(service.score, requests))
    said = {
        row: answer
        for request, answer in zip(requests, answers, strict=True)
        for row, answer in zip(request, answer, strict=True)
    }
    print(f"  {len(said)} rows in {len(requests)} requests, all answered")

    eventually(lambda: len(blobs.rows("diabetes", "predictions")) >= len(said), "all rows are in Blob Storage")
    for name, size in sorted(blobs.files().items()):
        print(f"  {size:>8} bytes  {name}")
    inputs, predictions = blobs.rows("diabetes", "inputs"), blobs.rows("diabetes", "predictions")
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one", suffixes=("", " of predictions"))
    print(joined[["$Timestamp", "$RequestId", "age", "bmi", "prediction"]].head(3).to_string(index=False))
    check(len(inputs) == len(predictions) == len(joined) == 442, f"{len(joined)} of 442 rows joined by $RequestId")
    collected = [tuple(row) for row in joined[FEATURES].itertuples(index=False, name=None)]
    check(sorted(collected) == sorted(said), "each row is there once, each feature equal to what was sent")
    check(
        all(said[row] == prediction for row, prediction in zip(collected, joined["prediction"], strict=True)),
        "each prediction equal to what the model answered",
    )
    own = model.predict(numpy.array(collected))
    check(numpy.allclose(own, joined["prediction"], rtol=1e-12, atol=0), "and to the model's own for these features")


def switch(blobs: Blobs) -> None:
    before = pods("diabetes")
    service = Service("diabetes")
    with burst(service, clients=2):
        eventually(lambda: service.answered >= 20, "requests run in the background")
        patched = time.time()
        patch(enabled=False)
        eventually(lambda: told("diabetes", enabled=False), "all containers see it")
        seen = time.time() + MODEL_LOOKS
        eventually(lambda: sum(moment > seen for _, moment in service.sent) >= 100, "requests go on being answered")
        resumed = time.time()
        patch(enabled=True)
        eventually(lambda: told("diabetes", enabled=True), "all containers see it")
        seen_again = time.time() + MODEL_LOOKS
        eventually(
            lambda: sum(moment > seen_again for _, moment in service.sent) >= 50, "requests go on being answered"
        )
    check(service.failed == 0, f"all {service.answered} requests were answered")
    # Rows reach a file in the order in which a pod collected them: when the last ones are there, all are.
    last = {row for row, moment in service.sent if moment > seen_again}
    eventually(lambda: last <= set(blobs.features("diabetes")), "rows are collected again")
    collected = blobs.rows("diabetes", "inputs")
    times = pandas.to_datetime(collected["$Timestamp"]).map(lambda moment: moment.timestamp())
    late = times[(times >= patched) & (times < resumed)]
    obeyed = max(late) - patched if len(late) else 0.0
    slow = "" if obeyed <= 1 else " (it should be less than 1 s: is this machine busy?)"
    print(f"  the last row was collected {obeyed:.2f} s after the start of kubectl patch{slow}")
    paused = {row for row, moment in service.sent if seen <= moment < resumed}
    added = paused & set(blobs.features("diabetes"))
    check(bool(paused) and not added, f"none of the {len(paused)} rows sent while it was off was added")
    check(pods("diabetes") == before, "by the same pods: same uid, no restart")


def annotate(blobs: Blobs) -> None:
    kubectl("apply", "-f", "examples/diabetes/annotated.yaml")
    quiet("-n", "models", "rollout", "status", "deploy/diabetes-annotated", "--timeout=180s")
    before = pods("diabetes-annotated")
    check(injected("diabetes-annotated") == 0, "it runs, and is not collected")
    kubectl("-n", "models", "annotate", "deployment", "diabetes-annotated", "collect_model_data=true")
    eventually(
        lambda: injected("diabetes-annotated") == 1 and len(pods("diabetes-annotated")) == 1,
        "it is restarted, with collection",
    )
    quiet("-n", "models", "rollout", "status", "deploy/diabetes-annotated", "--timeout=180s")
    check(set(pods("diabetes-annotated")) != set(before), "a new pod serves")
    service = Service("diabetes-annotated")
    rows = fresh_rows(25)
    service.score(rows)
    eventually(lambda: set(rows) <= set(blobs.features("diabetes-annotated")), "its rows are in Blob Storage")
    kubectl("-n", "models", "annotate", "deployment", "diabetes-annotated", "collect_model_data=false", "--overwrite")
    eventually(lambda: not enabled("diabetes-annotated"), "its pod was told")
    time.sleep(1)  # the settings are in the pod within 0.2 s; what is shown here is that nothing comes
    more = fresh_rows(25)
    service.score(more)
    time.sleep(7)  # longer than the flush interval
    check(not set(more) & set(blobs.features("diabetes-annotated")), "and after collect_model_data=false no longer")


def kill(blobs: Blobs) -> None:
    service = Service("diabetes")
    with burst(service, clients=CLIENTS):
        eventually(lambda: service.answered >= 100, "the burst runs")
        victim, restarts = sorted(pods("diabetes").items())[0]
        process = main_process(victim)
        os.kill(process, signal.SIGKILL)
        print(f"  $ kill -9 {process}    the container's first process, after {service.answered} answered requests")
        upto = service.answered + 200
        eventually(lambda: service.answered >= upto, "requests go on being answered")
    eventually(lambda: pods("diabetes")[victim] == restarts + 1, "the container is started again, in the same pod")
    answered = {row for row, _ in service.sent}
    eventually(lambda: answered <= set(blobs.features("diabetes")), "what was answered is in Blob Storage")
    counts = pandas.Series(blobs.features("diabetes")).value_counts()
    print(f"  {len(answered)} rows were answered; {service.failed} requests were not, as their server was killed")
    check(int(counts.max()) == 1, "each row is there once")


class Service:
    """The model, as its clients see it."""

    def __init__(self, name: str) -> None:
        self._address = jsonpath(f"service/{name}", "{.spec.clusterIP}")
        self.answered = 0
        self.failed = 0
        self.sent: list[tuple[Row, float]] = []
        """Each row that was answered, and when its request began."""
        self._lock = threading.Lock()

    def score(self, rows: list[Row]) -> list[float]:
        """Return the model's predictions; rows whose request fails are not in ``sent``."""
        began = time.time()
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            connection.request("POST", "/score", json.dumps({"data": rows}), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise OSError(f"{response.status}: {body[:200]!r}")
        finally:
            connection.close()
        with self._lock:
            self.answered += 1
            self.sent += [(row, began) for row in rows]
        return typing.cast("list[float]", json.loads(body))


class Blobs:
    """The storage account, as an analyst sees it."""

    def __init__(self) -> None:
        address = jsonpath("service/azurite", "{.spec.clusterIP}", namespace="storage")
        self._container = ContainerClient(
            f"http://{address}:10000/{ACCOUNT}", "modeldata", credential={"account_name": ACCOUNT, "account_key": KEY}
        )

    def files(self) -> dict[str, int]:
        return {blob.name: blob.size for blob in self._container.list_blobs()}

    def rows(self, webservice: str, designation: str) -> pandas.DataFrame:
        frames = [
            pandas.read_csv(io.BytesIO(self._container.download_blob(name).readall()))
            for name, size in self.files().items()
            # A file is empty for a moment, before its header.
            if size and f"/{webservice}/diabetes/10/{designation}/" in name
        ]
        return (
            pandas.concat(frames, ignore_index=True)
            if frames
            else pandas.DataFrame(columns=["$Timestamp", "$RequestId", *FEATURES])
        )

    def features(self, webservice: str) -> list[Row]:
        return list(self.rows(webservice, "inputs")[FEATURES].itertuples(index=False, name=None))


@contextlib.contextmanager
def burst(service: Service, *, clients: int) -> typing.Iterator[None]:
    """Send rows that nobody sent before, one a request, from several clients, until the block ends."""
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            try:
                service.score(fresh_rows(1))
            except (OSError, http.client.HTTPException):
                service.failed += 1
                stop.wait(0.05)
            stop.wait(0.01)

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def fresh_rows(count: int) -> list[Row]:
    return [tuple(random.uniform(-0.1, 0.1) for _ in FEATURES) for _ in range(count)]


def patch(*, enabled: bool) -> None:
    kubectl(
        "-n", "models", "patch", "mdc", "diabetes", "--type", "merge", "-p", json.dumps({"spec": {"enabled": enabled}})
    )


def pods(app: str) -> dict[str, int]:
    """Return each live pod's uid, and how often its container was restarted."""
    found = json.loads(quiet("-n", "models", "get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
    return {
        pod["metadata"]["uid"]: pod["status"].get("containerStatuses", [{}])[0].get("restartCount", 0)
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
    }


def settings(app: str) -> list[dict[str, typing.Any]]:
    """Return the settings that the operator gave to the live pods of an app."""
    found = json.loads(quiet("-n", "models", "get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
    annotations = [
        pod["metadata"].get("annotations", {}) for pod in found if "deletionTimestamp" not in pod["metadata"]
    ]
    return [json.loads(each["modeldata.dev/settings"]) for each in annotations if "modeldata.dev/settings" in each]


def injected(app: str) -> int:
    return len(settings(app))


def enabled(app: str) -> bool:
    return all(each["enabled"] for each in settings(app))


def told(app: str, *, enabled: bool) -> bool:
    """Return whether each container's own settings file says so."""
    names = quiet("-n", "models", "get", "pods", "-l", f"app={app}", "-o", "name").split()
    read = ("--", "cat", "/var/run/modeldata/settings/settings.json")
    return all(json.loads(quiet("-n", "models", "exec", name, *read))["enabled"] is enabled for name in names)


def main_process(pod_uid: str) -> int:
    """Return the first process of a pod's model container, as this machine numbers it."""
    pod = next(
        pod
        for pod in json.loads(quiet("-n", "models", "get", "pods", "-o", "json"))["items"]
        if pod["metadata"]["uid"] == pod_uid
    )
    container = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    processes = [
        int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/cgroup") if container in read(path)
    ]
    return min(processes)


def read(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except OSError:  # a process that ended meanwhile
        return ""


def jsonpath(what: str, path: str, *, namespace: str = "models") -> str:
    return quiet("-n", namespace, "get", what, "-o", f"jsonpath={path}")


def kubectl(*arguments: str, hide: str = "\0") -> None:
    """Run what a user would type, and show it."""
    print("  $ " + shlex.join(["kubectl", *arguments]).replace(hide, "…"))
    for line in quiet(*arguments).splitlines():
        print(f"    {line}")


def quiet(*arguments: str) -> str:
    return kubectl_bytes(*arguments).decode()


def kubectl_bytes(*arguments: str) -> bytes:
    done = subprocess.run(["kubectl", *arguments], cwd=REPOSITORY, capture_output=True, check=False)
    if done.returncode:
        raise BrokenPromiseError(f"kubectl {arguments[0]} …: {done.stderr.decode().strip()}")
    return done.stdout


def eventually(look: typing.Callable[[], object], claim: str, *, seconds: float = 90) -> None:
    started = time.monotonic()
    while not look():
        if time.monotonic() - started > seconds:
            raise BrokenPromiseError(f"not within {seconds:.0f} s: {claim}")
        time.sleep(0.1)
    print(f"  ✓ {claim} ({time.monotonic() - started:.1f} s)")


def check(holds: bool, claim: str) -> None:
    if not holds:
        raise BrokenPromiseError(claim)
    print(f"  ✓ {claim}")


def title(text: str) -> None:
    print(f"\n── {text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except BrokenPromiseError as broken:
        print(f"\nThe demo failed: {broken}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(
            "\nInterrupted. The cluster is still up: make demo begins anew, make demo-down removes it.", file=sys.stderr
        )
        sys.exit(130)
