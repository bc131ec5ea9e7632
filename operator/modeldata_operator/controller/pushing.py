"""Writing settings to running pods, and a second time for the kubelets that missed the first."""

import asyncio
import logging
from dataclasses import replace

import aiohttp

from .. import ending
from ..api import names
from ..api.keys import ObjectKey
from ..api.workloads import Pod
from ..decide import document
from ..kube.cluster import ApiError, Cluster
from ..observe import metrics

logger = logging.getLogger(__name__)

REPEATS = ((0.5, "\n"), (4.0, ""))
"""Seconds to wait, and what then follows the document.

A kubelet with little CPU loses a refresh now and then: the annotation is right, and the file stays old until its next
periodic sync, more than a minute later (5 of 110 changes to 4 pods on a machine with five runnable processes on two
cores; none of 80 on an idle one). Any change of the annotation makes it look again, and a line end at the end of a JSON
document means nothing.
"""

REPEATS_AT_ONCE = 8
"""Few, so that what is pushed for the first time goes before."""

MANY_PUSHES = 16
"""With so many first pushes under way, as in a collection of thousands of pods, repeats wait until they are through."""


class Pusher:
    """Writes the settings annotation of pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._latest: dict[str, str] = {}
        self._slots = asyncio.Semaphore(REPEATS_AT_ONCE)
        self._first = 0
        self._few = asyncio.Event()
        self._few.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def push(self, pod: Pod, settings: str) -> bool:
        """Write a pod's settings; False if the pod is gone."""
        self._latest[pod.uid] = settings
        self._count(1)
        try:
            taken = await self._cluster.set_pod_settings(
                pod.key, pod.uid, settings, resource_version=pod.resource_version
            )
        except BaseException:
            self._forget(pod, settings)
            raise
        finally:
            self._count(-1)
        if not taken:
            self._forget(pod, settings)
            metrics.PUSHES.labels("gone").inc()
            return False
        metrics.PUSHES.labels("taken").inc()
        task = asyncio.create_task(self._repeat(pod, settings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def switch_off(self, pod: Pod, collection: ObjectKey) -> bool:
        """Tell a pod that nobody serves any more to stop collecting; False if it is gone."""
        # Read first: what the client needs to deliver what it already took is only there, the collection may be gone.
        body = await self._cluster.get_pod(pod.key)
        if body is None or body["metadata"]["uid"] != pod.uid:
            return False
        present = (body["metadata"].get("annotations") or {}).get(names.SETTINGS_ANNOTATION, "")
        pod = replace(pod, resource_version=body["metadata"]["resourceVersion"])
        return await self.push(pod, document.switched_off(present, str(collection)))

    async def finish(self) -> None:
        """Wait until everything has been repeated."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Give up the repeats: the next start of this process compares every pod anyway."""
        await ending.end(self._tasks)

    async def _repeat(self, pod: Pod, settings: str) -> None:
        try:
            for delay, ending in REPEATS:
                await asyncio.sleep(delay)
                async with self._slots:
                    await self._few.wait()
                    if self._latest.get(pod.uid) != settings:
                        return  # newer settings are on their way, with repeats of their own
                    # What was pushed made another version of it.
                    if not await self._cluster.set_pod_settings(
                        pod.key, pod.uid, settings + ending, resource_version=""
                    ):
                        return
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("push not repeated pod=%s error=%s", pod.key, error)
        finally:
            self._forget(pod, settings)

    def _count(self, more: int) -> None:
        self._first += more
        if self._first < MANY_PUSHES:
            self._few.set()
        else:
            self._few.clear()

    def _forget(self, pod: Pod, settings: str) -> None:
        if self._latest.get(pod.uid) == settings:
            del self._latest[pod.uid]
