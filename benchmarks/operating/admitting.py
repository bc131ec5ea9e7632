"""The webhook under TLS, while pods of thousands of Deployments are created at a steady rate."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
import ssl
import time
import typing

import aiohttp
import fleet
import server

import processes
import report

RATE = 100
SECONDS = 60
METRIC = "apiserver_admission_webhook_admission_duration_seconds"
ENTRY = "pods.modeldata.dev"


def measure(api: processes.AuditedServer, *, deployments: int, collected: int, quick: bool) -> report.Part:
    _give_certificate(api)
    number = RATE * (SECONDS // (6 if quick else 1))
    names = [f"scoring-{each}" for each in range(collected)]
    with processes.operator(api, "webhook") as webhook:
        processes.until(webhook.healthy)
        # What this machine can do at all, and what of an admission is the webhook's own.
        bare = asyncio.run(_create(api, number // 4, names=names, purpose="bare"))
        straight = asyncio.run(_review(api, webhook.webhook_port, number // 4, names=names))
        _configure(api, webhook.webhook_port)
        try:
            # The API server takes a new configuration up within a second or so.
            processes.until(lambda: _injected(api, "warm") > 0 or _create_one(api))
            before, processor = _histogram(api), webhook.processor_seconds
            began = time.monotonic()
            created = asyncio.run(_create(api, number, names=names, purpose="measured"))
            took = time.monotonic() - began
            after, processor = _histogram(api), webhook.processor_seconds - processor
        finally:
            api.delete(f"{_CONFIGURATIONS}/{processes.WEBHOOK_CONFIGURATION}")
        peak = webhook.peak_mib
    found = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    calls, injected = found[float("inf")], _injected(api, "measured")
    row = report.Row(
        f"webhook under TLS, {number / took:.0f} pods a second: 99 % of admissions",
        20.0,
        quantile(found, 0.99) * 1000,
        "ms",
        conditions=((f"each of {number} pods injected", injected == number), ("a call for each", calls >= number)),
        detail="interpolated between the bounds of the API server's own histogram, see the table",
    )
    lines = tuple((f"{bound * 1000:g} ms", count / calls * 100) for bound, count in sorted(found.items()))
    figures = (
        ("memory at its peak, MiB", peak),
        ("processor for a pod, ms", processor / number * 1000),
        ("50 % of admissions, ms", quantile(found, 0.5) * 1000),
    )
    beside = (
        ("pods created with the webhook", created.rate, *created.quantiles),
        ("pods created without it", bare.rate, *bare.quantiles),
        ("reviews sent straight to it, by no API server", straight.rate, *straight.quantiles),
    )
    return report.Part(
        (row,),
        (
            report.Table("Admissions of the webhook, as the API server counts them", ("within", "%"), lines),
            report.Table(f"The webhook with {deployments} Deployments", ("", ""), figures),
            report.Table(
                f"Of {RATE} a second, as whoever sends them sees them", ("", "a second", "50 % ms", "99 % ms"), beside
            ),
        ),
    )


def quantile(buckets: dict[float, float], share: float) -> float:
    """Interpolate in cumulated counts by upper bound, as Prometheus does."""
    rank, lower, below = share * buckets[float("inf")], 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= rank:
            return lower if bound == float("inf") else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_PODS = f"/api/v1/namespaces/{fleet.MODELS}/pods"


def _give_certificate(api: server.ApiServer) -> None:
    """Have the webhook serve with the API server's own certificate, which is for 127.0.0.1."""
    names = {"tls.crt": "tls.crt", "tls.key": "tls.key", "ca.crt": "tls.crt", "ca.key": "tls.key"}
    data = {name: base64.b64encode((api.directory / file).read_bytes()).decode() for name, file in names.items()}
    path = f"/api/v1/namespaces/{server.NAMESPACE}/secrets"
    secret = {"metadata": {"name": "modeldata-webhook-tls"}, "data": data}
    try:
        api.create(path, secret)
    except server.Refused:  # the controller's
        api.merge(f"{path}/modeldata-webhook-tls", secret)


