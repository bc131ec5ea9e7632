"""The webhook process: every new pod comes by here, and none is ever refused."""

import asyncio
import base64
import contextlib
import gc
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from ..api import workloads
from ..api.namespaces import Namespace
from ..api.resources import DataCollection, UnreadableCollection
from ..api.restartables import Deployment
from ..configuration import Configuration
from ..decide import document, injection, patching, selection
from ..known.inventory import Inventory
from ..kube import cluster, custom_resource, kinds, watching
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES
from ..kube.store import Store
from ..observe import metrics
from ..trust import certificates
from . import server

logger = logging.getLogger(__name__)

DEPLOYMENT_GRACE = 0.3
"""Seconds to wait for a Deployment that the watch did not show yet: its first pods are made within a tenth of one."""

CERTIFICATE_MISSING_SECONDS = 1.0
CERTIFICATE_CHECK_SECONDS = 10.0


class Webhook:
    """Answers admission reviews from two watches, without a request to the API server.

    Where a watch is refused for long, it goes on with what it knew: a pod that isn't collected is worse than one that
    gets settings of an hour ago, which the controller corrects.
    """

    def __init__(self, configuration: Configuration, namespaces: Sequence[str] = ()) -> None:
        """Begin with nothing.

        Args:
            configuration: see there.
            namespaces: the ones to watch; none for the whole cluster.

        """
        self._configuration = configuration
        self._namespaces = namespaces
        self._server = server.AdmissionServer(
            self.review, port=configuration.webhook_port, directory=Path(configuration.certificate_directory)
        )
        self._unfit: certificates.Served | None = None
        self._listens = False
        self._tasks: list[asyncio.Task[None]] = []
        self._cluster: Cluster
        self._watches: watching.Watches
        self._inventory: Inventory

    async def start(self) -> None:
        """Watch, and serve once there is a certificate. Raises OSError for a port that is taken."""
        self._cluster = await cluster.connect()
        await custom_resource.wait(self._cluster)
        self._watch()
        await self._fetch_certificate()
        await self._server.start()
        self._listens = True
        self._tasks.append(asyncio.create_task(self._follow_certificate(), name="certificate"))

    def _watch(self) -> None:
        collections: Store[DataCollection | UnreadableCollection] = Store()
        deployments: Store[Deployment] = Store()
        namespaces: Store[Namespace] = Store()
        self._inventory = Inventory(
            collections=collections,
            deployments=deployments,
            namespaces=namespaces,
            operator_namespace=self._configuration.namespace,
            webhook_name=self._configuration.webhook_name,
        )
        self._watches = watching.Watches(self._cluster, namespaces=self._namespaces)
        if not self._namespaces:
            # First: they decide which collections serve. Where some are given, there is no right to see any.
            self._watches.add(kinds.NAMESPACES, namespaces)
        self._watches.add(kinds.collections(self._configuration.cluster_name), collections)
        self._watches.add(kinds.DEPLOYMENTS, deployments)
        self._tasks.append(self._watches.start())
        metrics.WATCH_SILENCE.set_function(lambda: self._watches.silent[1])

    async def stop(self) -> None:
        """Serve and watch no more."""
        for task in self._tasks:
            task.cancel()
        await self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cluster.close()

    async def sick(self) -> str:
        """Say what beginning anew would mend. While it waits for the API server that is nothing."""
        dead = [task.get_name() for task in self._tasks if task.done()]
        if dead or not self._listens:
            return f"dead={dead}" if dead else ""
        try:
            connection = await asyncio.open_connection("localhost", self._configuration.webhook_port)
        except OSError as error:
            return f"the admission server does not listen: {error}"
        writer = connection[1]
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ""

    async def unready(self) -> str:
        """Say why pods would not be answered from a whole inventory; nothing if they would."""
        if not self._listens or not self._watches.whole:
            return "not everything has been listed yet, or there is no certificate"
        return ""

    async def review(self, body: bytes) -> bytes:
        """Answer an admission review. Whatever happens, the pod is allowed.

        Raises:
            server.NoReviewError: that is none.

        """
        uid, pod = _read(body)
        response: dict[str, Any] = {"uid": uid, "allowed": True}
        operations = await self._admit(pod, body)
        if operations:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(orjson.dumps(operations)).decode()
        return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})

    async def _admit(self, pod: workloads.Pod | Exception, body: bytes) -> list[dict[str, Any]]:
        """Say how a pod that is being created is to be changed."""
        started = time.perf_counter()
        try:
            if isinstance(pod, Exception):
                raise pod
            result, operations = await self._inject(pod, body)
            metrics.ADMISSIONS.labels(result).inc()
            return operations
        except Exception:
            # A model that isn't collected is a pity; a model that doesn't start is an outage.
            metrics.ADMISSIONS.labels("failed").inc()
            logger.exception("admitted unchanged seconds=%.3f", time.perf_counter() - started)
            return []
        finally:
            metrics.ADMISSION_SECONDS.observe(time.perf_counter() - started)

    async def _inject(self, pod: workloads.Pod, body: bytes) -> tuple[str, list[dict[str, Any]]]:
        """Decide if a collection serves the pod; return what becomes of it, as the metrics call it, and the changes."""
        if not self._watches.whole:
            logger.warning("admitted unchanged before everything was listed pod=%s", _named(pod))
            return "untouched", []
        if not self._configuration.serves(pod.key.namespace):
            return "untouched", []  # its Deployments aren't known, and no SAS will ever be there
        if self._inventory.serving(pod.key.namespace).empty:
            return "untouched", []
        deployment = await self._deployment_of(pod)
        choice = selection.choose(pod, deployment, self._inventory.serving(pod.key.namespace))
        collection = choice.collection
        if collection is None:
            if choice.candidate is not None or choice.message:
                logger.info("not injected pod=%s reason=%s", _named(pod), choice.reason)
            return "untouched", []
        plan = injection.plan(collection, pod)
        if isinstance(plan, injection.Refusal):
            logger.info("not injected pod=%s collection=%s reason=%s", _named(pod), collection.key, plan.reason)
            return "refused", []
        rotation = collection.status.credential.rotation_in(pod.key.namespace)
        settings = document.settings(collection, pod, deployment, rotation=rotation)
        # Only now: parsed, a pod may take many times its bytes, and while its Deployment was waited for, others came.
        # To parse it a second time is cheaper than any copy.
        before, manifest = _manifest(body), _manifest(body)
        if not injection.fits(manifest, settings):
            logger.warning(
                "not injected pod=%s collection=%s: its annotations are too long", _named(pod), collection.key
            )
            return "refused", []
        injection.inject(manifest, plan, settings)
        logger.info("injected pod=%s collection=%s hash=%s", _named(pod), collection.key, plan.hash)
        return "injected", patching.operations(before, manifest)

    async def _deployment_of(self, pod: workloads.Pod) -> Deployment | None:
        """Find the pod's Deployment, waiting a moment for one that was created just now."""
        until = time.monotonic() + DEPLOYMENT_GRACE
        while True:
            deployment = self._inventory.deployment_of(pod)
            if deployment is not None or pod.deployment_name is None or time.monotonic() > until:
                return deployment
            await asyncio.sleep(0.02)

    async def _fetch_certificate(self) -> None:
        """Wait until the controller has made the certificate."""
        said = False
        while not await self._refresh_certificate():
            if not said:
                logger.info("waiting for Secret %s", self._configuration.certificate.name)
                said = True
            await asyncio.sleep(CERTIFICATE_MISSING_SECONDS)

    async def _follow_certificate(self) -> None:
        while True:
            await asyncio.sleep(CERTIFICATE_CHECK_SECONDS)
            await self._refresh_certificate()

    async def _refresh_certificate(self) -> bool:
        """Serve with the Secret's certificate; True if there is one that can be served with."""
        try:
            secret = await self._cluster.get_secret(self._configuration.certificate)
        except FAILURES as error:
            logger.warning("Secret %s not read: %s", self._configuration.certificate.name, error)
            return False
        present = certificates.served(secret)
        if present is None:
            return False
        try:
            if self._server.show(present):
                logger.info("webhook certificate loaded")
                metrics.show_expiry(self._configuration.certificate.name, present.expires)
        except server.BadCertificateError as error:
            if present != self._unfit:
                logger.error("Secret %s not served with: %s", self._configuration.certificate.name, error)
            self._unfit = present
            return False
        return True


def _read(body: bytes) -> tuple[Any, workloads.Pod | Exception]:
    """Read the number of a review, and what is decided on of its pod, or why that can't be read.

    Raises:
        server.NoReviewError: that is none.

    """
    try:
        request = _parsed(body)["request"]
        uid, manifest, namespace = request["uid"], request.get("object"), request.get("namespace")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise server.NoReviewError(f"{type(error).__name__}: {error}") from None
    try:
        return uid, workloads.pod(manifest, namespace=namespace)
    except Exception as error:
        return uid, error


def _parsed(body: bytes) -> Any:
    """Parse a body. The garbage collector waits meanwhile.

    It would look through the million lists that a hostile one holds again and again as they are made, and everybody
    else would wait for twice as long.
    """
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        gc.enable()


def _manifest(body: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = _parsed(body)["request"]["object"]
    return manifest


def _named(pod: workloads.Pod) -> str:
    return f"{pod.key.namespace}/{pod.key.name or pod.generate_name + '*'}"
