"""Who may use the operator's own Azure identity, as the chart's values and the watch of StorageGrants know it."""

from collections.abc import Callable, Mapping, Sequence

from ..api.endpoints import Endpoint
from ..api.grants import StorageGrant
from ..api.resources import Storage
from ..decide import granting
from ..kube.store import Store


class Grants:
    """Answers for one namespace at a time. Nothing is remembered: an answer counts for the moment."""

    def __init__(
        self,
        *,
        given: Sequence[StorageGrant],
        watched: Store[StorageGrant] | None,
        labels: Callable[[str], Mapping[str, str]],
    ) -> None:
        """Begin with what is given.

        Args:
            given: the chart's.
            watched: StorageGrants; None where they can't be watched, and the given ones are all there are.
            labels: the labels of a namespace.

        """
        self._given = given
        self._watched = watched
        self._labels = labels
        self.known = watched is None
        """Set once all StorageGrants were listed. Before that, one that is not known may still be there."""

    def granted(self, namespace: str, storage: Storage) -> Endpoint | None:
        """Return where the operator may ask for keys in a namespace's name; the storage is as within it."""
        watched = self._watched.of("") if self._watched is not None else ()
        return granting.granted([*self._given, *watched], storage, namespace=namespace, labels=self._labels(namespace))

    def closable(self, namespace: str, storage: Storage) -> Endpoint | None:
        """Return where the operator may ask for keys to close days with, in a namespace's name."""
        watched = self._watched.of("") if self._watched is not None else ()
        grants = [grant for grant in (*self._given, *watched) if grant.closing]
        return granting.granted(grants, storage, namespace=namespace, labels=self._labels(namespace))

    def request(self, namespace: str, storage: Storage, *, closing: bool = False) -> str:
        """Say what is not granted, for the administrator."""
        return granting.request(storage, namespace=namespace, by_values=self._watched is None, closing=closing)
