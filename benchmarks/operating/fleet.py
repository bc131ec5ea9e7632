"""Thousands of workloads as objects: Deployments, and their pods bound to a node that does not exist."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
import time
import typing

import aiohttp
import server

from modeldata_operator.api import names, resources, workloads
from modeldata_operator.decide import document, injection

MODELS = "models"
COLLECTION = "churn"
AT_ONCE = 32
TEMPLATE_HASH = "5c6f7d8e9b"

Manifest = dict[str, typing.Any]
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Client:
    """Many requests at a time, which the test's own client can't."""

    def __init__(self, api: server.ApiServer) -> None:
        self._api = api
        self._context = ssl.create_default_context(cafile=str(api.directory / "tls.crt"))
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            self._api.url,
            # Of what it wrote or made, as little as the operator asks for: the answers take processor on both sides.
            headers={"Authorization": f"Bearer {server.TOKEN}", "Accept": f"{_METADATA},application/json"},
            connector=aiohttp.TCPConnector(ssl=self._context, limit=AT_ONCE),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def create(self, path: str, body: Manifest) -> None:
        async with self._slots, self._session.post(path, json=body) as answer:
            text = await answer.text()
            if answer.status >= 300 and answer.status != 409:
                raise server.Refused(answer.status, text)

    async def delete(self, path: str) -> None:
        """Delete a pod at once; it may be gone already."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        async with self._slots, self._session.delete(path, json=body) as answer:
            if answer.status >= 300 and answer.status != 404:
                raise server.Refused(answer.status, await answer.text())

    async def create_all(self, objects: typing.Iterable[tuple[str, Manifest]]) -> None:
        """Create objects, a thousand under way at most."""
        under_way: set[asyncio.Task[None]] = set()
        for path, body in objects:
            under_way.add(asyncio.create_task(self.create(path, body)))
            if len(under_way) >= 1000:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        await asyncio.gather(*under_way)

    async def annotate(self, namespace: str, pod: str, settings: str) -> None:
        """Write a pod's settings as the operator does."""
        body = {"metadata": {"annotations": {names.SETTINGS_ANNOTATION: settings}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
        async with self._slots, self._session.patch(path, data=json.dumps(body), headers=headers) as answer:
            if answer.status >= 300:
                raise server.Refused(answer.status, await answer.text())

    async def injected(self, namespace: str) -> list[tuple[str, str]]:
        """Return the pods with settings, and these the other way round."""
        headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        async with self._session.get(f"/api/v1/namespaces/{namespace}/pods", headers=headers) as answer:
            found = [each["metadata"] for each in (await answer.json())["items"]]
        present = [(each["name"], each["annotations"].get(names.SETTINGS_ANNOTATION)) for each in found]
        return [(name, _switched(settings)) for name, settings in present if settings]

    async def settings(self, namespace: str) -> typing.AsyncIterator[tuple[str, bool]]:
        """Follow which pods have settings that say "enabled", as the API server tells of each change."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        async with self._session.get(path, headers=headers) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        headers = {"Accept": _METADATA}
        query = {"watch": "true", "resourceVersion": version}
        yield "", False  # from here on nothing is missed
        async with self._session.get(path, params=query, headers=headers, timeout=_NO_LIMIT, read_bufsize=2**24) as it:
            async for line in it.content:
                # Not parsed as a whole, as that would take from the processors what is measured.
                name, enabled = _NAME.search(line), _ENABLED.search(line)
                if name and enabled:
                    yield name[1].decode(), enabled[1] == b"true"


_NAME = re.compile(rb'"name":"([^"]+)"')
_ENABLED = re.compile(rb'\\"enabled\\":(true|false)')
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


def collection() -> Manifest:
    return {
        "apiVersion": "modeldata.dev/v1alpha1",
        "kind": "DataCollection",
        "metadata": {"name": COLLECTION, "namespace": MODELS},
        "spec": {
            "selector": {"matchLabels": {"modeldata": "collected"}},
            # Nobody answers there: what storage says is no part of this.
            "storage": {
                "endpoint": "http://127.0.0.1:9/account",
                "credential": {"secretRef": {"name": "account"}},
            },
        },
    }


def account() -> Manifest:
    data = {"accountName": b"account", "accountKey": base64.b64encode(b"no key of anything")}
    return {
        "metadata": {"name": "account", "namespace": MODELS},
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def deployment(namespace: str, name: str, *, replicas: int, collected: bool) -> Manifest:
    template = pod(namespace, name, collected=collected)
    metadata = {"labels": _labels(name, collected)}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": metadata, "spec": {**template["spec"], "nodeName": ""}},
        },
    }


def pod(namespace: str, name: str, *, collected: bool, number: int | None = None) -> Manifest:
    """Make a pod as a Deployment's: some kilobytes, as real ones are. Without a number its name is generated."""
    replica_set = f"{name}-{TEMPLATE_HASH}"
    metadata: Manifest = {
        "namespace": namespace,
        "generateName": f"{replica_set}-",
        "labels": {**_labels(name, collected), "pod-template-hash": TEMPLATE_HASH},
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": replica_set, "controller": True}
        ],
    }
    if number is not None:
        metadata["name"] = f"{replica_set}-{number:05}"
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    container = {
        "name": "scoring",
        "image": "registry.example.com/models/scoring:1.2.3",
        "env": [{"name": f"SETTING_{each}", "value": f"a value of some length, number {each}"} for each in range(12)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": probe,
        "livenessProbe": probe,
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    spec = {
        "nodeName": "no-such-node",
        "containers": [container, {"name": "proxy", "image": "registry.example.com/proxy:4.5.6"}],
        "volumes": [{"name": "models", "emptyDir": {}}],
    }
    return {"metadata": metadata, "spec": spec}


def injected(manifest: Manifest, stored: Manifest) -> Manifest:
    """Inject as the webhook would for the collection as stored."""
    serving = resources.collection(stored)
    assert isinstance(serving, resources.DataCollection), serving
    record = workloads.pod(manifest)
    plan = injection.plan(serving, record)
    assert isinstance(plan, injection.Plan), plan
    injection.inject(manifest, plan, document.settings(serving, record, None, rotation=0))
    return manifest


def _switched(settings: str) -> str:
    present = json.loads(settings)
    return document.encode({**present, "enabled": not present["enabled"], "generation": present["generation"] + 1})


def build(api: server.ApiServer, *, deployments: int, pods: int, collected: int) -> float:
    """Create everything; return the seconds it took. The collected pods are all of one namespace and collection."""
    began = time.monotonic()
    others = [f"team-{number}" for number in range(8)]
    for namespace in (MODELS, *others):
        api.namespace(namespace)
    with contextlib.suppress(server.Refused):
        api.create(f"/api/v1/namespaces/{MODELS}/secrets", account())
    path = f"/apis/modeldata.dev/v1alpha1/namespaces/{MODELS}/datacollections"
    stored = api.create(path, collection())
    each = pods // deployments

    def objects() -> typing.Iterator[tuple[str, Manifest]]:
        for number in range(deployments):
            ours = number < collected // each
            namespace = MODELS if ours else others[number % len(others)]
            name = f"scoring-{number}"
            where = f"/apis/apps/v1/namespaces/{namespace}/deployments"
            yield where, deployment(namespace, name, replicas=each, collected=ours)
            for replica in range(each):
                manifest = pod(namespace, name, collected=ours, number=replica)
                yield f"/api/v1/namespaces/{namespace}/pods", injected(manifest, stored) if ours else manifest

    async def create() -> None:
        async with Client(api) as client:
            await client.create_all(objects())

    asyncio.run(create())
    return time.monotonic() - began


def _labels(name: str, collected: bool) -> dict[str, str]:
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/version": "1.2.3"}
    return {**labels, "modeldata": "collected"} if collected else labels
