"""Pods, filed under the collections that have to do with them: read-only questions, no requests."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..api import names
from ..api.keys import ObjectKey
from ..api.namespaces import Namespace
from ..api.owners import WorkloadName
from ..api.resources import DataCollection, UnreadableCollection
from ..api.restartables import DEPLOYMENT, Deployment, Restartable
from ..api.selectors import LabelSelector
from ..api.workloads import Pod
from ..decide.selection import Matched
from ..kube import breathing
from ..kube.store import Store
from .inventory import Inventory

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Match:
    """Who serves a pod, and what that was decided on."""

    decided_by: tuple[int, int]
    owner: WorkloadName | None
    """What it would belong to, by name."""
    record: Restartable | None
    """What has that name."""
    matched: Matched


@dataclass(frozen=True, slots=True)
class _Filing:
    """Pods to be filed anew, as another collection may serve them now."""

    namespaces: Sequence[str]
    pods: Iterator[Pod | None]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class PodInventory:
    """Pods, filed under the collections that have to do with them and under the workload they would belong to.

    The files follow every change of a pod, a collection or a Deployment, and ``mark`` hears which collections have
    something to look at. So a reconcile costs what the collection's own pods cost, and an event one pod.
    """

    def __init__(self, inventory: Inventory, pods: Store[Pod], mark: Callable[[ObjectKey], None]) -> None:
        self._inventory = inventory
        self._pods = pods
        self._mark = mark
        self._filed: dict[ObjectKey, frozenset[ObjectKey]] = {}
        # Dictionaries and not sets: the order in which pods are looked at is the same each time.
        self._by_collection: dict[ObjectKey, dict[ObjectKey, None]] = {}
        self._by_owner: dict[WorkloadName, dict[ObjectKey, None]] = {}
        self._collections_of: dict[WorkloadName, Counter[ObjectKey]] = {}
        self._matched: dict[ObjectKey, _Match] = {}
        self._to_file: deque[_Filing] = deque()
        self._arrived = asyncio.Event()
        inventory.collections.subscribe(self._collection_changed)
        inventory.deployments.subscribe(self._deployment_changed)
        inventory.namespaces.subscribe(self._namespace_changed)
        for store in inventory.others.values():
            store.subscribe(self._other_changed)
        pods.subscribe(self._pod_changed)

    def concerning(self, key: ObjectKey) -> Iterator[Matched]:
        """Go through the pods that a collection serves, would serve, lost to another, or left its injection in.

        They are those of now, and what else changes on the way does not end it.
        """
        for pod in list(map(self._pods.get, self._by_collection.get(key, ()))):
            if pod is not None:
                yield self.matched(pod)

    def matched(self, pod: Pod) -> Matched:
        """Say who serves a pod: decided anew only when something that decides it has changed."""
        decided_by, before = self._inventory.decided_by(pod.key.namespace), self._matched.get(pod.key)
        if before is None or before.matched.pod is not pod or before.decided_by != decided_by:
            owner, choice = pod.controlled_by, None
        else:
            owner, choice = before.owner, before.matched.choice
        record = self._inventory.restartable(owner) if owner is not None else None
        if before is not None and choice is not None:
            if before.record is record:
                return before.matched
            # A name is a Deployment's only if its selector matches, and all else of it that decides is looked at.
            deployment = self._inventory.deployment_of(pod)
            choice = None if _differ(before.matched.deployment, deployment) else choice
        found = self._inventory.match(pod, self._inventory.serving(pod.key.namespace), choice)
        if self._pods.get(pod.key) is pod:
            self._matched[pod.key] = _Match(decided_by, owner, record, found)
        return found

    def concerned(self) -> Iterable[ObjectKey]:
        """Name every collection that some pod has to do with, whether it still exists or not."""
        return self._by_collection

    def namespaces(self) -> set[str]:
        """Name the namespaces that have a pod or a Deployment."""
        return {key.namespace for key in self._inventory.deployment_keys()} | set(self._pods.namespaces())

    def annotated(self) -> Iterator[Matched | None]:
        """Go through all pods, for those that carry collect_model_data themselves and were not injected."""
        for namespace in list(self._pods.namespaces()):
            for pod in list(self._pods.of(namespace)):
                asks = names.COLLECT_ANNOTATION in pod.annotations and pod.injection is None and not pod.gone
                yield self.matched(pod) if asks else None

    def of_deployment(self, deployment: Restartable) -> Iterator[Pod]:
        """Go through the pods of a Deployment, or of what else can be restarted: those of now."""
        for pod in list(map(self._pods.get, self._by_owner.get(deployment.name, ()))):
            if pod is None:
                continue
            if deployment.kind != DEPLOYMENT:
                if self._inventory.other_of(pod) is not None:
                    yield pod
            elif deployment.selector.matches(pod.labels):
                yield pod

    def _pod_changed(self, key: ObjectKey, before: Pod | None, after: Pod | None) -> None:
        if before is not None and after is not None and before.controlled_by == after.controlled_by:
            keys = self._keys(after)
            if keys == self._filed[key]:
                # By far the most: a pod that starts, becomes ready, or took its settings.
                for collection in keys:
                    self._mark(collection)
                return
        if before is not None:
            self._take_out(before)
        if after is not None:
            self._file(after)
        else:
            self._matched.pop(key, None)

    def _deployment_changed(self, key: ObjectKey, before: Deployment | None, after: Deployment | None) -> None:
        name = WorkloadName(DEPLOYMENT, key)
        if _decides(before) != _decides(after):
            pods = list(self._by_owner.get(name, ()))
            self._file_soon(_Filing([key.namespace], map(self._pods.get, pods)), pods=len(pods))
        self._mark_those_of(name)

    def _other_changed(self, _key: ObjectKey, before: Restartable | None, after: Restartable | None) -> None:
        """Have a look at those who serve its pods: who that is does not depend on it."""
        changed = after or before
        if changed is not None:
            self._mark_those_of(changed.name)

    def _mark_those_of(self, owner: WorkloadName) -> None:
        for collection in self._collections_of.get(owner, ()):
            self._mark(collection)

    def _collection_changed(
        self,
        key: ObjectKey,
        before: DataCollection | UnreadableCollection | None,
        after: DataCollection | UnreadableCollection | None,
    ) -> None:
        if _selects(before) == _selects(after):
            return
        everywhere = key == self._inventory.operator_default
        namespaces = list(self._pods.namespaces()) if everywhere else [key.namespace]
        selectors = [selector for _, selector in (_selects(before), _selects(after)) if selector is not None]
        pods = sum(len(self._pods.of(namespace)) for namespace in namespaces)
        self._file_soon(_Filing(namespaces, self._moved(key, namespaces, selectors)), pods=pods)

    def _file_soon(self, filing: _Filing, *, pods: int) -> None:
        """File pods anew: few at once, many in breaths."""
        if pods <= breathing.BREATH:
            for pod in filing.pods:
                self._file_anew(pod)
        else:
            self._to_file.append(filing)
            self._arrived.set()

    async def file(self) -> None:
        """File what thousands of pods may be moved by, in breaths and without end."""
        while True:
            while not self._to_file:
                self._arrived.clear()
                await self._arrived.wait()
            filing = self._to_file[0]
            async for pod in breathing.each(filing.pods):
                self._file_anew(pod)
            self._to_file.popleft()
            filing.done.set()

    async def filed(self, key: ObjectKey) -> None:
        """Wait until every pod that a collection may have to do with is filed under it.

        Decided before, it might look as if no pod in a namespace needed its Secret any more.
        """
        for filing in list(self._to_file):
            if key.namespace in filing.namespaces or key == self._inventory.operator_default:
                await filing.done.wait()

    def _moved(
        self, collection: ObjectKey, namespaces: Iterable[str], selectors: Iterable[LabelSelector]
    ) -> Iterator[Pod | None]:
        """Go through all pods of the namespaces, for those that may have to do with a collection now, or no more."""
        for namespace in namespaces:
            for pod in list(self._pods.of(namespace)):
                moved = (
                    collection in self._filed.get(pod.key, ())
                    or any(selector.matches(pod.labels) for selector in selectors)
                    # A wish may be for this collection by its name, or for any.
                    or self._wishes(pod)
                )
                yield self._pods.get(pod.key) if moved else None

    def _namespace_changed(self, key: ObjectKey, _before: Namespace | None, _after: Namespace | None) -> None:
        """File the pods anew that the operator's default serves, or served, by the labels of their namespace."""
        moved = self._moved(self._inventory.operator_default, [key.name], ())
        self._file_soon(_Filing([key.name], moved), pods=len(self._pods.of(key.name)))

    def _wishes(self, pod: Pod) -> bool:
        """Tell whether somebody wrote on a pod or its Deployment who is to serve it, or that somebody is."""
        return any(name in pod.annotations for name in (names.COLLECT_ANNOTATION, names.CHOICE_ANNOTATION)) or _wished(
            self._inventory.deployment_of(pod)
        )

    def _file_anew(self, pod: Pod | None) -> None:
        if pod is not None:
            self._take_out(pod)
            self._file(pod)

    def _keys(self, pod: Pod) -> frozenset[ObjectKey]:
        keys = concerned(self.matched(pod))
        return frozenset(key for key in keys if self._inventory.may_serve(key, pod.key.namespace))

    def _file(self, pod: Pod) -> None:
        keys = self._filed[pod.key] = self._keys(pod)
        owner = pod.controlled_by
        if owner is not None:
            self._by_owner.setdefault(owner, {})[pod.key] = None
        for key in keys:
            self._by_collection.setdefault(key, {})[pod.key] = None
            if owner is not None:
                self._collections_of.setdefault(owner, Counter())[key] += 1
            self._mark(key)

    def _take_out(self, pod: Pod) -> None:
        """Take a pod out of all files; those it was in are marked, or nobody would count it out."""
        owner = pod.controlled_by
        if owner is not None:
            _remove(self._by_owner, owner, pod.key)
        for key in self._filed.pop(pod.key):
            _remove(self._by_collection, key, pod.key)
            if owner is not None:
                self._one_less(owner, key)
            self._mark(key)

    def _one_less(self, owner: WorkloadName, collection: ObjectKey) -> None:
        counts = self._collections_of[owner]
        counts[collection] -= 1
        if not counts[collection]:
            del counts[collection]
            if not counts:
                del self._collections_of[owner]


