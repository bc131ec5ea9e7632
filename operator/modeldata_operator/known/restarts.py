"""Restarts that are under way in the whole cluster, as the marks and the collections' statuses say."""

from collections.abc import Iterator

from ..api.keys import ObjectKey
from ..api.owners import RestartMark, WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import Restartable
from ..decide import rollout
from .inventory import Inventory


def of(inventory: Inventory, collection: ObjectKey) -> Iterator[Restartable]:
    """List what was restarted for a collection and may not be done with it."""
    for known in _marked(inventory):
        mark = known.restarted_for
        if mark is not None and mark.collection == collection and inventory.may_serve(collection, known.key.namespace):
            yield known


class Made:
    """Which marks count for the cluster's budget: those of restarts that were made.

    Whoever may write a workload can write a mark, and a new one each minute. So what is younger than this process's
    lead counts only if this process wrote it; what is older may be the work of whoever led before, until that is over.
    """

    def __init__(self, since: float) -> None:
        """Begin to lead.

        Args:
            since: seconds since 1970.

        """
        self._since = since
        self._marks: dict[WorkloadName, RestartMark] = {}

    def note(self, name: WorkloadName, mark: RestartMark) -> None:
        """Take in that a workload is restarted."""
        oldest = mark.at - rollout.ROOM_SECONDS
        self._marks = {each: known for each, known in self._marks.items() if known.at > oldest}
        self._marks[name] = mark

    def counts(self, name: WorkloadName, mark: RestartMark) -> bool:
        """Tell whether a mark may be that of a restart."""
        return mark.at <= self._since or self._marks.get(name) == mark


def under_way(inventory: Inventory, made: Made, *, now: float) -> set[WorkloadName]:
    """Name the workloads that are being restarted, or wait for an evicted pod's successor, of all collections.

    Where a rollout has stopped, or does not end, nobody else waits for it.
    """
    found = {known.name for known in _marked(inventory) if _counts(inventory, made, known, now)}
    for key in inventory.collection_keys():
        collection = inventory.collection(key)
        for workload in collection.status.workloads if collection is not None else ():
            name = WorkloadName(workload.kind, workload.key)
            # What somebody else wrote into a status makes nobody wait for another namespace's workload.
            if workload.reason == Reason.REPLACING_PODS and inventory.may_serve(key, workload.key.namespace):
                found.add(name)
    return found


def _counts(inventory: Inventory, made: Made, known: Restartable, now: float) -> bool:
    # A mark for a collection that can't serve it means nothing: whoever may write Deployments can write that.
    mark = known.restarted_for
    if mark is None or not (
        made.counts(known.name, mark) and inventory.may_serve(mark.collection, known.key.namespace)
    ):
        return False
    collection = inventory.collection(mark.collection)
    if not isinstance(collection, DataCollection):
        return False
    stopped = any(
        workload.reason == Reason.ROLLOUT_STOPPED and WorkloadName(workload.kind, workload.key) == known.name
        for workload in collection.status.workloads
    )
    return not stopped and rollout.holds_room(collection, known, now=now)


def _marked(inventory: Inventory) -> Iterator[Restartable]:
    for name in inventory.marked.names():
        known = inventory.restartable(name)
        if known is not None:
            yield known
