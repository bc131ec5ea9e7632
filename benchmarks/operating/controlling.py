"""The controller among thousands of workloads: memory, its start, a switch of a large collection, idleness."""

from __future__ import annotations

import asyncio
import collections
import time

import fleet
import server

import processes
import report

IDLE_SECONDS = 120.0
PATH = f"/apis/modeldata.dev/v1alpha1/namespaces/{fleet.MODELS}/datacollections/{fleet.COLLECTION}"


def measure(api: processes.AuditedServer, *, collected: int, quick: bool) -> report.Part:
    with processes.operator(api, "controller") as controller:
        first = processes.until(lambda: _in_sync(api, collected) and controller.healthy())
    with processes.operator(api, "controller") as controller:
        # The status is still the one of before: what proves the start is an answer to a change.
        generation = _change(api, {"workspace": {"name": "another"}})
        processes.until(lambda: _observed(api) >= generation and _in_sync(api, collected))
        changed = time.monotonic() - controller.started
        started_peak = controller.peak_mib
        _quiet(controller)
        switches = [
            asyncio.run(_switch(api, enabled=enabled, pods=collected))
            for enabled in ([False] if quick else [False, True, False, True])
        ]
        processes.until(lambda: _in_sync(api, collected))
        idle = _idle(api, controller, IDLE_SECONDS / (4 if quick else 1))
        peak = controller.peak_mib
    bare = asyncio.run(_switch_barely(api))
    rows = (
        report.Row(
            "controller's memory at its peak", 250.0, peak, "MiB", detail=f"{started_peak:.0f} MiB once started"
        ),
        report.Row("from the controller's start until it is in sync", 60.0, changed, "s", detail=_START),
        report.Row(
            f"{collected} pods of one collection switched: all annotations patched",
            8.0,
            max(switches),
            "s",
            detail=f"the slowest of {len(switches)}, from the request that changes the collection;"
            f" {max(switches) / bare:.2f} times a loop that only patches",
        ),
        report.Row("idle controller", 1.0, idle.processor, "% of a core", detail=f"over {idle.seconds:.0f} s"),
    )
    lines = tuple((what, float(count)) for what, count in sorted(idle.hourly.items()))
    tables = (
        report.Table("An idle controller asks of the API server, in an hour", ("", "requests"), lines),
        report.Table(
            "The controller's other figures",
            ("", "seconds"),
            (
                ("first start, with a SAS to mint and each pod to tell of it", first),
                *(("switched " + ("off", "on")[number % 2], seconds) for number, seconds in enumerate(switches)),
                ("the same annotations, patched by a loop that does nothing else", bare),
            ),
        ),
    )
    return report.Part(rows, tables)


_START = "until every pod has a change of the collection that was made as the process started"


class Idle:
    """What a process took while nothing happened."""

    def __init__(self, seconds: float, processor: float, hourly: dict[str, float]) -> None:
        self.seconds = seconds
        self.processor = processor
        self.hourly = hourly


def _idle(api: processes.AuditedServer, process: processes.Operator, seconds: float) -> Idle:
    _quiet(process)
    before, began, asked = process.processor_seconds, time.monotonic(), len(api.asked())
    time.sleep(seconds)
    took = time.monotonic() - began
    counted = collections.Counter(api.asked()[asked:])
    hourly = {what: count * 3600 / took for what, count in counted.items()}
    return Idle(took, (process.processor_seconds - before) / took * 100, hourly | {"all": sum(hourly.values())})


def _quiet(process: processes.Operator) -> None:
    """Wait until what was begun is through: repeats of a push follow for some seconds."""
    last, since = process.processor_seconds, time.monotonic()
    while time.monotonic() - since < 5:
        time.sleep(0.5)
        now = process.processor_seconds
        if now - last > 0.05:
            last, since = now, time.monotonic()


async def _switch(api: server.ApiServer, *, enabled: bool, pods: int) -> float:
    """Switch the collection; return the seconds until the last pod's annotation says so."""
    async with fleet.Client(api) as client:
        following = client.settings(fleet.MODELS)
        await anext(following)
        began = time.monotonic()
        await asyncio.to_thread(_change, api, {"enabled": enabled})
        through: set[str] = set()
        async for pod, says in following:
            if says is enabled:
                through.add(pod)
                if len(through) == pods:
                    break
        return time.monotonic() - began


async def _switch_barely(api: server.ApiServer) -> float:
    """Patch what a switch patches, with nobody who watches, compares or repeats: what the API server takes for it."""
    async with fleet.Client(api) as client:
        pods = await client.injected(fleet.MODELS)
        began = time.monotonic()
        await asyncio.gather(*(client.annotate(fleet.MODELS, pod, settings) for pod, settings in pods))
        return time.monotonic() - began


def _change(api: server.ApiServer, spec: dict[str, object]) -> int:
    return int(api.merge(PATH, {"spec": spec})["metadata"]["generation"])


def _observed(api: server.ApiServer) -> int:
    return int(api.get(PATH).get("status", {}).get("observedGeneration", 0))


def _in_sync(api: server.ApiServer, pods: int) -> bool:
    return bool(api.get(PATH).get("status", {}).get("pods") == {"matched": pods, "injected": pods, "current": pods})
