"""Records of objects, by namespace and name, and who is to hear of their changes."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from ..api.keys import ObjectKey


class Keyed(Protocol):
    """A record that knows where its object lives."""

    @property
    def key(self) -> ObjectKey:
        """Say where."""


R = TypeVar("R", bound=Keyed)


class Store(Generic[R]):
    """Records by namespace and name. Subscribers hear of every change that the records show, and of no other."""

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, R]] = {}
        self._subscribers: list[Callable[[ObjectKey, R | None, R | None], None]] = []

    def __len__(self) -> int:
        return sum(len(records) for records in self._namespaces.values())

    def subscribe(self, changed: Callable[[ObjectKey, R | None, R | None], None]) -> None:
        """Call with the key, the record before (None: new) and after (None: deleted), in the order of subscription."""
        self._subscribers.append(changed)

    def get(self, key: ObjectKey) -> R | None:
        """Find a record."""
        return self._namespaces.get(key.namespace, {}).get(key.name)

    def of(self, namespace: str) -> Collection[R]:
        """List the records of a namespace."""
        return self._namespaces.get(namespace, {}).values()

    def namespaces(self) -> Iterable[str]:
        """List the namespaces that have a record."""
        return self._namespaces

    def keys(self, namespace: str = "") -> Iterator[ObjectKey]:
        """List keys, of one namespace or of all."""
        for each in [namespace] if namespace else self._namespaces:
            for record in self.of(each):
                yield record.key

    def put(self, record: R) -> None:
        """Take a record in the place of the one before."""
        key = record.key
        before = self.get(key)
        self._namespaces.setdefault(key.namespace, {})[key.name] = record
        if before != record:
            self._tell(key, before, record)

    def drop(self, key: ObjectKey) -> None:
        """Forget a record, if it is there."""
        records = self._namespaces.get(key.namespace, {})
        before = records.pop(key.name, None)
        if before is None:
            return
        if not records:
            del self._namespaces[key.namespace]
        self._tell(key, before, None)

    def _tell(self, key: ObjectKey, before: R | None, after: R | None) -> None:
        for changed in self._subscribers:
            changed(key, before, after)
