"""The controller process: watches in, a queue of dirty collections, a few workers, one reconcile."""

import asyncio
import logging
import time
from collections.abc import Sequence

from kubernetes.aio.client.api_client import ApiClient

from ..access import minting
from ..access.delegation import AzureKeys, Delegations
from ..access.probe import ContainerWatch
from ..api import names
from ..api.grants import StorageGrant
from ..api.keys import ObjectKey
from ..api.namespaces import Namespace
from ..api.reasons import Reason
from ..api.resources import DataCollection, OperatorIdentity, UnreadableCollection
from ..api.workloads import Deployment, Pod
from ..configuration import Configuration
from ..decide import selection
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..known.pods import PodInventory
from ..kube import cluster, custom_resource, events, watching
from ..kube.cluster import FAILURES, ApiError
from ..kube.watching import Store
from ..kube.workqueue import Workqueue
from ..observe import metrics
from ..trust import authority
from .pushing import Pusher
from .reconciler import Reconciler

logger = logging.getLogger(__name__)

WORKERS = 4
"""So that one collection of thousands of pods does not keep the others waiting."""

RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)
REST = 3.0
"""How many times as long as its last reconcile took a collection rests before the next. Each pod of a rollout of
thousands is an event; so they take no more than a quarter of a processor."""

LONGEST_REST = 1.0
"""Seconds; small collections take some hundredths, so nobody waits for a switch."""

STUCK_AFTER = 300.0
"""Seconds that one reconcile may take before the process is called sick: thousands of pods take seconds."""

SILENT_AFTER = 300.0
"""Seconds without a word from the API server after which the process is called sick: beginning anew may help."""


