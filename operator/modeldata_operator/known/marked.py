"""Workloads with the mark of a restart that may not be over: few, among thousands."""

from collections.abc import Iterable
from typing import Any

from ..api.keys import ObjectKey
from ..api.owners import WorkloadName
from ..api.restartables import Restartable
from ..decide import rollout
from ..kube.store import Store


class Marked:
    """Their names, kept up with every change."""

    def __init__(self, stores: Iterable[Store[Any]]) -> None:
        # A dictionary and not a set: the order in which they are looked at is the same each time.
        self._marked: dict[WorkloadName, None] = {}
        for store in stores:
            store.subscribe(self._changed)

    def names(self) -> list[WorkloadName]:
        """List them."""
        return list(self._marked)

    def _changed(self, _key: ObjectKey, before: Restartable | None, after: Restartable | None) -> None:
        if after is not None and after.restarted_for is not None and not rollout.over(after):
            self._marked[after.name] = None
        elif before is not None:
            self._marked.pop(before.name, None)
