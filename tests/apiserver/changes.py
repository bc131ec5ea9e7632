"""What people and clusters do to DataCollections, Deployments and pods, at random, and what must come of it."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import typing

from . import server

Manifest = dict[str, typing.Any]

COLLECTIONS = "/apis/modeldata.dev/v1alpha1/namespaces/{}/datacollections"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
PODS = "/api/v1/namespaces/{}/pods"
SECRETS = "/api/v1/namespaces/{}/secrets"
KEY = base64.b64encode(b"a key of nobody").decode()


@dataclasses.dataclass
class Collection:
    app: str | None
    enabled: bool
    order: int


@dataclasses.dataclass
class World:
    """What was done to one namespace, and what must come of it."""

    api: server.ApiServer
    namespace: str
    collections: dict[str, Collection] = dataclasses.field(default_factory=dict)
    deployments: dict[str, tuple[str, str | None]] = dataclasses.field(default_factory=dict)
    """App and annotation."""
    pods: dict[str, str] = dataclasses.field(default_factory=dict)
    """Each one's Deployment."""
    made: int = 0

    def path(self, kind: str, name: str = "") -> str:
        return kind.format(self.namespace) + (f"/{name}" if name else "")

    def begin(self) -> None:
        self.api.namespace(self.namespace)
        values = {"accountName": "account", "accountKey": KEY}
        self.api.create(self.path(SECRETS), {"metadata": {"name": "account"}, "stringData": values})

    def create_collection(self, name: str, app: str | None, enabled: bool) -> None:
        # Nobody answers there, which must not matter to what the pods are told.
        storage = {"endpoint": "http://127.0.0.1:1/account", "credential": {"secretRef": {"name": "account"}}}
        spec: Manifest = {"enabled": enabled, "storage": storage, "rollout": "Manual"}
        if app:
            spec["selector"] = {"matchLabels": {"app": app}}
        kind = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection"}
        self.api.create(self.path(COLLECTIONS), {**kind, "metadata": {"name": name}, "spec": spec})
        self.made += 1
        self.collections[name] = Collection(app, enabled, self.made)

    def create_deployment(self, name: str, app: str) -> None:
        template = {"metadata": {"labels": {"app": app, "d": name}}, "spec": {"containers": [container()]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"d": name}}, "template": template}
        self.api.create(self.path(DEPLOYMENTS), {"metadata": {"name": name}, "spec": spec})
        self.deployments[name] = (app, None)

    def create_pod(self, deployment: str) -> None:
        """As a ReplicaSet does it; the webhook injects it if it is up and a collection serves it."""
        self.made += 1
        name, (app, _) = f"{deployment}-abc-{self.made}", self.deployments[deployment]
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{deployment}-abc", "uid": f"u-{deployment}"}
        metadata = {
            "name": name,
            "labels": {"app": app, "d": deployment, "pod-template-hash": "abc"},
            "ownerReferences": [{**owner, "controller": True}],
        }
        self.api.create(self.path(PODS), {"metadata": metadata, "spec": {"containers": [container()]}})
        self.pods[name] = deployment

    def step(self, chance: random.Random) -> None:
        """Do one thing that people and clusters do."""
        name = chance.choice(["a", "b", "default"])
        deployment = chance.choice(sorted(self.deployments))
        match chance.randrange(8):
            case 0 | 1 if name in self.collections:
                known = self.collections[name]
                known.enabled = not known.enabled
                self.api.merge(self.path(COLLECTIONS, name), {"spec": {"enabled": known.enabled}})
            case 2 if name in self.collections:
                self.api.delete(self.path(COLLECTIONS, name))
                del self.collections[name]
            case 0 | 1 | 2 | 3 if name not in self.collections:
                app = None if name == "default" else chance.choice(["x", "y"])
                self.create_collection(name, app, chance.random() < 0.7)
            case 4:
                value = chance.choice([None, "true", "false"])
                self.api.merge(
                    self.path(DEPLOYMENTS, deployment), {"metadata": {"annotations": {"collect_model_data": value}}}
                )
                self.deployments[deployment] = (self.deployments[deployment][0], value)
            case 5 if self.pods:
                pod = chance.choice(sorted(self.pods))
                self.api.delete(self.path(PODS, pod))
                del self.pods[pod]
            case _:
                if len(self.pods) < 12:
                    self.create_pod(deployment)

    def serving(self, pod: str) -> str | None:
        """Say which collection must serve a pod: design, "Annotation", in this test's own words."""
        app, annotation = self.deployments[self.pods[pod]]
        if annotation == "false":
            return None
        matching = [name for name, known in self.collections.items() if known.app == app]
        if matching:
            # The older one; creation times have whole seconds, and the name decides between equal ones.
            found = {
                name: self.api.get(self.path(COLLECTIONS, name))["metadata"]["creationTimestamp"] for name in matching
            }
            return min(matching, key=lambda name: (found[name], name))
        return "default" if annotation == "true" and "default" in self.collections else None

    def wrong(self) -> list[str]:
        """Say what is not as it must be."""
        problems = []
        served: dict[str, list[str]] = {name: [] for name in self.collections}
        injected: dict[str, int] = dict.fromkeys(self.collections, 0)
        for name in self.pods:
            pod = self.api.get(self.path(PODS, name))
            collection = self.serving(name)
            if collection is not None:
                served[collection].append(name)
            annotations, labels = pod["metadata"].get("annotations") or {}, pod["metadata"]["labels"]
            if "modeldata.dev/injected" not in annotations:
                continue
            settings = json.loads(annotations["modeldata.dev/settings"])
            mine = labels["modeldata.dev/data-collection"] == collection
            if collection is not None and mine:
                injected[collection] += 1
            expected = collection is not None and mine and self.collections[collection].enabled
            if settings["enabled"] is not expected:
                problems.append(f"pod {name} ({collection}, {labels}) has enabled {settings['enabled']}")
        for name in self.collections:
            found = self.api.get(self.path(COLLECTIONS, name))
            status = found.get("status") or {}
            if status.get("observedGeneration") != found["metadata"]["generation"]:
                problems.append(f"{name} is not observed")
                continue
            pods = status["pods"]
            if (pods["matched"], pods["injected"]) != (len(served[name]), injected[name]):
                problems.append(f"{name} says {pods}, not {len(served[name])} and {injected[name]}")
            secrets = self.api.get(self.path(SECRETS))["items"]
            owners = {
                item["metadata"]["name"]: item["metadata"].get("ownerReferences", [{}])[0].get("uid")
                for item in secrets
            }
            if owners.get(f"modeldata-{name}") != found["metadata"]["uid"]:
                problems.append(f"the SAS Secret of {name} is not of this {name}")
        return problems


def container() -> Manifest:
    return {"name": "scoring", "image": "nowhere.example/scoring:1"}
