"""Words for what a user does with the operator and sees of it, in a namespace of the test's own."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import typing

import pytest

SYSTEM = "modeldata-system"
WEBHOOK, CONTROLLER = "modeldata-operator-webhook", "modeldata-operator-controller"
Manifest = dict[str, typing.Any]

RESTRICTED: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod_spec(program: str = "import time; time.sleep(1e6)") -> Manifest:
    return {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 4321, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "scoring",
                "image": "localhost/python:3.11",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", "-c", program],
                "securityContext": RESTRICTED,
            }
        ],
    }


class World:
    def __init__(self, cluster, namespace, azurite, eventually) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.azurite = azurite
        self.eventually = eventually

    pod_spec = staticmethod(pod_spec)

    def kubectl(self, *arguments, namespace=None, **options):
        return self.cluster.kubectl("-n", namespace or self.namespace, *arguments, **options)

    def get(self, *arguments, namespace=None) -> Manifest:
        return json.loads(self.kubectl("get", *arguments, "-o", "json", namespace=namespace))

    def find(self, kind, name, *, namespace=None) -> Manifest | None:
        text = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found", namespace=namespace)
        return json.loads(text) if text.strip() else None

    def apply(self, manifest, *, namespace=None) -> None:
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest), namespace=namespace)

    def account(self, *, name="account", key=None, namespace=None) -> None:
        values = {"accountName": self.azurite.account_name, "accountKey": key or self.azurite.account_key}
        self.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values},
            namespace=namespace,
        )

    def collection(self, name="churn", *, namespace=None, **spec) -> None:
        storage = {"endpoint": self.azurite.endpoint, "credential": {"secretRef": {"name": "account"}}}
        wanted = {"storage": storage, **spec}
        kind = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection"}
        self.apply({**kind, "metadata": {"name": name}, "spec": wanted}, namespace=namespace)

    def deployment(self, name="scoring", *, app="churn", replicas=1, annotations=None, pod=None, wait=True) -> None:
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": pod or pod_spec()},
        }
        kind = {"apiVersion": "apps/v1", "kind": "Deployment"}
        self.apply({**kind, "metadata": {"name": name, "annotations": annotations or {}}, "spec": spec})
        if wait:
            self.rolled_out(name)

    def rolled_out(self, name="scoring") -> None:
        self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")

    def pods(self, app="churn") -> list[Manifest]:
        """The pods that run and are not about to end."""
        items = self.get("pods", "-l", f"app={app}")["items"]
        return [item for item in items if not item["metadata"].get("deletionTimestamp")]

    def pod(self, app="churn") -> Manifest:
        (pod,) = self.pods(app)
        return pod

    def identity(self, app="churn") -> set[tuple[str, int]]:
        """The pods' uids and restart counts: what must stay the same while collection is switched."""
        return {
            (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]) for pod in self.pods(app)
        }

    def read(self, pod: Manifest, file: str) -> str:
        """Read a file as the model's process would."""
        return self.kubectl("exec", pod["metadata"]["name"], "-c", "scoring", "--", "cat", f"/var/run/modeldata/{file}")

    def settings(self, app="churn") -> list[Manifest]:
        return [json.loads(self.read(pod, "settings/settings.json")) for pod in self.pods(app)]

    def enabled(self, app="churn") -> set[bool]:
        return {settings["enabled"] for settings in self.settings(app)}

    def condition(self, kind, name="churn", *, namespace=None) -> Manifest:
        status = self.get("mdc", name, namespace=namespace).get("status", {})
        return next((item for item in status.get("conditions", ()) if item["type"] == kind), {})

    def reason(self, kind, name="churn", *, namespace=None) -> tuple[str, str]:
        condition = self.condition(kind, name, namespace=namespace)
        return condition.get("status", ""), condition.get("reason", "")

    def reaches(self, kind, status, reason, *, name="churn", seconds=60.0) -> None:
        self.eventually(lambda: self.reason(kind, name) == (status, reason), seconds=seconds)

    def events(self, about: str) -> list[tuple[str, str]]:
        kind, name = about.split("/")
        items = self.get("events")["items"]
        found = [
            item for item in items if item["involvedObject"]["kind"] == kind and item["involvedObject"]["name"] == name
        ]
        return [(item["reason"], item["message"]) for item in found]

    def injected(self, pod: Manifest) -> bool:
        return "modeldata.dev/injected" in pod["metadata"].get("annotations", {})

    def sas(self, name="modeldata-churn") -> str:
        secret = self.find("secret", name)
        return base64.b64decode(secret["data"]["sas"]).decode() if secret else ""

    @contextlib.contextmanager
    def without(self, *deployments: str) -> typing.Iterator[None]:
        """Scale parts of the operator to nothing, and bring them back whatever happens."""
        before = {name: self.get("deployment", name, namespace=SYSTEM)["spec"]["replicas"] for name in deployments}
        try:
            for name in deployments:
                self.kubectl("scale", f"deployment/{name}", "--replicas=0", namespace=SYSTEM)
            for name in deployments:
                self.eventually(lambda name=name: not self._system_pods(name), seconds=60)
            yield
        finally:
            self.back(before)

    def back(self, replicas: dict[str, int]) -> None:
        for name, count in replicas.items():
            self.kubectl("scale", f"deployment/{name}", f"--replicas={count}", namespace=SYSTEM)
        for name in replicas:
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s", namespace=SYSTEM)

    def _system_pods(self, name: str) -> list[Manifest]:
        return self.get("pods", "-l", f"app.kubernetes.io/name={name}", namespace=SYSTEM)["items"]

    def timed(self, action: typing.Callable[[], typing.Any]) -> float:
        started = time.monotonic()
        action()
        return time.monotonic() - started


@pytest.fixture
def world(cluster, operator, namespace, azurite, eventually) -> World:
    return World(cluster, namespace, azurite, eventually)


@pytest.fixture
def collected(world) -> World:
    """A collection that serves one injected, running Deployment."""
    world.account()
    world.collection(selector={"matchLabels": {"app": "churn"}})
    world.eventually(world.sas, seconds=30)
    world.deployment()
    world.reaches("Ready", "True", "Collecting")
    return world
