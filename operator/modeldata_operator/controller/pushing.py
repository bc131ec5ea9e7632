"""Writing settings to running pods, and a second time for the kubelets that missed the first."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from .. import ending
from ..api import names
from ..api.keys import ObjectKey
from ..api.workloads import Pod
from ..decide import document
from ..decide.verification import Push
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, said
from ..kube.pacing import Urgency
from ..observe import metrics

logger = logging.getLogger(__name__)

REPEATS = ((0.5, "\n"), (4.0, ""))
"""Seconds to wait, and what then follows the document.

A kubelet with little CPU loses a refresh now and then: the annotation is right, and the file stays old until its next
periodic sync, more than a minute later (5 of 110 changes to 4 pods on a machine with five runnable processes on two
cores; none of 80 on an idle one). Any change of the annotation makes it look again, and a line end at the end of a JSON
document means nothing. A renewed SAS can wait for that sync, as the one before lives for hours; whoever switches a
collection off, or has something redacted, can't.
"""


@dataclass(frozen=True, slots=True)
class _Latest:
    """What a pod was told last, while that has repeats to come."""

    settings: str
    repeated: bool


class Pusher:
    """Writes the settings annotation of pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._latest: dict[str, _Latest] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def push(self, push: Push, collection: ObjectKey, *, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Write a pod's settings; False if the pod is gone, or they are not wanted any more when their turn comes."""
        pod, before = push.pod, self._latest.get(push.pod.uid)
        # What a push takes the place of may have been a switch, which this one then is as well.
        latest = _Latest(push.settings, push.urgent or (before is not None and before.repeated))
        self._latest[pod.uid] = latest
        urgency = Urgency.SWITCH if latest.repeated else Urgency.RENEWAL
        try:
            version = await self._cluster.set_pod_settings(
                pod.key,
                pod.uid,
                push.settings,
                resource_version=pod.resource_version,
                collection=collection,
                urgency=urgency,
                wanted=wanted,
            )
        except BaseException:
            self._forget(pod, latest)
            raise
        metrics.PUSHES.labels("gone" if version is None else "taken").inc()
        if version is None or not latest.repeated:
            self._forget(pod, latest)
            return version is not None
        task = asyncio.create_task(self._repeat(replace(pod, resource_version=version), collection, latest))
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
        return await self.push(Push(pod, document.switched_off(present, str(collection)), urgent=True), collection)

    async def finish(self) -> None:
        """Wait until everything has been repeated."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Give up the repeats: the next start of this process compares every pod anyway."""
        await ending.end(self._tasks)

    async def _repeat(self, pod: Pod, collection: ObjectKey, latest: _Latest) -> None:
        version = pod.resource_version
        try:
            for delay, ending in REPEATS:
                await asyncio.sleep(delay)
                # Where newer settings are on their way, they have repeats of their own.
                written = await self._cluster.set_pod_settings(
                    pod.key,
                    pod.uid,
                    latest.settings + ending,
                    resource_version=version,
                    collection=collection,
                    urgency=Urgency.RENEWAL,
                    wanted=lambda: self._latest.get(pod.uid) is latest,
                )
                if written is None:
                    return
                version = written
        except FAILURES as error:
            logger.warning("push not repeated pod=%s error=%s", pod.key, said(error))
        finally:
            self._forget(pod, latest)

    def _forget(self, pod: Pod, latest: _Latest) -> None:
        if self._latest.get(pod.uid) is latest:
            del self._latest[pod.uid]