def concerned(matched: Matched) -> frozenset[ObjectKey]:
    """Name the collections that have to do with a pod."""
    choice, injection = matched.choice, matched.pod.injection
    keys = {choice.candidate, choice.collection.key if choice.collection else None, *choice.losers}
    if injection is not None:
        keys.add(injection.collection)
    return frozenset(key for key in keys if key is not None)


def _selects(collection: DataCollection | UnreadableCollection | None) -> tuple[object, LabelSelector | None]:
    """Return what decides whom a collection serves: that it is there, its age, its namespaces; and its selector."""
    if not isinstance(collection, DataCollection):
        return None, None
    return (collection.age_order, collection.namespace_selector), collection.selector


def _decides(deployment: Deployment | None) -> object:
    """Return what of a Deployment decides who serves its pods."""
    if deployment is None:
        return None
    return deployment.selector, deployment.collect, deployment.choice


def _differ(one: Deployment | None, other: Deployment | None) -> bool:
    """Tell whether two records of a Deployment may lead to another choice for its pods."""
    return one is not other and _decides(one) != _decides(other)


def _wished(deployment: Deployment | None) -> bool:
    return deployment is not None and (deployment.collect is not None or deployment.choice is not None)


def _remove(files: dict[K, dict[ObjectKey, None]], name: K, entry: ObjectKey) -> None:
    entries = files[name]
    del entries[entry]
    if not entries:
        del files[name]