def _configure(api: server.ApiServer, port: int) -> None:
    bundle = base64.b64encode((api.directory / "tls.crt").read_bytes()).decode()
    entry = {
        "name": ENTRY,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": 5,
        "clientConfig": {"url": f"https://127.0.0.1:{port}/inject", "caBundle": bundle},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }
    api.create(_CONFIGURATIONS, {"metadata": {"name": processes.WEBHOOK_CONFIGURATION}, "webhooks": [entry]})


def _create_one(api: server.ApiServer) -> bool:
    api.create(_PODS, _pod("scoring-0", "warm"))
    return False


class Sent(typing.NamedTuple):
    """Requests that were sent, and how long each took in seconds."""

    took: float
    each: list[float]

    @property
    def rate(self) -> float:
        return len(self.each) / self.took

    @property
    def quantiles(self) -> tuple[float, float]:
        """The median and the 99th percentile, in milliseconds."""
        ordered = sorted(self.each)
        return ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000


async def _steadily(number: int, send: typing.Callable[[int], typing.Awaitable[None]]) -> Sent:
    """Send requests at a steady rate, however long each takes."""
    loop, took = asyncio.get_running_loop(), []

    async def timed(count: int) -> None:
        began = loop.time()
        await send(count)
        took.append(loop.time() - began)

    began, under_way = loop.time(), []
    for count in range(number):
        await asyncio.sleep(began + count / RATE - loop.time())
        under_way.append(asyncio.create_task(timed(count)))
    await asyncio.gather(*under_way)
    return Sent(loop.time() - began, took)


async def _create(api: server.ApiServer, number: int, *, names: list[str], purpose: str) -> Sent:
    pods = [_pod(name, purpose) for name in itertools.islice(itertools.cycle(names), number)]
    async with fleet.Client(api) as client:
        return await _steadily(number, lambda count: client.create(_PODS, pods[count]))


async def _review(api: server.ApiServer, port: int, number: int, *, names: list[str]) -> Sent:
    """Ask the webhook as an API server would, by connections that stay."""
    context = ssl.create_default_context(cafile=str(api.directory / "tls.crt"))
    connector = aiohttp.TCPConnector(ssl=context, limit=fleet.AT_ONCE)
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector) as session:

        async def ask(count: int) -> None:
            request = {
                "uid": str(count),
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": fleet.MODELS,
                "operation": "CREATE",
                "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
                "object": _pod(names[count % len(names)], "straight"),
            }
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
            async with session.post("/inject", json=review) as answer:
                assert "patch" in (await answer.json())["response"], await answer.text()

        return await _steadily(number, ask)


def _pod(name: str, purpose: str) -> fleet.Manifest:
    manifest = fleet.pod(fleet.MODELS, name, collected=True)
    manifest["metadata"]["labels"]["purpose"] = purpose
    return manifest


def _injected(api: server.ApiServer, purpose: str) -> int:
    headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    found = api.request("GET", f"{_PODS}?labelSelector=purpose%3D{purpose}", headers=headers)["items"] or ()
    return sum("modeldata.dev/injected" in each["metadata"].get("annotations", {}) for each in found)


def _histogram(api: server.ApiServer) -> dict[float, float]:
    """Read how many admissions took how long, cumulated by the bounds in seconds."""
    found: dict[float, float] = {float("inf"): 0.0}
    for line in api.request("GET", "/metrics", text=True).splitlines():
        if line.startswith(f"{METRIC}_bucket{{") and f'name="{ENTRY}"' in line:
            bound = re.search(r'le="([^"]+)"', line)
            assert bound is not None, line
            found[float(bound[1])] = found.get(float(bound[1]), 0.0) + float(line.rsplit(" ", 1)[1])
    return found
