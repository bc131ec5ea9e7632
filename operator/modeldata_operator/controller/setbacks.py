"""What was tried in vain, and when it is tried again: later each time, at once where something has changed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.keys import ObjectKey
from ..api.owners import WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..decide.rollout import Setback

DELAYS = (5.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds until the next try. The first is soon: an API server learns of a certificate, and a webhook's replica of a
collection, a moment after this process."""

DELAYS_OF = {
    # Pods have come back un-injected, though it was proven that they would not: each try costs one.
    Reason.WEBHOOK_MISSED: (60.0, 300.0, 900.0, 3600.0),
    # A budget gives way when other pods have become ready.
    Reason.EVICTION_WAITS: (5.0, 10.0, 20.0, 30.0),
}

OURS = (
    Reason.WEBHOOK_UNREACHABLE,
    Reason.WEBHOOK_MISSED,
    Reason.RESTART_NOT_PROVEN,
    Reason.RESTART_REFUSED,
    Reason.EVICTION_WAITS,
)


@dataclass(slots=True)
class _Remembered:
    setback: Setback
    generation: int
    tries: int
    due: float


class Setbacks:
    """By collection and workload. Lost with the process but for what the collection's status says."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[ObjectKey, dict[WorkloadName, _Remembered]] = {}

    def add(self, collection: DataCollection, workload: WorkloadName, setback: Setback) -> float:
        """Remember that something was in vain; return the seconds until it is tried again."""
        known = self._known.setdefault(collection.key, {})
        before = known.get(workload)
        tries = before.tries + 1 if before is not None and before.setback.reason is setback.reason else 1
        delays = DELAYS_OF.get(setback.reason, DELAYS)
        delay = delays[min(tries, len(delays)) - 1]
        known[workload] = _Remembered(setback, collection.generation, tries, self._clock() + delay)
        return delay

    def recall(self, collection: DataCollection) -> None:
        """Take over what another process has told of a collection, so that it is not tried at once by each."""
        if collection.key in self._known:
            return
        self._known[collection.key] = {}
        for workload in collection.status.workloads:
            if workload.reason in OURS and collection.status.observed_generation == collection.generation:
                setback = Setback(Reason(workload.reason), workload.message)
                self.add(collection, WorkloadName(workload.kind, workload.key), setback)

    def current(self, collection: DataCollection) -> dict[WorkloadName, Setback]:
        """List what is not to be tried now. A person's change of the collection is a reason to."""
        now, known = self._clock(), self._known.get(collection.key, {})
        return {
            workload: remembered.setback
            for workload, remembered in known.items()
            if now < remembered.due and remembered.generation == collection.generation
        }

    def soonest(self, collection: DataCollection) -> float | None:
        """Say in how many seconds something is to be tried again."""
        now, known = self._clock(), self._known.get(collection.key, {})
        return min((remembered.due - now for remembered in known.values() if remembered.due > now), default=None)

    def has(self, collection: ObjectKey, workload: WorkloadName) -> bool:
        """Tell whether something was tried in vain before."""
        return workload in self._known.get(collection, {})

    def clear(self, collection: ObjectKey, workload: WorkloadName) -> None:
        """Forget what was in vain: it went well."""
        self._known.get(collection, {}).pop(workload, None)

    def keep(self, collection: ObjectKey, workloads: Iterable[WorkloadName]) -> None:
        """Forget what is not among these workloads, which still lack something."""
        known, kept = self._known.get(collection, {}), set(workloads)
        for workload in [workload for workload in known if workload not in kept]:
            del known[workload]

    def forget(self, collection: ObjectKey) -> None:
        """Forget a collection."""
        self._known.pop(collection, None)

    def holds(self, collection: ObjectKey, reason: Reason) -> bool:
        """Tell whether something of a collection was in vain for a reason."""
        return any(remembered.setback.reason is reason for remembered in self._known.get(collection, {}).values())

    def hasten(self, *reasons: Reason) -> None:
        """Have everything tried again that was in vain for these reasons, as what led to it may have changed."""
        now = self._clock()
        for known in self._known.values():
            for remembered in known.values():
                if remembered.setback.reason in reasons:
                    remembered.due, remembered.tries = now, 0
