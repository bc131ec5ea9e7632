"""What is in the cluster, as the watches know it: read-only questions, no requests."""

from collections import Counter
from collections.abc import Iterator, Mapping

from ..api import names, namespaces, resources
from ..api.keys import ObjectKey
from ..api.namespaces import Namespace
from ..api.owners import WorkloadName
from ..api.resources import DataCollection, UnreadableCollection
from ..api.restartables import DEPLOYMENT, ROLLOUT, Deployment, Restartable
from ..api.workloads import Pod
from ..decide import selection
from ..decide.selection import Choice, Collections, Matched
from ..kube.store import Store
from .marked import Marked


class Inventory:
    """Collections, Deployments and what else can be restarted, by namespace and by name."""

    def __init__(
        self,
        *,
        collections: Store[DataCollection | UnreadableCollection],
        deployments: Store[Deployment],
        namespaces: Store[Namespace],
        operator_namespace: str,
        webhook_name: str = names.WEBHOOK_NAME,
        others: Mapping[str, Store[Restartable]] | None = None,
    ) -> None:
        """Answer from these stores; that of namespaces stays empty where they can't be watched."""
        self.collections = collections
        self.deployments = deployments
        self.namespaces = namespaces
        self.others: Mapping[str, Store[Restartable]] = others or {}
        """What else can be restarted as a whole, by kind. The webhook needs none of it."""
        self._operator_default = ObjectKey(operator_namespace, names.DEFAULT_COLLECTION)
        self._webhook = ObjectKey(operator_namespace, webhook_name)
        self._serving: dict[str, Collections] = {}
        self._decided: Counter[str] = Counter()
        self.marked = Marked((deployments, *self.others.values()))
        collections.subscribe(self._collection_changed)
        namespaces.subscribe(self._namespace_changed)

    @property
    def operator_default(self) -> ObjectKey:
        """Say where the cluster's default collection lives, if there is one."""
        return self._operator_default

    @property
    def webhook(self) -> ObjectKey:
        """Name the webhook's own Deployment."""
        return self._webhook

    @property
    def webhook_ready(self) -> bool:
        """Tell whether a pod created now would reach the webhook."""
        webhook = self.deployment(self._webhook)
        return webhook is not None and webhook.ready_replicas > 0

    def collection(self, key: ObjectKey) -> DataCollection | UnreadableCollection | None:
        """Find a collection."""
        return self.collections.get(key)

    def deployment(self, key: ObjectKey) -> Deployment | None:
        """Find a Deployment."""
        return self.deployments.get(key)

    def collection_keys(self, namespace: str = "") -> Iterator[ObjectKey]:
        """List collections, of one namespace or of all."""
        return self.collections.keys(namespace)

    def deployment_keys(self, namespace: str = "") -> Iterator[ObjectKey]:
        """List Deployments, of one namespace or of all."""
        return self.deployments.keys(namespace)

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Return a namespace's labels; its name, which the API server makes a label, where no more is known."""
        known = self.namespaces.get(ObjectKey("", namespace))
        return known.labels if known is not None else {namespaces.NAME_LABEL: namespace}

    def serving(self, namespace: str) -> Collections:
        """List what can serve the pods of a namespace."""
        known = self._serving.get(namespace)
        if known is None:
            local = self.collections.of(namespace)
            default = self.collection(self._operator_default)
            known = self._serving[namespace] = Collections.of(
                (collection for collection in local if isinstance(collection, DataCollection)),
                default if isinstance(default, DataCollection) and self._crosses_to(default, namespace) else None,
            )
        return known

    def may_serve(self, collection: ObjectKey, namespace: str) -> bool:
        """Tell whether a collection can have to do with a namespace at all, whatever is written there.

        Each serves its own; only the operator's default serves others, too. A mark of any other collection on a pod or
        a Deployment is nothing but a text that somebody wrote there.
        """
        return collection.namespace == namespace or collection == self._operator_default

    def _crosses_to(self, default: DataCollection, namespace: str) -> bool:
        if namespace == default.key.namespace:
            return True
        selector = default.namespace_selector
        return selector is not None and selector.matches(self.namespace_labels(namespace))

    def deployment_of(self, pod: Pod) -> Deployment | None:
        """Find a pod's Deployment. Its selector must match: a name alone may be a coincidence."""
        name = pod.deployment_name
        deployment = self.deployment(ObjectKey(pod.key.namespace, name)) if name else None
        return deployment if deployment is not None and deployment.selector.matches(pod.labels) else None

    def restartable(self, name: WorkloadName) -> Restartable | None:
        """Find a workload that can be restarted."""
        if name.kind == DEPLOYMENT:
            return self.deployment(name.key)
        store = self.others.get(name.kind)
        return store.get(name.key) if store is not None else None

    def other_of(self, pod: Pod) -> Restartable | None:
        """Find what a pod belongs to, if that is no Deployment and can be restarted as a whole."""
        name = pod.controlled_by
        found = self.restartable(name) if name is not None and name.kind != DEPLOYMENT else None
        if found is None or pod.owner is None:
            return None
        if found.kind == ROLLOUT:
            # It owns a ReplicaSet, of which the pod knows no more than the name.
            ours = not found.selector.requirements or found.selector.matches(pod.labels)
        else:
            ours = found.uid == pod.owner.uid
        return found if ours else None

    def match(self, pod: Pod, collections: Collections, choice: Choice | None = None) -> Matched:
        """Decide who serves a pod, if that is not known."""
        deployment = self.deployment_of(pod)
        other = self.other_of(pod) if deployment is None and self.others else None
        return Matched(pod, deployment, choice or selection.choose(pod, deployment, collections), other)

    def decided_by(self, namespace: str) -> tuple[int, int]:
        """Name the state of what decides who serves a namespace's pods: another one may decide otherwise.

        A collection's status decides nothing, and changes with each of its pods.
        """
        return self._decided[namespace], self._decided[""]

    def _collection_changed(
        self,
        key: ObjectKey,
        before: DataCollection | UnreadableCollection | None,
        after: DataCollection | UnreadableCollection | None,
    ) -> None:
        everywhere = key == self._operator_default
        if everywhere:
            self._serving.clear()
        else:
            self._serving.pop(key.namespace, None)
        if before is None or after is None or not resources.alike(before, after):
            self._decided["" if everywhere else key.namespace] += 1

    def _namespace_changed(self, key: ObjectKey, _before: object, _after: object) -> None:
        self._serving.pop(key.name, None)
        self._decided[key.name] += 1
