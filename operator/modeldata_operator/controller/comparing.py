"""Comparing the pods of a collection with what they should carry: each pod only when something about it changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..api import resources
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus
from ..api.resources import DataCollection
from ..api.workloads import Pod
from ..decide import verification
from ..decide.selection import Matched
from ..decide.verification import Comparison, PodState
from ..kube import breathing


@dataclass(slots=True)
class _Known:
    """What was found of a collection's pods, for one spec."""

    collection: DataCollection
    pods: dict[ObjectKey, tuple[Pod, str, int, PodState]] = field(default_factory=dict)
    """With the pod as it was, the name that it has from its Deployment, and the rotation of its Secret."""


class Comparer:
    """Compares, and remembers: a pod of 10,000 that changes costs one comparison, not 10,000."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, _Known] = {}

    def forget(self, collection: ObjectKey) -> None:
        """Drop what is known of a collection that is gone."""
        self._known.pop(collection, None)

    async def compare(
        self, collection: DataCollection, served: Sequence[Matched], *, credential: CredentialStatus
    ) -> Comparison:
        """Compare all pods that a collection serves; the loop is given back in between."""
        known, after = self._known.get(collection.key), _Known(collection)
        before = known.pods if known is not None and resources.alike(known.collection, collection) else {}

        def look(item: Matched) -> PodState:
            pod, name = item.pod, item.deployment.key.name if item.deployment else ""
            rotation = credential.rotation_in(pod.key.namespace)
            seen = before.get(pod.key)
            if seen is None or seen[1:3] != (name, rotation) or not (seen[0] is pod or seen[0] == pod):
                found = verification.state(collection, item, rotation=rotation)
                if found.push is not None:
                    return found  # it changes the pod, and is a kilobyte
                seen = (pod, name, rotation, found)
            after.pods[pod.key] = seen
            return seen[3]

        compared = await breathing.in_breaths(verification.compare(collection, served, look))
        self._known[collection.key] = after
        return compared
