"""What the controller does while it leads: a queue of dirty collections, a few workers, one reconcile."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .. import ending
from ..access import minting, withdrawing
from ..access.delegation import AzureKeys, Delegations
from ..access.probe import ContainerWatch
from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import DataCollection, OperatorIdentity, UnreadableCollection
from ..api.restartables import Deployment, Restartable
from ..configuration import Configuration
from ..decide import selection
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..known.pods import PodInventory
from ..kube import breathing, events
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, said
from ..kube.fencing import LeaseOver
from ..kube.workqueue import Workqueue
from ..observe import metrics
from ..trust import authority
from .pushing import Pusher
from .reconciler import Reconciler, UnfinishedError

logger = logging.getLogger(__name__)

WORKERS = 64
"""Reconciles side by side. They take turns with the processor and with the API server; so many, because one whose
requests are not answered, for a webhook that hangs in its namespace, keeps its worker for as long as that takes."""

RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)
REST = 3.0
"""How many times as long as its last reconcile took a collection rests before the next. Each pod of a rollout of
thousands is an event; so they take no more than a quarter of a processor."""

LONGEST_REST = 1.0
"""Seconds; small collections take some hundredths, so nobody waits for a switch."""


def _namespace(key: ObjectKey) -> str:
    return key.namespace


class Loop:
    """Queues and reconciles. All that only a leader may have is in here, and goes with it."""

    def __init__(
        self,
        cluster: Cluster,
        configuration: Configuration,
        *,
        known: Awaitable[None],
        inventory: Inventory,
        pods: PodInventory,
        grants: Grants,
    ) -> None:
        """Begin with nothing but what is known of the cluster.

        Args:
            cluster: where writes go only while this process leads.
            configuration: see there.
            known: ends when the inventory shows what whoever led before has done: a watch may have been silent.
            inventory: the collections and Deployments.
            pods: the pods.
            grants: whom the operator's own Azure identity may serve.

        """
        self._cluster = cluster
        self._configuration = configuration
        self._known = known
        self._inventory = inventory
        self._pods = pods
        self._queue: Workqueue[ObjectKey] = Workqueue(_namespace)
        self._deployments_to_check: Workqueue[ObjectKey] = Workqueue(_namespace)
        self._failures: dict[ObjectKey, int] = {}
        self._started: dict[ObjectKey, float] = {}
        self._webhook_ready = False
        self._taken_back = False
        self._ticked = time.monotonic()
        self._caught_up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        metrics.QUEUE_DEPTH.labels("collections").set_function(self._queue.__len__)
        metrics.QUEUE_DEPTH.labels("deployments").set_function(self._deployments_to_check.__len__)
        self._recorder = events.Recorder(cluster)
        self._authority = authority.Authority(cluster, configuration)
        self._delegations = Delegations(
            AzureKeys(configuration.identity), self._delegated, lifetime=configuration.sas_lifetime
        )
        self._pusher = Pusher(cluster)
        self._containers = ContainerWatch(self.add)
        self._reconciler = Reconciler(
            cluster=cluster,
            inventory=inventory,
            pods=pods,
            minter=minting.Minter(cluster, self._delegations, grants, lifetime=configuration.sas_lifetime),
            pusher=self._pusher,
            containers=self._containers,
            recorder=self._recorder,
            grants=grants,
            allowed_hosts=configuration.allowed_hosts,
            configuration=configuration,
            changed=self.add,
        )

    def start(self) -> None:
        """Reconcile everything once it is known as it is now."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {number}") for number in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._check_deployments(), name="deployment checks"))
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))
        self._tasks.append(asyncio.create_task(self._close_days(), name="closing days"))

    async def stop(self) -> None:
        """Reconcile no more, and forget everything."""
        await ending.end(self._tasks)
        for queue in ("collections", "deployments"):
            metrics.QUEUE_DEPTH.labels(queue).set_function(lambda: 0)
        await self._containers.close()
        await self._delegations.close()
        await self._pusher.close()
        await self._recorder.close()

    def standing_still(self) -> str:
        """Say when reconciling stands still."""
        now, after = time.monotonic(), self._configuration.sick_after
        dead = [task.get_name() for task in self._tasks if task.done()]
        late = now - self._ticked > 4 * self._configuration.resync + 60
        stuck = [str(key) for key, started in self._started.items() if now - started > after]
        return f"dead={dead} late={late} stuck={stuck}" if dead or late or stuck else ""

    def add(self, key: ObjectKey) -> None:
        """Ask for a collection to be reconciled."""
        self._queue.add(key)

    def _delegated(self, key: ObjectKey) -> None:
        self._reconciler.credential_changed(key)
        self._queue.add(key)

    def grants_changed(self, namespace: str = "") -> None:
        """Have looked at whom the operator's identity may serve: all, or a namespace whose labels have changed."""
        if not self._caught_up.is_set():
            return  # everything is looked at once it is
        default = self._inventory.operator_default
        for key in [*self._inventory.collection_keys(namespace), *([default] if namespace else [])]:
            collection = self._inventory.collection(key)
            if isinstance(collection, DataCollection) and isinstance(collection.storage.credential, OperatorIdentity):
                self._reconciler.credential_changed(key)
            self._queue.add(key)  # whether its endpoint may be dialled may have changed, whatever its credential
        self._reconciler.closer.wake()

    def collection_changed(
        self,
        key: ObjectKey,
        before: DataCollection | UnreadableCollection | None,
        after: DataCollection | UnreadableCollection | None,
    ) -> None:
        """Look at a collection that changed, and at whom it may serve now."""
        if _version(before) == _version(after):
            self._queue.add(key)
            return  # only the status changed, and this process wrote it
        # Somebody waits for it, say for an end of collecting.
        self._queue.hurry(key)
        self._reconciler.closer.wake()
        # Those of the operator's namespace may serve every annotated Deployment.
        everywhere = key == self._inventory.operator_default
        for deployment in self._inventory.deployment_keys("" if everywhere else key.namespace):
            self._deployments_to_check.add(deployment)

    def other_changed(self, key: ObjectKey, _before: Restartable | None, after: Restartable | None) -> None:
        """Look at who restarted a workload that changed."""
        mark = after.restarted_for if after is not None else None
        if mark is not None and self._inventory.may_serve(mark.collection, key.namespace):
            self._queue.add(mark.collection)

    def deployment_changed(self, key: ObjectKey, _before: Deployment | None, after: Deployment | None) -> None:
        """Look at a Deployment that changed, and at who waits for it."""
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

    def namespace_changed(self, key: ObjectKey) -> None:
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
        await self._caught_up.wait()
        while True:
            key = await self._queue.get()
            started = self._started[key] = time.monotonic()
            try:
                with metrics.reconciling():
                    again = await self._reconciler.reconcile(key)
                self._failures.pop(key, None)
                if again is not None:
                    self._queue.add_later(key, again)
            except UnfinishedError as unfinished:
                self._failures.pop(key, None)
                message = "reconcile failed collection=%s again=%.1fs error=%s"
                logger.warning(message, key, unfinished.again, unfinished)
                self._queue.add_later(key, unfinished.again)
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1]
                # What is no mistake of this program needs no traceback; and who leads next does it anyway.
                trace = None if isinstance(error, FAILURES) else error
                level = logging.DEBUG if isinstance(error, LeaseOver) else logging.WARNING
                kind, message = type(error).__name__, "reconcile failed collection=%s again=%.1fs error=%s: %s"
                logger.log(level, message, key, delay, kind, error, exc_info=trace)
                self._queue.add_later(key, delay)
            finally:
                self._started.pop(key, None)
                # Its own patches come back as events.
                self._queue.done(key, rest=min(REST * (time.monotonic() - started), LONGEST_REST))

    async def _check_deployments(self) -> None:
        """Tell people on their Deployment what no collection can tell them."""
        await self._caught_up.wait()
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
        async for pod in breathing.each(self._pods.of_deployment(deployment)):
            choice = self._pods.matched(pod).choice
            if choice.reason is Reason.COLLECTION_NOT_FOUND:
                await self._recorder.record(subject, choice.reason, choice.message, warning=True)
                return

    async def _check_templates(self) -> None:
        """Tell people on their workload that the annotation of its own template leads nowhere."""
        async for matched in breathing.each(self._pods.annotated()):
            if matched is None:
                continue
            choice = matched.choice
            if choice.collection is None and choice.candidate is None and choice.message:
                subject = events.about_workload(matched.pod.workload(matched.deployment))
                await self._recorder.record(subject, choice.reason, choice.message, warning=True)

    async def _resync(self) -> None:
        """Look at everything now and then: Secrets are not watched, certificates end, and events may be missed."""
        await self._once(self._authority.ensure, "webhook certificate not ensured")
        await self._known
        self._caught_up.set()
        while True:
            self._ticked = time.monotonic()
            self._reconciler.look_again()
            for key in [*self._inventory.collection_keys(), *self._pods.concerned()]:
                self._queue.add(key)
            for key in self._inventory.deployment_keys():
                self._deployments_to_check.add(key)
            await self._once(self._check_templates, "templates not checked")
            await self._once(self._authority.ensure, "webhook certificate not ensured")
            await self._once(self._take_back, "what a deleted default left was not looked for")
            await asyncio.sleep(self._configuration.resync)

    async def _close_days(self) -> None:
        """Look at the Jobs that close days. They are not watched: a day has time."""
        await self._caught_up.wait()
        while True:
            await self._once(self._reconciler.closer.look, "days not closed")
            await self._reconciler.closer.rest(self._configuration.resync)

    async def _once(self, look: Callable[[], Awaitable[None]], otherwise: str) -> None:
        """Look at one thing; what goes wrong with it keeps nobody from looking at the next."""
        try:
            await look()
        except FAILURES as error:
            logger.warning("%s, tried again at the next resync: %s", otherwise, said(error))
        except Exception:
            logger.exception("%s, tried again at the next resync", otherwise)

    async def _take_back(self) -> None:
        """Withdraw what the operator's own default has in other namespaces, if it was deleted while nobody looked.

        Where that does not succeed, it is tried again at the next resync.
        """
        default = self._inventory.operator_default
        if self._taken_back or self._inventory.collection(default) is not None:
            self._taken_back = True
            return
        refused = await withdrawing.withdraw(self._cluster, default, self._pods.namespaces() - {default.namespace})
        self._taken_back = all(each.nothing_written for each in refused.values())


def _version(collection: DataCollection | UnreadableCollection | None) -> tuple[str, int] | None:
    return None if collection is None else (collection.uid, collection.generation)
