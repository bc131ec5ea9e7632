"""The controller process: indexes in, a queue of dirty collections, a few workers, one reconcile."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import kopf
from kubernetes.aio.client.api_client import ApiClient

from . import authority, cluster, events, fields, framework, inventory, resources, selection, workloads
from .configuration import Configuration
from .inventory import Inventory, PodInventory
from .minting import Minter
from .pushing import Pusher
from .reasons import Reason
from .reconciler import Reconciler
from .resources import ObjectKey
from .storage import ContainerWatch
from .workqueue import Workqueue

logger = logging.getLogger(__name__)

WORKERS = 4
"""So that one collection of thousands of pods does not keep the others waiting."""

RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)
LONGEST_REST = 1.0
"""Seconds; small collections take some hundredths, so nobody waits for a switch."""

STUCK_AFTER = 300.0
"""Seconds that one reconcile may take before the process is called sick: thousands of pods take seconds."""


class Controller:
    """Watches, queues and reconciles."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._queue: Workqueue[ObjectKey] = Workqueue()
        self._deployments_to_check: Workqueue[ObjectKey] = Workqueue()
        self._versions: dict[ObjectKey, tuple[str, int]] = {}
        self._failures: dict[ObjectKey, int] = {}
        self._started: dict[ObjectKey, float] = {}
        self._webhook_ready = False
        self._ticked = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._synced = asyncio.Event()
        # Set at the start, when kopf has made its indexes and there is a loop to connect in.
        self._inventory: Inventory
        self._pods: PodInventory
        self._pusher: Pusher
        self._reconciler: Reconciler
        self._recorder: events.Recorder
        self._authority: authority.Authority
        self._cluster: cluster.Cluster

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Register the handlers. Only event handlers and indexes: nothing is ever stored on anyone's object."""
        framework.index_collections(registry)
        framework.index_deployments(registry)
        framework.index_pods(registry)
        kopf.on.startup(registry=registry)(self._start)
        kopf.on.cleanup(registry=registry)(self._stop)
        kopf.on.probe(registry=registry, id="reconciling")(self._probe)
        kopf.on.event(*framework.COLLECTIONS, registry=registry)(self._collection_changed)
        kopf.on.event(*framework.DEPLOYMENTS, registry=registry)(self._deployment_changed)
        kopf.on.event(*framework.PODS, registry=registry)(self._pod_changed)

    async def _start(self, **indexes: Any) -> None:
        await cluster.load_configuration()
        self._cluster = cluster.Cluster(ApiClient())
        await framework.await_custom_resource(self._cluster)
        self._inventory = framework.inventory(indexes, operator_namespace=self._configuration.namespace)
        self._pods = PodInventory(self._inventory, indexes["pods"])
        self._recorder = events.Recorder(self._cluster)
        self._authority = authority.Authority(self._cluster, self._configuration)
        self._pusher = Pusher(self._cluster)
        self._reconciler = Reconciler(
            cluster=self._cluster,
            inventory=self._inventory,
            pods=self._pods,
            minter=Minter(self._cluster, lifetime=self._configuration.sas_lifetime),
            pusher=self._pusher,
            containers=ContainerWatch(self._queue.add),
            recorder=self._recorder,
        )
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {number}") for number in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._check_deployments(), name="deployment checks"))
        self._tasks.append(asyncio.create_task(self._resync(), name="resync"))

    async def _stop(self, **_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pusher.close()
        await self._cluster.close()

    async def _probe(self, **_: Any) -> str:
        """Fail /healthz when reconciling stands still; kopf's own answer only proves that HTTP works."""
        now = time.monotonic()
        dead = [task.get_name() for task in self._tasks if task.done()]
        late = now - self._ticked > 4 * self._configuration.resync + 60
        stuck = [str(key) for key, started in self._started.items() if now - started > STUCK_AFTER]
        if dead or late or stuck:
            # A plain exception would be retried inside the request; this one answers 500 at once.
            raise kopf.PermanentError(f"dead={dead} late={late} stuck={stuck}")
        return "reconciling"

    async def _collection_changed(self, *, body: Mapping[str, Any], **_: Any) -> None:
        self._synced.set()
        collection = resources.collection(body)
        key, version = collection.key, (collection.uid, collection.generation)
        self._queue.add(key)
        present = self._inventory.collection(key) is not None
        if present and self._versions.get(key) == version:
            return  # only the status changed, and this process wrote it
        if present:
            self._versions[key] = version
        else:
            self._versions.pop(key, None)
        # Whom this collection serves decides whom others serve: those of its namespace, and the operator's default.
        for other in self._inventory.collection_keys(key.namespace):
            self._queue.add(other)
        self._queue.add(self._inventory.operator_default)
        for deployment in self._inventory.deployment_keys():
            if deployment.namespace == key.namespace or key == self._inventory.operator_default:
                self._deployments_to_check.add(deployment)

    async def _deployment_changed(self, *, body: Mapping[str, Any], **_: Any) -> None:
        self._synced.set()
        with contextlib.suppress(fields.ResourceError):
            deployment = workloads.deployment(body)
            self._deployments_to_check.add(deployment.key)
            for pod in self._pods.of_deployment(deployment):
                self._mark(pod)
            if deployment.restarted_for is not None:
                # Also while it has no pods: the next one waits for it.
                self._queue.add(deployment.restarted_for.collection)
            for key in self._inventory.collection_keys(deployment.key.namespace):
                self._queue.add(key)
        if self._inventory.webhook_ready is not self._webhook_ready:
            # Restarts wait for the webhook, wherever they are due.
            self._webhook_ready = self._inventory.webhook_ready
            for key in self._inventory.collection_keys():
                self._queue.add(key)

    async def _pod_changed(self, *, body: Mapping[str, Any], **_: Any) -> None:
        # The pod of the event and not of the index: a deleted one still has to be counted out.
        self._mark(workloads.pod(body))

    def _mark(self, pod: workloads.Pod) -> None:
        matched = self._inventory.match(pod, self._inventory.serving(pod.key.namespace))
        for key in inventory.concerned(matched):
            self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            started = self._started[key] = time.monotonic()
            try:
                again = await self._reconciler.reconcile(key)
                self._failures.pop(key, None)
                if again is not None:
                    self._queue.add_later(key, again)
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1]
                logger.warning("reconcile failed collection=%s again=%.1fs", key, delay, exc_info=error)
                self._queue.add_later(key, delay)
            finally:
                self._started.pop(key, None)
                # Its own patches come back as events. What took long rests as long, or it would run all the time.
                self._queue.done(key, rest=min(time.monotonic() - started, LONGEST_REST))

    async def _check_deployments(self) -> None:
        """Tell people on their Deployment what no collection can tell them."""
        while True:
            key = await self._deployments_to_check.get()
            try:
                await self._check_deployment(key)
            except Exception:
                logger.exception("check failed deployment=%s", key)
            finally:
                self._deployments_to_check.done(key)

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
        # Before the indexes are whole, every pod would look like nobody's.
        await self._authority_once()
        await self._synced.wait()
        while True:
            self._ticked = time.monotonic()
            self._reconciler.look_again()
            for key in self._everything():
                self._queue.add(key)
            for key in self._inventory.deployment_keys():
                self._deployments_to_check.add(key)
            await self._check_templates()
            await self._authority_once()
            await asyncio.sleep(self._configuration.resync)

    def _everything(self) -> Iterator[ObjectKey]:
        yield from list(self._inventory.collection_keys())
        yield from self._pods.injected_for()

    async def _authority_once(self) -> None:
        try:
            await self._authority.ensure()
        except Exception:
            logger.exception("webhook certificate not ensured, tried again at the next resync")
