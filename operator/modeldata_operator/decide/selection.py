"""Which DataCollection serves which pod: a pure decision with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..api import names
from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import Deployment, Restartable
from ..api.workloads import Pod


@dataclass(frozen=True, slots=True)
class Choice:
    """Who serves a pod, and why. The candidate is who would, had the user not written otherwise."""

    collection: DataCollection | None
    reason: Reason
    message: str = ""
    candidate: ObjectKey | None = None
    losers: tuple[ObjectKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Matched:
    """A pod with its Deployment, or what else it belongs to, and the collection that serves it."""

    pod: Pod
    deployment: Deployment | None
    choice: Choice
    other: Restartable | None = None

    @property
    def restartable(self) -> Restartable | None:
        """Say what would be restarted to restart this pod."""
        return self.deployment or self.other


@dataclass(frozen=True, slots=True)
class Collections:
    """The DataCollections that can serve the pods of one namespace."""

    local: tuple[DataCollection, ...]
    operator_default: DataCollection | None
    """The cluster's default, if it serves this namespace."""

    @classmethod
    def of(cls, local: Iterable[DataCollection], operator_default: DataCollection | None = None) -> "Collections":
        """Order the namespace's collections by age, so that the older one serves where two match."""
        return cls(tuple(sorted(local, key=lambda collection: collection.age_order)), operator_default)

    @property
    def empty(self) -> bool:
        """Tell whether no pod of the namespace can be served at all."""
        return not self.local and self.operator_default is None

    def named(self, name: str) -> DataCollection | None:
        """Find a collection of the namespace."""
        return next((collection for collection in self.local if collection.key.name == name), None)


def choose(pod: Pod, deployment: Deployment | None, collections: Collections) -> Choice:
    """Decide which collection serves a pod: an opt-out first, then the annotation, then the selectors."""
    if pod.mirror:
        # The kubelet runs a static pod from its own manifest: what the API server stores of it changes nothing.
        return Choice(None, Reason.MIRROR_POD)
    wishes = [wish for wish in (deployment.collect if deployment else None, _wish(pod)) if wish is not None]
    invalid = [wish for wish in wishes if wish not in ("true", "false")]
    choice = _named_or_default(pod, deployment, collections) if wishes else _selected(pod, collections)
    candidate = choice.collection.key if choice.collection else None
    if "false" in wishes:
        return Choice(None, Reason.OPTED_OUT, f'{names.COLLECT_ANNOTATION} is "false"', candidate=candidate)
    if invalid:
        # Whoever wrote "False" or "off" meant it: a misspelt wish must not collect what someone wanted kept.
        return Choice(None, Reason.INVALID_ANNOTATION, misspelt(invalid[0]), candidate=candidate)
    return choice


def misspelt(value: str) -> str:
    """Say what to write instead."""
    return f'{names.COLLECT_ANNOTATION} is {value!r}: write "true" or "false"; nothing is collected'


def _wish(pod: Pod) -> str | None:
    return pod.annotations.get(names.COLLECT_ANNOTATION)


def _selected(pod: Pod, collections: Collections) -> Choice:
    matching = [
        collection
        for collection in collections.local
        if collection.selector is not None and collection.selector.matches(pod.labels)
    ]
    if not matching:
        return Choice(None, Reason.NOT_SELECTED)
    first, *others = matching
    return Choice(first, Reason.SELECTED, losers=tuple(other.key for other in others))


def _named_or_default(pod: Pod, deployment: Deployment | None, collections: Collections) -> Choice:
    wanted = (deployment.choice if deployment else None) or pod.annotations.get(names.CHOICE_ANNOTATION)
    if wanted:
        named = collections.named(wanted)
        if named is not None:
            return Choice(named, Reason.NAMED)
        message = (
            f"{names.CHOICE_ANNOTATION} names {wanted!r}, and this namespace has no such DataCollection: create it"
        )
        return Choice(None, Reason.COLLECTION_NOT_FOUND, message)
    selected = _selected(pod, collections)
    if selected.collection is not None:
        return selected
    default = collections.named(names.DEFAULT_COLLECTION)
    if default is not None:
        return Choice(default, Reason.DEFAULT)
    if collections.operator_default is not None:
        return Choice(collections.operator_default, Reason.OPERATOR_DEFAULT)
    message = (
        f'{names.COLLECT_ANNOTATION} is "true", and no DataCollection serves it: create one in this namespace, named '
        f'"{names.DEFAULT_COLLECTION}" or with a selector that matches'
    )
    return Choice(None, Reason.COLLECTION_NOT_FOUND, message)
