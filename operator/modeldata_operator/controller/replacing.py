"""Pods that were evicted, until another is in their place: injected, or un-injected again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..api.keys import ObjectKey
from ..api.owners import WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..decide import rollout
from ..decide.rollout import Setback
from ..decide.verification import WorkloadState
from .setbacks import Setbacks


@dataclass(frozen=True, slots=True)
class _Evicted:
    """A pod that was evicted, and how its workload was then."""

    pod: str
    missing: frozenset[str]
    fitting: int
    since: float


class Replacements:
    """What is waited for: never the next pod before the last one's successor is injected and available."""

    def __init__(self, setbacks: Setbacks, clock: Callable[[], float]) -> None:
        self._setbacks = setbacks
        self._clock = clock
        self._evicted: dict[tuple[ObjectKey, WorkloadName], _Evicted] = {}
        self._recalled: set[ObjectKey] = set()

    def add(self, collection: ObjectKey, state: WorkloadState, pod_uid: str) -> None:
        """Remember an eviction."""
        missing = frozenset(pod.uid for pod in state.missing)
        fitting = state.pods - len(missing)
        self._evicted[collection, state.workload.name] = _Evicted(pod_uid, missing, fitting, self._clock())

    def names(self) -> set[WorkloadName]:
        """Name the workloads of which a pod is being replaced."""
        return {name for _, name in self._evicted}

    def forget(self, collection: ObjectKey) -> None:
        """Forget a collection."""
        self._recalled.discard(collection)
        for key in [key for key in self._evicted if key[0] == collection]:
            del self._evicted[key]

    def under_way(self, collection: DataCollection, states: Sequence[WorkloadState]) -> frozenset[WorkloadName]:
        """Name the workloads of a collection that wait for a successor; what came un-injected again is a setback."""
        found = {state.workload.name: state for state in states}
        self._recall(collection, found.values())
        waiting = set()
        for (key, name), evicted in list(self._evicted.items()):
            if key != collection.key:
                continue
            if self._clock() - evicted.since < rollout.PROGRESS_SECONDS and self._waits(
                collection, found.get(name), evicted
            ):
                waiting.add(name)
            else:
                del self._evicted[key, name]
        return frozenset(waiting)

    def _waits(self, collection: DataCollection, state: WorkloadState | None, evicted: _Evicted) -> bool:
        if state is None or state.restartable is None:
            return True  # for a moment it has no pod at all
        missing = {pod.uid for pod in state.missing}
        if evicted.pod in missing:
            return True  # it has not gone yet
        if missing - evicted.missing:
            message = (
                f"a pod of {state.workload} was evicted, and the one in its place was not injected either, though the "
                "API server had said that it would be: is a replica of the webhook cut off, or too slow? It is tried "
                "again later"
            )
            self._setbacks.add(collection, state.workload.name, Setback(Reason.WEBHOOK_MISSED, message))
            return False
        if state.restartable.available and state.pods - len(missing) > evicted.fitting:
            self._setbacks.clear(collection.key, state.workload.name)
            return False
        return True

    def _recall(self, collection: DataCollection, states: Iterable[WorkloadState]) -> None:
        """Take over what another process was waiting for."""
        if collection.key in self._recalled:
            return
        self._recalled.add(collection.key)
        waited_for = {
            WorkloadName(workload.kind, workload.key)
            for workload in collection.status.workloads
            if workload.reason == Reason.REPLACING_PODS
        }
        for state in states:
            if state.workload.name in waited_for:
                missing = frozenset(pod.uid for pod in state.missing)
                self._evicted[collection.key, state.workload.name] = _Evicted("", missing, -1, self._clock())
