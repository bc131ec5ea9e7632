"""A collection of two pods beside one of thousands, whose pods are being replaced: how long its switch takes."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time

import fleet
import server

import processes
import report

SMALL = "small"
A_SECOND = 20.0
"""Pods replaced: a rollout of 10,000 in eight minutes."""

PAUSE = 1.7
"""Seconds between two switches: not in step with anything."""


def measure(api: processes.AuditedServer, *, deployments: int, pods: int, quick: bool) -> report.Part:
    """Switch the small collection twenty times while the large one is restarted pod by pod."""
    api.namespace(SMALL)
    api.create(f"/api/v1/namespaces/{SMALL}/secrets", _in_small(fleet.account()))
    stored = api.create(_collections(SMALL), _in_small(fleet.collection()))
    for number in range(2):
        manifest = fleet.pod(SMALL, "scoring", collected=True, number=number)
        api.create(f"/api/v1/namespaces/{SMALL}/pods", fleet.injected(manifest, stored))
    with processes.operator(api, "controller") as controller:
        processes.until(
            lambda: controller.healthy() and _in_sync(api, fleet.MODELS, pods) and _in_sync(api, SMALL, 2), seconds=900
        )
        before, began = controller.processor_seconds, time.monotonic()
        switches, replaced = asyncio.run(_under_way(api, deployments, pods, times=5 if quick else 20))
        took = time.monotonic() - began
        share = (controller.processor_seconds - before) / took * 100
    rows = (
        report.Row(
            f"2 pods switched while {pods} others are restarted pod by pod: median",
            0.5,
            statistics.median(switches),
            "s",
        ),
        report.Row(
            f"2 pods switched while {pods} others are restarted pod by pod: worst",
            1.0,
            max(switches),
            "s",
            detail=f"of {len(switches)}; from the request that changes the collection to the second pod's annotation",
        ),
    )
    lines = (
        *((f"switched {('off', 'on')[number % 2]}, the {number + 1}.", each) for number, each in enumerate(switches)),
        ("pods replaced in a second", replaced / took),
        ("the controller's processor, in % of a core", share),
    )
    return report.Part(rows, (report.Table("Two pods beside thousands", ("", "seconds"), lines),))


async def _under_way(api: server.ApiServer, deployments: int, pods: int, *, times: int) -> tuple[list[float], int]:
    """Switch while pods are replaced; return the seconds that each switch took, and how many were replaced."""
    async with fleet.Client(api) as client, fleet.Client(api) as watcher:
        replaced = itertools.count()
        replacing = asyncio.create_task(_replace(api, client, deployments, pods, replaced))
        try:
            await asyncio.sleep(2 * PAUSE)
            switches = []
            for number in range(times):
                switches.append(await _switch(api, watcher, enabled=number % 2 == 1))
                await asyncio.sleep(PAUSE)
                if replacing.done():
                    replacing.result()
        finally:
            replacing.cancel()
            await asyncio.gather(replacing, return_exceptions=True)
        return switches, next(replaced)


async def _replace(
    api: server.ApiServer, client: fleet.Client, deployments: int, pods: int, replaced: itertools.count[int]
) -> None:
    """Replace one pod after the other by one of another name, injected as the webhook would, at a steady rate."""
    stored = await asyncio.to_thread(api.get, f"{_collections(fleet.MODELS)}/{fleet.COLLECTION}")
    each, began = pods // deployments, time.monotonic()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        generation, place = divmod(number, pods)
        deployment, replica = divmod(place, each)
        name = f"scoring-{deployment}"
        new = fleet.pod(fleet.MODELS, name, collected=True, number=replica + each * (generation + 1))
        old = fleet.pod(fleet.MODELS, name, collected=True, number=replica + each * generation)
        path = f"/api/v1/namespaces/{fleet.MODELS}/pods"
        await client.create(path, fleet.injected(new, stored))
        await client.delete(f"{path}/{old['metadata']['name']}")
        next(replaced)


async def _switch(api: server.ApiServer, client: fleet.Client, *, enabled: bool) -> float:
    following = client.settings(SMALL)
    await anext(following)
    began = time.monotonic()
    path = f"{_collections(SMALL)}/{fleet.COLLECTION}"
    changing = asyncio.create_task(asyncio.to_thread(api.merge, path, {"spec": {"enabled": enabled}}))
    through: set[str] = set()
    async for pod, says in following:
        if says is enabled:
            through.add(pod)
            if len(through) == 2:
                break
    took = time.monotonic() - began
    await changing
    return took


def _collections(namespace: str) -> str:
    return f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections"


def _in_small(manifest: fleet.Manifest) -> fleet.Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": SMALL}}


def _in_sync(api: server.ApiServer, namespace: str, pods: int) -> bool:
    status = api.get(f"{_collections(namespace)}/{fleet.COLLECTION}").get("status", {})
    return bool(status.get("pods") == {"matched": pods, "injected": pods, "current": pods})
