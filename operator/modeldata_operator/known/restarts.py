"""Restarts that are under way in the whole cluster, as the marks and the collections' statuses say."""

from collections.abc import Iterator

from ..api.keys import ObjectKey
from ..api.owners import WorkloadName
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


def under_way(inventory: Inventory, *, now: float) -> set[WorkloadName]:
    """Name the workloads that are being restarted, or wait for an evicted pod's successor, of all collections.

    Where a rollout has stopped, or does not end, nobody else waits for it.
    """
    found = {known.name for known in _marked(inventory) if _counts(inventory, known, now)}
    for key in inventory.collection_keys():
        collection = inventory.collection(key)
        for workload in collection.status.workloads if collection is not None else ():
            name = WorkloadName(workload.kind, workload.key)
            # What somebody else wrote into a status makes nobody wait for another namespace's workload.
            if workload.reason == Reason.REPLACING_PODS and inventory.may_serve(key, workload.key.namespace):
                found.add(name)
    return found


def _counts(inventory: Inventory, known: Restartable, now: float) -> bool:
    # A mark for a collection that can't serve it means nothing: whoever may write Deployments can write that.
    mark = known.restarted_for
    if mark is None or not inventory.may_serve(mark.collection, known.key.namespace):
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
