"""What the Deployment controller and the kubelets would do, done by hand, and what a user sees of the operator's work.

Pods come by the real webhook: its Service leads out of the cluster, to a process on this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing

import yaml

from .server import NAMESPACE, REPOSITORY, ApiServer, Refused

Manifest = dict[str, typing.Any]
# Nobody checks what it signs: the storage account of these tests does not exist.
ACCOUNT_KEY = "bm90IGEga2V5IG9mIGFueSByZWFsIGFjY291bnQ="
MARK = "modeldata.dev/restarted-for"
SETTINGS = "modeldata.dev/settings"
INJECTED = "modeldata.dev/injected"
COMPLETE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
UNDER_WAY = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
CRASHING = {"waiting": {"reason": "CrashLoopBackOff"}}
RUNNING = {"running": {}}


def lead_to_webhook(api: ApiServer, port: int) -> None:
    """Have the API server call the webhook that listens on a port of this machine, as manifests/install.yaml says."""
    documents = yaml.safe_load_all((REPOSITORY / "manifests/install.yaml").read_text(encoding="utf-8"))
    configuration = next(item for item in documents if item["kind"] == "MutatingWebhookConfiguration")
    configuration["webhooks"][0]["clientConfig"]["service"]["port"] = port
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "modeldata-operator-webhook", "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    for document in (service, configuration):
        api.kubectl("apply", "-f", "-", input=json.dumps(document))


def trusted(api: ApiServer) -> bool:
    """Whether the controller has told the API server which certificate to trust."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/modeldata-operator"
    return bool(api.get(path)["webhooks"][0]["clientConfig"].get("caBundle"))


def webhook_replicas(api: ApiServer, ready: int) -> None:
    """Make it look as if this many replicas of the webhook were ready."""
    deployments = Actors(api, NAMESPACE)
    with contextlib.suppress(Refused):
        deployments.deployment("modeldata-operator-webhook", pods=0)
    deployments.set_status("modeldata-operator-webhook", replicas=1, ready=ready)