class Controller:
    """Watches, queues and reconciles."""

    def __init__(self, configuration: Configuration, namespaces: Sequence[str] = ()) -> None:
        """Begin with nothing.

        Args:
            configuration: see there.
            namespaces: the ones to watch; none for the whole cluster.

        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._queue: Workqueue[ObjectKey] = Workqueue()
        self._deployments_to_check: Workqueue[ObjectKey] = Workqueue()
        self._failures: dict[ObjectKey, int] = {}
        self._started: dict[ObjectKey, float] = {}
        self._webhook_ready = False
        self._ticked = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        # Set at the start, when there is a loop to connect in.
        self._watches: watching.Watches
        self._inventory: Inventory
        self._grants: Grants
        self._grants_watch: watching.Watch[StorageGrant] | None = None
        self._pods: PodInventory
        self._pusher: Pusher
        self._reconciler: Reconciler
        self._recorder: events.Recorder
        self._authority: authority.Authority
        self._cluster: cluster.Cluster

    async def start(self) -> None:
        """Watch, and reconcile once everything is listed."""
        await cluster.load_configuration()
        self._cluster = cluster.Cluster(ApiClient())
        await custom_resource.wait(self._cluster)
        self._watch()
        self._recorder = events.Recorder(self._cluster)
        self._authority = authority.Authority(self._cluster, self._configuration)
        self._delegations = Delegations(
            AzureKeys(self._configuration.identity), self._delegated, lifetime=self._configuration.sas_lifetime
        )
        self._pusher = Pusher(self._cluster)
        self._reconciler = Reconciler(
            cluster=self._cluster,
            inventory=self._inventory,
            pods=self._pods,
            minter=minting.Minter(
                self._cluster, self._delegations, self._grants, lifetime=self._configuration.sas_lifetime
            ),
            pusher=self._pusher,
            containers=ContainerWatch(self._queue.add),
            recorder=self._recorder,
            grants=self._grants,
            allowed_hosts=self._configuration.allowed_hosts,
        )
        self._tasks = [self._watches.start()]
        if not self._namespaces:
            self._tasks.append(asyncio.create_task(self._watch_grants(), name="grants"))
        self._tasks += [asyncio.create_task(self._work(), name=f"worker {number}") for number in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._check_deployments(), name="deployment checks"))
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))

    def _watch(self) -> None:
        """Set up what is known of the cluster, and who hears of its changes. Pods are filed before anyone is woken."""
        collections: Store[DataCollection | UnreadableCollection] = Store()
        deployments: Store[Deployment] = Store()
        namespaces: Store[Namespace] = Store()
        pods: Store[Pod] = Store()
        self._inventory = Inventory(
            collections=collections,
            deployments=deployments,
            namespaces=namespaces,
            operator_namespace=self._configuration.namespace,
            webhook_name=self._configuration.webhook_name,
        )
        self._granted: Store[StorageGrant] = Store()
        self._granted.subscribe(lambda *_: self._grants_changed())
        self._grants = Grants(
            given=self._configuration.grants,
            watched=None if self._namespaces else self._granted,
            labels=self._inventory.namespace_labels,
        )
        namespaces.subscribe(lambda key, *_: self._grants_changed(key.name))
        self._pods = PodInventory(self._inventory, pods, self._queue.add)
        collections.subscribe(self._collection_changed)
        deployments.subscribe(self._deployment_changed)
        namespaces.subscribe(self._namespace_changed)
        self._watches = watching.Watches(self._cluster, namespaces=self._namespaces)
        if not self._namespaces:
            # First: they decide which collections serve. Where some are given, there is no right to see any.
            self._watches.add(watching.NAMESPACES, namespaces)
        self._watches.add(watching.collections(self._configuration.cluster_name), collections)
        self._watches.add(watching.DEPLOYMENTS, deployments)
        self._watches.add(watching.PODS, pods)
        metrics.WATCH_SILENCE.set_function(lambda: self._silent[1])
        metrics.QUEUE_DEPTH.labels("collections").set_function(self._queue.__len__)
        metrics.QUEUE_DEPTH.labels("deployments").set_function(self._deployments_to_check.__len__)

    async def _watch_grants(self) -> None:
        """Watch StorageGrants. Not with the others: where their CRD is missing, only the operator's identity waits."""
        await custom_resource.wait(self._cluster, names.GRANT_PLURAL, every=self._configuration.resync)
        self._grants_watch = watching.Watch(self._cluster, watching.GRANTS, self._granted)
        async with asyncio.TaskGroup() as running:
            running.create_task(self._grants_watch.run())
            await self._grants_watch.synced.wait()
            self._grants.known = True
            self._grants_changed()

    @property
    def _silent(self) -> tuple[str, float]:
        """Name the watch that has heard nothing sensible for the longest time, and that time in seconds."""
        watch = self._grants_watch
        own = [(str(watch), watch.silent_for)] if watch is not None and watch.synced.is_set() else []
        return max([self._watches.silent, *own], key=lambda each: each[1])

    async def stop(self) -> None:
        """Reconcile and watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delegations.close()
        await self._pusher.close()
        await self._cluster.close()

    def _delegated(self, key: ObjectKey) -> None:
        self._reconciler.credential_changed(key)
        self._queue.add(key)

    def _grants_changed(self, namespace: str = "") -> None:
        """Have looked at whom the operator's identity may serve: all, or a namespace whose labels have changed."""
        if not self._watches.whole:
            return  # everything is looked at once it is
        default = self._inventory.operator_default
        for key in [*self._inventory.collection_keys(namespace), *([default] if namespace else [])]:
            collection = self._inventory.collection(key)
            if isinstance(collection, DataCollection) and isinstance(collection.storage.credential, OperatorIdentity):
                self._reconciler.credential_changed(key)
            self._queue.add(key)  # whether its endpoint may be dialled may have changed, whatever its credential

    async def sick(self) -> str:
        """Say when reconciling stands still; kopf's own answer only proves that HTTP works."""
        now = time.monotonic()
        dead = [task.get_name() for task in self._tasks if task.done()]
        late = now - self._ticked > 4 * self._configuration.resync + 60
        stuck = [str(key) for key, started in self._started.items() if now - started > STUCK_AFTER]
        watch, seconds = self._silent
        silent = f"{watch} for {seconds:.0f} s" if seconds > SILENT_AFTER else ""
        if dead or late or stuck or silent:
            return f"dead={dead} late={late} stuck={stuck} silent={silent}"
        return ""

    def _collection_changed(
        self,
        key: ObjectKey,
        before: DataCollection | UnreadableCollection | None,
        after: DataCollection | UnreadableCollection | None,
    ) -> None:
        self._queue.add(key)
        if _version(before) == _version(after):
            return  # only the status changed, and this process wrote it
        # Those of the operator's namespace may serve every annotated Deployment.
        everywhere = key == self._inventory.operator_default
        for deployment in self._inventory.deployment_keys("" if everywhere else key.namespace):
            self._deployments_to_check.add(deployment)

    def _deployment_changed(self, key: ObjectKey, _before: Deployment | None, after: Deployment | None) -> None:
        self._deployments_to_check.add(key)
        mark = after.restarted_for if after is not None else None
        if mark is not None and self._inventory.may_serve(mark.collection, key.namespace):
            # Also while it has no pods: the next one waits for it.
            self._queue.add(mark.collection)
        if self._inventory.webhook_ready is not self._webhook_ready:
            # Restarts wait for the webhook, wherever they are due.
            self._webhook_ready = self._inventory.webhook_ready
            for collection in self._inventory.collection_keys():
                self._queue.add(collection)

    def _namespace_changed(self, key: ObjectKey, _before: Namespace | None, _after: Namespace | None) -> None:
        """Have the operator's default looked at, which may serve a namespace by its labels, or serve it no more."""
        default = self._inventory.operator_default
        if self._inventory.collection(default) is None:
            return
        # With its Secrets: a SAS is withdrawn at once, and not at the next resync.
        self._reconciler.credential_changed(default)
        self._queue.add(default)
        for deployment in self._inventory.deployment_keys(key.name):
            self._deployments_to_check.add(deployment)

    async def _work(self) -> None:
        # Before the inventory is whole, every pod would look like nobody's.
        await self._watches.wait()
        while True:
            key = await self._queue.get()
            started = self._started[key] = time.monotonic()
            try:
                with metrics.reconciling():
                    again = await self._reconciler.reconcile(key)
                self._failures.pop(key, None)
                if again is not None:
                    self._queue.add_later(key, again)
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1]
                # What is no mistake of this program needs no traceback.
                trace = None if isinstance(error, FAILURES) else error
                kind = type(error).__name__
                logger.warning(
                    "reconcile failed collection=%s again=%.1fs error=%s: %s", key, delay, kind, error, exc_info=trace
                )
                self._queue.add_later(key, delay)
            finally:
                self._started.pop(key, None)
                # Its own patches come back as events.
                self._queue.done(key, rest=min(REST * (time.monotonic() - started), LONGEST_REST))

    async def _check_deployments(self) -> None:
        """Tell people on their Deployment what no collection can tell them."""
        await self._watches.wait()
        while True:
            key = await self._deployments_to_check.get()
            try:
                await self._check_deployment(key)
            except Exception:
                logger.exception("check failed deployment=%s", key)
            finally:
                # While it rolls out, each of its pods changes its status.
                self._deployments_to_check.done(key, rest=LONGEST_REST)

    async def _check_deployment(self, key: ObjectKey) -> None:
        deployment = self._inventory.deployment(key)
        if deployment is None or deployment.collect is None:
            return
        subject = events.about_deployment(key, deployment.uid)
        if deployment.collect not in ("true", "false"):
            # In the words of the collection that would serve it, if there is one: it is then said once.
            message = f"Deployment {key.name}: {selection.misspelt(deployment.collect)}"
            await self._recorder.record(subject, Reason.INVALID_ANNOTATION, message, warning=True)
            return
        collections = self._inventory.serving(key.namespace)
        for pod in self._pods.of_deployment(deployment):
            choice = selection.choose(pod, deployment, collections)
            if choice.reason is Reason.COLLECTION_NOT_FOUND:
                await self._recorder.record(subject, choice.reason, choice.message, warning=True)
                return

    async def _check_templates(self) -> None:
        """Tell people on their workload that the annotation of its own template leads nowhere."""
        for matched in self._pods.annotated():
            choice = matched.choice
            if choice.collection is None and choice.candidate is None and choice.message:
                subject = events.about_workload(matched.pod.workload(matched.deployment))
                await self._recorder.record(subject, choice.reason, choice.message, warning=True)

    async def _resync(self) -> None:
        """Look at everything now and then: Secrets are not watched, certificates end, and events may be missed."""
        await self._authority_once()
        await self._watches.wait()
        taken_back = False
        while True:
            self._ticked = time.monotonic()
            self._reconciler.look_again()
            for key in [*self._inventory.collection_keys(), *self._pods.concerned()]:
                self._queue.add(key)
            for key in self._inventory.deployment_keys():
                self._deployments_to_check.add(key)
            await self._check_templates()
            await self._authority_once()
            taken_back = taken_back or await self._take_back()
            await asyncio.sleep(self._configuration.resync)

    async def _take_back(self) -> bool:
        """Withdraw what the operator's own default has in other namespaces, if it was deleted while nobody looked.

        Returns:
            False if that has to be tried again.

        """
        default, whole = self._inventory.operator_default, True
        for namespace in sorted(self._pods.namespaces() - {default.namespace}):
            if self._inventory.collection(default) is not None:
                return True
            refused = await minting.withdraw(self._cluster, default, [namespace])
            # Where it may not read Secrets, it has written none.
            whole = whole and all(isinstance(each, ApiError) and each.refused for each in refused.values())
        return whole

    async def _authority_once(self) -> None:
        try:
            await self._authority.ensure()
        except FAILURES as error:
            logger.warning("webhook certificate not ensured, tried again at the next resync: %s", error)
        except Exception:
            logger.exception("webhook certificate not ensured, tried again at the next resync")


def _version(collection: DataCollection | UnreadableCollection | None) -> tuple[str, int] | None:
    return None if collection is None else (collection.uid, collection.generation)
