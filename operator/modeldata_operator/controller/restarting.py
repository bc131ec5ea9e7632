"""Restarting the one Deployment of a collection whose turn it is, and never on stale knowledge."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..api import workloads
from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..decide.verification import Verdict
from ..known.inventory import Inventory
from ..kube import events
from ..kube.cluster import Cluster
from ..kube.events import Recorder
from ..observe import metrics

logger = logging.getLogger(__name__)

RESTART_AFTER = 1.0
"""Seconds a Deployment has to be found un-injected before it is restarted. The webhook's replicas learn of a new
annotation or collection a moment after this process; pods made before that would be restarted in vain."""

SEEN_WITHIN = 30.0
"""Seconds to wait for the watch to bring back a restart of ours, before the next one is thought of."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A Deployment that is about to be restarted, or was and is not yet seen so."""

    verdict: Verdict
    since: float


class Restarter:
    """Restarts what was decided on, one at a time for each collection."""

    def __init__(
        self, *, cluster: Cluster, inventory: Inventory, recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._recorder = recorder
        self._clock = clock
        self._about_to_restart: dict[ObjectKey, dict[str, _Waiting]] = {}
        self._restarted: dict[ObjectKey, dict[str, _Waiting]] = {}

    def forget(self, collection: ObjectKey) -> None:
        """Drop what is remembered of a collection that is gone."""
        self._about_to_restart.pop(collection, None)
        self._restarted.pop(collection, None)

    async def restart(self, collection: DataCollection, verdicts: Sequence[Verdict]) -> float | None:
        """Restart the one Deployment of each namespace that is to be, after it was seen un-injected for a moment."""
        due = {verdict.workload.key.namespace: verdict for verdict in verdicts if verdict.mark is not None}
        waiting, self._about_to_restart[collection.key] = self._about_to_restart.get(collection.key, {}), {}
        again = [
            await self._restart_in(namespace, collection.key, verdict, waiting.get(namespace))
            for namespace, verdict in due.items()
        ]
        return RESTART_AFTER if any(again) else None

    async def _restart_in(self, namespace: str, key: ObjectKey, verdict: Verdict, waiting: _Waiting | None) -> bool:
        """Restart the Deployment of one namespace; True if that wants another look."""
        now = self._clock()
        if self._unseen(key, namespace, now):
            return True
        if waiting is None or (waiting.verdict.workload, waiting.verdict.mark) != (verdict.workload, verdict.mark):
            waiting = _Waiting(verdict, now)
        if now - waiting.since < RESTART_AFTER:
            self._about_to_restart[key][namespace] = waiting
            return True
        if not await self._restart_deployment(verdict):
            return True
        self._restarted.setdefault(key, {})[namespace] = _Waiting(verdict, now)
        metrics.RESTARTS.inc()
        logger.info("restarted deployment=%s for=%s", verdict.workload.key, verdict.mark)
        message = f"restarted once, so that DataCollection {key} can collect its pods"
        await self._recorder.record(events.about_workload(verdict.workload), Reason.RESTARTED, message)
        return False

    async def _restart_deployment(self, verdict: Verdict) -> bool:
        """Restart a Deployment if it is still what was decided on: nobody paused, changed or replaced it meanwhile."""
        key = verdict.workload.key
        body = await self._cluster.get_deployment(key)
        if body is None or workloads.deployment(body) != self._inventory.deployment(key):
            return False
        metadata = body["metadata"]
        return await self._cluster.restart_deployment(
            key, metadata["uid"], str(verdict.mark), resource_version=metadata["resourceVersion"]
        )

    def _unseen(self, key: ObjectKey, namespace: str, now: float) -> bool:
        """Tell whether the last restart is still on its way back: decided without it, there would be two at once."""
        last = self._restarted.get(key, {}).get(namespace)
        if last is None:
            return False
        deployment = self._inventory.deployment(last.verdict.workload.key)
        seen = deployment is None or deployment.restarted_for == last.verdict.mark
        if seen or now - last.since > SEEN_WITHIN:
            del self._restarted[key][namespace]
            return False
        return True