class Actors:
    """A namespace, and everyone who works in it but the operator."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    # What a user does.

    def account(self) -> None:
        """Create the Secret with the account's key."""
        data = {"accountName": "account", "accountKey": ACCOUNT_KEY}
        self.api.create(self._core("secrets"), {"metadata": {"name": "account"}, "stringData": data})

    def collection(self, name: str = "churn", **spec: typing.Any) -> None:
        """Create a DataCollection; it selects app=churn unless something else is said."""
        selector = spec.pop("selector", {"matchLabels": {"app": "churn"}})
        storage = {"endpoint": "http://127.0.0.1:9", "credential": {"secretRef": {"name": "account"}}}
        body = {
            "apiVersion": "modeldata.dev/v1alpha1",
            "kind": "DataCollection",
            "metadata": {"name": name},
            "spec": {"storage": storage, **({"selector": selector} if selector else {}), **spec},
        }
        self.api.create(self._collections(), body)

    def patch_collection(self, name: str, spec: Manifest) -> None:
        """Change a DataCollection's spec."""
        self.api.merge(self._collections(name), {"spec": spec})

    def delete_collection(self, name: str) -> None:
        """Delete a DataCollection."""
        self.api.delete(self._collections(name))

    def deployment(self, name: str, *, pods: int = 1, app: str = "churn", **metadata: typing.Any) -> None:
        """Create a Deployment whose rollout is over."""
        labels = {"app": app, "deployment": name}
        body = {
            "metadata": {"name": name, **metadata},
            "spec": {
                "replicas": max(pods, 1),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}},
            },
        }
        self.api.create(self._apps("deployments"), body)
        if pods:
            self.roll_out(name)

    def patch_deployment(self, name: str, body: Manifest) -> None:
        """Change a Deployment."""
        self.api.merge(self._apps("deployments", name), body)

    def annotate(self, name: str, value: str | None) -> None:
        """Write or remove a Deployment's collect_model_data."""
        self.patch_deployment(name, {"metadata": {"annotations": {"collect_model_data": value}}})

    # What the controllers and kubelets do.

    def roll_out(self, name: str, *, state: Manifest = RUNNING, keep_old: bool = False) -> None:
        """Replace a Deployment's pods by those of its present template, and say in its status that it is so."""
        deployment = self.get_deployment(name)
        template, replicas = deployment["spec"]["template"], deployment["spec"]["replicas"]
        suffix = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]
        old = self.pods(name)
        annotations = deployment["metadata"].get("annotations", {})
        revision = int(annotations.get("deployment.kubernetes.io/revision", 0)) + 1
        self.patch_deployment(name, {"metadata": {"annotations": {"deployment.kubernetes.io/revision": str(revision)}}})
        for number in range(replicas):
            metadata = {
                "name": f"{name}-{suffix}-{revision}{number}",
                "labels": {**template["metadata"]["labels"], "pod-template-hash": suffix},
                "annotations": template["metadata"].get("annotations", {}),
                "ownerReferences": [owned_by("ReplicaSet", f"{name}-{suffix}")],
            }
            self.pod(metadata, state=state)
        if not keep_old:
            for pod in old:
                self.delete_pod(pod["metadata"]["name"])
        healthy = state == RUNNING
        self.set_status(name, replicas=replicas, ready=replicas if healthy else 0, complete=healthy and not keep_old)

    def roll_back(self, name: str) -> None:
        """Undo a restart whose pods never became ready: the old ones are still there."""
        for pod in self.pods(name):
            if MARK in pod["metadata"].get("annotations", {}):
                self.delete_pod(pod["metadata"]["name"])
        self.patch_deployment(name, {"spec": {"template": {"metadata": {"annotations": {MARK: None}}}}})
        self.set_status(name, replicas=len(self.pods(name)), ready=len(self.pods(name)))

    def pod(self, metadata: Manifest, *, state: Manifest = RUNNING, spec: Manifest | None = None) -> None:
        """Create a pod as a controller would, and be its kubelet."""
        body = {"metadata": metadata, "spec": {"containers": [CONTAINER], **(spec or {})}}
        self.api.create(self._core("pods"), body)
        container = {"name": "scoring", "image": "model", "imageID": "", "restartCount": 0}
        container |= {"state": state, "ready": state == RUNNING}
        path = f"{self._core('pods', metadata['name'])}/status"
        self.api.merge(path, {"status": {"phase": "Running", "containerStatuses": [container]}})

    def start(self, metadata: Manifest, spec: Manifest | None = None) -> str:
        """Create a pod anew, and say whose injection it carries; the webhook learns of a collection a moment late."""
        with contextlib.suppress(Refused):
            self.delete_pod(metadata["name"])
        self.pod(metadata, spec=spec)
        return self.injected_by(metadata["name"])

    def delete_pod(self, name: str) -> None:
        """Delete a pod at once."""
        self.api.delete(self._core("pods", name))

    def set_status(self, name: str, *, replicas: int, ready: int, complete: bool = True) -> None:
        """Write a Deployment's status."""
        status = {
            "observedGeneration": self.get_deployment(name)["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [COMPLETE if complete else UNDER_WAY],
        }
        self.api.merge(f"{self._apps('deployments', name)}/status", {"status": status})

    # What a user sees.

    def get_deployment(self, name: str) -> Manifest:
        """Read a Deployment."""
        return typing.cast(Manifest, self.api.get(self._apps("deployments", name)))

    def mark(self, name: str) -> str | None:
        """The mark of a restart on a Deployment's template."""
        template = self.get_deployment(name)["spec"]["template"]
        return typing.cast("str | None", template["metadata"].get("annotations", {}).get(MARK))

    def pods(self, deployment: str = "") -> list[Manifest]:
        """The pods of a Deployment, or all."""
        items = self.api.get(self._core("pods"))["items"]
        return [pod for pod in items if not deployment or pod["metadata"]["labels"].get("deployment") == deployment]

    def get_pod(self, name: str) -> Manifest:
        """Read a pod."""
        return typing.cast(Manifest, self.api.get(self._core("pods", name)))

    def injected_by(self, name: str) -> str:
        """The collection whose injection a pod carries."""
        pod = self.get_pod(name)
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        if INJECTED not in pod["metadata"].get("annotations", {}) or "modeldata-spool" not in volumes:
            return ""
        return str(pod["metadata"]["labels"]["modeldata.dev/data-collection"])

    def enabled(self, deployment: str) -> set[bool | None]:
        """What the settings of a Deployment's pods say; None: a pod has none."""
        found = set()
        for pod in self.pods(deployment):
            settings = pod["metadata"].get("annotations", {}).get(SETTINGS)
            found.add(json.loads(settings)["enabled"] if settings else None)
        return found

    def secret(self, name: str) -> Manifest | None:
        """Read a Secret, if it is there."""
        with contextlib.suppress(Refused):
            return typing.cast(Manifest, self.api.get(self._core("secrets", name)))
        return None

    def status(self, name: str = "churn") -> Manifest:
        """The status of a DataCollection."""
        return typing.cast(Manifest, self.api.get(self._collections(name)).get("status", {}))

    def condition(self, kind: str, name: str = "churn") -> tuple[str, str]:
        """A condition's status and reason."""
        found = next(item for item in self.status(name)["conditions"] if item["type"] == kind)
        return found["status"], found["reason"]

    def told(self, workload: str, collection: str = "churn") -> tuple[str, str]:
        """Why a workload is not collected: the reason and the message in the collection's status."""
        for item in self.status(collection).get("workloads", []):
            if item["name"] == workload:
                return item["reason"], item["message"]
        return "", ""

    def events(self, kind: str, name: str) -> dict[str, str]:
        """The messages of the Events about an object, by reason."""
        return {item["reason"]: item["message"] for item in self._events(kind, name)}

    def said(self, kind: str, name: str) -> list[str]:
        """The reasons of all Events about an object."""
        return [item["reason"] for item in self._events(kind, name)]

    def _events(self, kind: str, name: str) -> list[Manifest]:
        items = self.api.get(self._core("events"))["items"]
        about = (kind, name)
        return [item for item in items if (item["involvedObject"]["kind"], item["involvedObject"]["name"]) == about]

    def _core(self, plural: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def _apps(self, plural: str, name: str = "") -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def _collections(self, name: str = "") -> str:
        path = f"/apis/modeldata.dev/v1alpha1/namespaces/{self.namespace}/datacollections"
        return path + (f"/{name}" if name else "")


CONTAINER = {"name": "scoring", "image": "model"}


def owned_by(kind: str, name: str, *, api_version: str = "apps/v1") -> Manifest:
    """The reference that a controller puts on its pods."""
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}
