"""The controller process: it knows the cluster, stands for the Lease, and works while it leads.

One that stands by lists and watches as the leader does, so that it can take over at once, and writes nothing: no
status, no Event, no Secret, no settings. It asks no storage and fetches no token.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from .. import ending
from ..api import names
from ..api.grants import StorageGrant
from ..api.keys import ObjectKey
from ..api.namespaces import Namespace
from ..api.resources import DataCollection, UnreadableCollection
from ..api.restartables import Deployment, Restartable
from ..api.workloads import Pod
from ..configuration import Configuration
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..known.pods import PodInventory
from ..kube import cluster, custom_resource, kinds, watching
from ..kube.cluster import Cluster
from ..kube.fencing import Fence
from ..kube.store import Store
from ..observe import metrics
from . import election
from .election import Election
from .loop import Loop

logger = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_SECONDS = 5.0
"""How long a leader that is told to stop waits for answers to what it has written."""


class Controller:
    """One of the controllers."""

    def __init__(self, configuration: Configuration, namespaces: Sequence[str] = ()) -> None:
        """Begin with nothing.

        Args:
            configuration: see there.
            namespaces: the ones to watch; none for the whole cluster.

        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._tasks: list[asyncio.Task[None]] = []
        self._standing: asyncio.Task[None] | None = None
        self._resigned = asyncio.Event()
        self._loop: Loop | None = None
        # What is listed anew because this is likely to lead soon.
        self._early: asyncio.Task[None] | None = None
        # Set at the start, when there is a loop to connect in.
        self._cluster: Cluster | None = None
        self._watches: watching.Watches
        self._inventory: Inventory
        self._grants: Grants
        self._granted: Store[StorageGrant] = Store()
        self._grants_watch: watching.Watch[StorageGrant] | None = None
        self._pods: PodInventory
        self._election: Election

    async def start(self) -> None:
        """Watch, and stand for the Lease."""
        self._cluster = await cluster.connect()
        await custom_resource.wait(self._cluster)
        self._watch(self._cluster)
        lease = ObjectKey(self._configuration.namespace, self._configuration.controller_name)
        self._election = Election(self._cluster, lease, me=election.identity())
        self._tasks = [self._watches.start(), asyncio.create_task(self._pods.file(), name="filing")]
        if not self._namespaces:
            self._tasks.append(asyncio.create_task(self._watch_grants(self._cluster), name="grants"))
        self._standing = asyncio.create_task(self._stand(self._cluster), name="election")

    def _watch(self, api: Cluster) -> None:
        """Set up what is known of the cluster, and who hears of its changes. Pods are filed before anyone is woken."""
        collections: Store[DataCollection | UnreadableCollection] = Store()
        deployments: Store[Deployment] = Store()
        namespaces: Store[Namespace] = Store()
        others: dict[str, Store[Restartable]] = {kind: Store() for kind in kinds.OTHERS}
        pods: Store[Pod] = Store()
        self._inventory = Inventory(
            collections=collections,
            deployments=deployments,
            namespaces=namespaces,
            operator_namespace=self._configuration.namespace,
            webhook_name=self._configuration.webhook_name,
            others=others,
        )
        self._granted.subscribe(lambda *_: self._grants_changed())
        self._grants = Grants(
            given=self._configuration.grants,
            watched=None if self._namespaces else self._granted,
            labels=self._inventory.namespace_labels,
        )
        namespaces.subscribe(lambda key, *_: self._grants_changed(key.name))
        self._pods = PodInventory(self._inventory, pods, self._mark)
        collections.subscribe(self._collection_changed)
        deployments.subscribe(self._deployment_changed)
        namespaces.subscribe(self._namespace_changed)
        for store in others.values():
            store.subscribe(self._other_changed)
        self._watches = watching.Watches(api, namespaces=self._namespaces)
        if not self._namespaces:
            # First: they decide which collections serve. Where some are given, there is no right to see any.
            self._watches.add(kinds.NAMESPACES, namespaces)
        self._watches.add(kinds.collections(self._configuration.cluster_name), collections)
        self._watches.add(kinds.DEPLOYMENTS, deployments)
        # Beside the given namespaces, only the operator's Deployment and its default collection are of any concern.
        own = self._configuration.namespace
        for kind, store in others.items():
            self._watches.add(kinds.OTHERS[kind], store, but="" if self._configuration.serves(own) else own)
        self._watches.add(kinds.PODS, pods)
        metrics.WATCH_SILENCE.set_function(lambda: self._silent)

    async def _watch_grants(self, api: Cluster) -> None:
        """Watch StorageGrants. Not with the others: where their CRD is missing, only the operator's identity waits."""
        await custom_resource.wait(api, names.GRANT_PLURAL, every=self._configuration.resync)
        self._grants_watch = watching.Watch(api, kinds.GRANTS, self._granted)
        async with asyncio.TaskGroup() as running:
            running.create_task(self._grants_watch.run())
            await self._grants_watch.synced.wait()
            self._grants.known = True
            self._grants_changed()

    @property
    def _grants_synced(self) -> watching.Watch[StorageGrant] | None:
        watch = self._grants_watch
        return watch if watch is not None and watch.synced.is_set() else None

    @property
    def _silent(self) -> float:
        grants = self._grants_synced
        return max(self._watches.silent[1], grants.silent_for if grants is not None else 0.0)

    async def _refresh(self) -> None:
        """List everything anew; return when that is known."""
        grants = self._grants_synced
        await asyncio.gather(self._watches.refresh(), *([grants.refresh()] if grants is not None else []))

    async def stop(self) -> None:
        """Lead and watch no more. A leader's Lease is free when this returns."""
        self._resigned.set()
        if self._standing is not None:
            # Not cancelled: what it has begun ends in order.
            await asyncio.wait([self._standing])
        self._expect(False)
        await ending.end(self._tasks)
        if self._cluster is not None:
            await self._cluster.close()

    async def sick(self) -> str:
        """Say what beginning anew would mend. An API server that is away, or refuses, is nothing of that kind."""
        if self._standing is None:
            return ""
        dead = [task.get_name() for task in [*self._tasks, self._standing] if task.done()]
        if dead:
            return f"dead={dead}"
        # Others are answered, and have been for as long: then it is the watch.
        watch, seconds = self._watches.deaf
        grants = self._grants_synced
        if grants is not None and grants.deaf_for > seconds:
            watch, seconds = str(grants), grants.deaf_for
        deaf = min(seconds, self._election.answered_for)
        if deaf > self._configuration.sick_after:
            return f"watch={watch} deaf={deaf:.0f} s"
        return self._loop.standing_still() if self._loop is not None else ""

    async def unready(self) -> str:
        """Say why this could not lead now."""
        if self._standing is None or not self._watches.whole:
            return "not everything has been listed yet"
        return "" if self._election.answered else "the Lease can't be read or written"

    async def _stand(self, api: Cluster) -> None:
        """Stand for the Lease and lead, in turns, until this resigns."""
        # Whoever can't list could do nothing as a leader.
        await self._unless_resigned(self._watches.wait())
        while not self._resigned.is_set():
            fence = await self._unless_resigned(self._election.acquire(self._expect))
            if fence is None:
                return
            known, self._early = self._early or asyncio.create_task(self._refresh()), None
            await self._lead(api, fence, known)

    async def _unless_resigned(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """Do something until its end, or until this resigns; None: it has not come to its end."""
        task = asyncio.create_task(doing)
        resigned = asyncio.create_task(self._resigned.wait())
        await asyncio.wait({task, resigned}, return_when=asyncio.FIRST_COMPLETED)
        await ending.end([task, resigned])
        return None if task.cancelled() else task.result()

    def _expect(self, expected: bool) -> None:
        """List everything anew if the one who leads has stopped: what it has done is known from then on.

        Thousands of pods take seconds, which pass before the Lease can be taken.
        """
        if expected and self._early is None:
            self._early = asyncio.create_task(self._refresh(), name="listing early")
        elif not expected and self._early is not None:
            self._early.cancel()
            self._early = None

    async def _lead(self, api: Cluster, fence: Fence, known: asyncio.Task[None]) -> None:
        """Do a leader's work until the Lease is lost, or until this resigns: then it is given back."""
        logger.info("leading as %s", self._election.me)
        metrics.LEADER.set(1)
        metrics.LEADER_TRANSITIONS.labels("leading").inc()
        self._loop = Loop(
            api.behind(fence),
            self._configuration,
            known=known,
            inventory=self._inventory,
            pods=self._pods,
            grants=self._grants,
        )
        try:
            self._loop.start()
            await self._unless_resigned(self._election.keep(fence))
        finally:
            became = "given_back" if fence.left > 0 else "lost"
            # Nothing begins any more; and of what has been begun it is better to know how it ended.
            fence.close()
            quiet = became == "given_back" and await fence.quiet(seconds=QUIET_SECONDS)
            loop, self._loop = self._loop, None
            known.cancel()
            await loop.stop()
            metrics.COLLECTIONS.clear()
            if quiet:
                await self._election.give_back()
            metrics.LEADER.set(0)
            metrics.LEADER_TRANSITIONS.labels(became).inc()
            logger.log(logging.WARNING if became == "lost" else logging.INFO, "not leading any more: %s", became)

    def _mark(self, key: ObjectKey) -> None:
        if self._loop is not None:
            self._loop.add(key)

    def _grants_changed(self, namespace: str = "") -> None:
        if self._loop is not None:
            self._loop.grants_changed(namespace)

    def _namespace_changed(self, key: ObjectKey, _before: Namespace | None, _after: Namespace | None) -> None:
        if self._loop is not None:
            self._loop.namespace_changed(key)

    def _collection_changed(
        self,
        key: ObjectKey,
        before: DataCollection | UnreadableCollection | None,
        after: DataCollection | UnreadableCollection | None,
    ) -> None:
        if self._loop is not None:
            self._loop.collection_changed(key, before, after)

    def _deployment_changed(self, key: ObjectKey, before: Deployment | None, after: Deployment | None) -> None:
        if self._loop is not None:
            self._loop.deployment_changed(key, before, after)

    def _other_changed(self, key: ObjectKey, before: Restartable | None, after: Restartable | None) -> None:
        if self._loop is not None:
            self._loop.other_changed(key, before, after)
