"""What is in the cluster, as the indexes know it: read-only questions, no requests."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import kopf

from . import names, selection
from .resources import DataCollection, ObjectKey, UnreadableCollection
from .selection import Choice, Collections
from .workloads import Deployment, Pod

CollectionIndex: TypeAlias = kopf.Index[str, DataCollection | UnreadableCollection]
DeploymentIndex: TypeAlias = kopf.Index[str, Deployment]
PodIndex: TypeAlias = kopf.Index[str, Pod]


@dataclass(frozen=True, slots=True)
class Matched:
    """A pod with its Deployment and the collection that serves it."""

    pod: Pod
    deployment: Deployment | None
    choice: Choice


class Inventory:
    """Collections and Deployments, by namespace and by name."""

    def __init__(
        self,
        *,
        collections: kopf.Index[ObjectKey, DataCollection | UnreadableCollection],
        collections_by_namespace: CollectionIndex,
        deployments: kopf.Index[ObjectKey, Deployment],
        operator_namespace: str,
    ) -> None:
        self._collections = collections
        self._collections_by_namespace = collections_by_namespace
        self._deployments = deployments
        self._operator_default = ObjectKey(operator_namespace, names.DEFAULT_COLLECTION)
        self._webhook = ObjectKey(operator_namespace, names.WEBHOOK_NAME)

    @property
    def operator_default(self) -> ObjectKey:
        """Say where the cluster's default collection lives, if there is one."""
        return self._operator_default

    @property
    def webhook_ready(self) -> bool:
        """Tell whether a pod created now would reach the webhook."""
        webhook = self.deployment(self._webhook)
        return webhook is not None and webhook.ready_replicas > 0

    def collection(self, key: ObjectKey) -> DataCollection | UnreadableCollection | None:
        """Find a collection."""
        return next(iter(self._collections.get(key, ())), None)

    def deployment(self, key: ObjectKey) -> Deployment | None:
        """Find a Deployment."""
        return next(iter(self._deployments.get(key, ())), None)

    def collection_keys(self, namespace: str | None = None) -> Iterator[ObjectKey]:
        """List collections, of one namespace or of all."""
        if namespace is None:
            yield from self._collections
        else:
            yield from (collection.key for collection in self._collections_by_namespace.get(namespace, ()))

    def deployment_keys(self) -> Iterator[ObjectKey]:
        """List all Deployments."""
        yield from self._deployments

    def serving(self, namespace: str) -> Collections:
        """List what can serve the pods of a namespace."""
        local = self._collections_by_namespace.get(namespace, ())
        default = self.collection(self._operator_default)
        return Collections.of(
            (collection for collection in local if isinstance(collection, DataCollection)),
            default if isinstance(default, DataCollection) else None,
        )

    def deployment_of(self, pod: Pod) -> Deployment | None:
        """Find a pod's Deployment. Its selector must match: a name alone may be a coincidence."""
        name = pod.deployment_name
        deployment = self.deployment(ObjectKey(pod.key.namespace, name)) if name else None
        return deployment if deployment is not None and deployment.selector.matches(pod.labels) else None

    def match(self, pod: Pod, collections: Collections) -> Matched:
        """Decide who serves a pod."""
        deployment = self.deployment_of(pod)
        return Matched(pod, deployment, selection.choose(pod, deployment, collections))


class PodInventory:
    """Pods by namespace."""

    def __init__(self, inventory: Inventory, pods: PodIndex) -> None:
        self._inventory = inventory
        self._pods = pods

    def concerning(self, key: ObjectKey) -> list[Matched]:
        """List the pods that a collection serves, would serve, lost to another, or left its injection in."""
        crosses = key == self._inventory.operator_default
        found = []
        for namespace in list(self._pods) if crosses else [key.namespace]:
            collections = self._inventory.serving(namespace)
            for pod in self._pods.get(namespace, ()):
                matched = self._inventory.match(pod, collections)
                if key in concerned(matched):
                    found.append(matched)
        return found

    def injected_for(self) -> set[ObjectKey]:
        """Name every collection that some pod carries the injection of, whether it still exists or not."""
        return {
            pod.injection.collection
            for namespace in list(self._pods)
            for pod in self._pods.get(namespace, ())
            if pod.injection is not None
        }

    def annotated(self) -> list[Matched]:
        """List the pods that carry collect_model_data themselves, and were not injected."""
        return [
            self._inventory.match(pod, self._inventory.serving(namespace))
            for namespace in list(self._pods)
            for pod in self._pods.get(namespace, ())
            if names.COLLECT_ANNOTATION in pod.annotations and pod.injection is None and not pod.gone
        ]

    def of_deployment(self, deployment: Deployment) -> Iterable[Pod]:
        """List a Deployment's pods."""
        for pod in self._pods.get(deployment.key.namespace, ()):
            if pod.deployment_name == deployment.key.name and deployment.selector.matches(pod.labels):
                yield pod


def concerned(matched: Matched) -> set[ObjectKey]:
    """Name the collections that have to do with a pod."""
    choice, injection = matched.choice, matched.pod.injection
    keys = {choice.candidate, choice.collection.key if choice.collection else None, *choice.losers}
    if injection is not None:
        keys.add(injection.collection)
    return {key for key in keys if key is not None}
