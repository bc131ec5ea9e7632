"""How kopf is used, in both processes alike: selectors, indexes, and settings with their reasons."""

import asyncio
import logging
import random
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import kopf

from . import fields, names, resources, workloads
from .cluster import ApiError, Cluster
from .inventory import Inventory
from .resources import DataCollection, ObjectKey, UnreadableCollection
from .workloads import Deployment, Pod

logger = logging.getLogger(__name__)

# With their groups: a bare "deployments" may be another resource tomorrow.
COLLECTIONS = (names.GROUP, names.VERSION, names.PLURAL)
DEPLOYMENTS = ("apps", "v1", "deployments")
PODS = ("", "v1", "pods")


class JitteredBackoffs:
    """Delays between tries, without end: an API server that is away for an hour must not end the process."""

    def __iter__(self) -> Iterator[float]:
        """Yield delays of about a second, growing to about twenty."""
        delay = 1.0
        while True:
            yield delay * random.uniform(0.7, 1.3)
            delay = min(delay * 1.6, 20.0)


class NoDifferences(kopf.DiffBaseStorage):
    """Spares kopf the copy of every object of every event that it would compare with the one before.

    Only change handlers use it, and there are none; it was the largest part of the time an event took.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Say nothing of an object."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Know no earlier state."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing on anyone's object."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Set up kopf for a process that only watches."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NoDifferences()
    # Custom resources and namespaces need not be watched: the CRD is waited for at the start.
    settings.scanning.disabled = True
    settings.networking.error_backoffs = JitteredBackoffs()
    settings.networking.request_timeout = 60.0
    settings.networking.connect_timeout = 10.0
    # Some load balancers before API servers silently drop connections idle for four minutes.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 250
    settings.watching.connect_timeout = 10.0
    settings.watching.inactivity_timeout = 70.0
    # Paged and not streamed: streaming lists is refused by API servers before 1.34.
    settings.watching.chunk_size = 500
    # A finished pod collects nothing; clusters keep thousands of them.
    settings.watching.field_selectors[PODS] = "status.phase!=Succeeded,status.phase!=Failed"
    settings.process.ultimate_exiting_timeout = 20.0


def log_in(registry: kopf.OperatorRegistry) -> None:
    """Log in by the pod's account, else by the kubeconfig, and not through a client library imported for that."""
    kopf.on.login(registry=registry, id="service-account")(_service_account)
    kopf.on.login(registry=registry, id="kubeconfig")(_kubeconfig)


def index_collections(registry: kopf.OperatorRegistry) -> None:
    """Index DataCollections by key and by namespace."""
    kopf.index(*COLLECTIONS, registry=registry, id="collections")(_collection_by_key)
    kopf.index(*COLLECTIONS, registry=registry, id="collections_by_namespace")(_collection_by_namespace)


def index_deployments(registry: kopf.OperatorRegistry) -> None:
    """Index Deployments by key."""
    kopf.index(*DEPLOYMENTS, registry=registry, id="deployments")(_deployment_by_key)


def index_pods(registry: kopf.OperatorRegistry) -> None:
    """Index pods by namespace."""
    kopf.index(*PODS, registry=registry, id="pods")(_pod_by_namespace)


def inventory(indexes: Mapping[str, Any], *, operator_namespace: str) -> Inventory:
    """Make the inventory of the indexes that ``index_collections`` and ``index_deployments`` registered."""
    return Inventory(
        collections=indexes["collections"],
        collections_by_namespace=indexes["collections_by_namespace"],
        deployments=indexes["deployments"],
        operator_namespace=operator_namespace,
    )


async def await_custom_resource(cluster: Cluster) -> None:
    """Wait for the CRD: what kopf does not find at its start it never watches."""
    said = False
    while True:
        try:
            if await cluster.has_custom_resource():
                return
            problem: object = "the CustomResourceDefinition is not installed"
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            problem = error
        if not said:
            logger.warning("waiting for %s.%s: %s", names.PLURAL, names.GROUP, problem)
            said = True
        await asyncio.sleep(1.0)


async def _service_account(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs)


async def _kubeconfig(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**kwargs)


async def _collection_by_key(
    *, body: Mapping[str, Any], **_: Any
) -> dict[ObjectKey, DataCollection | UnreadableCollection]:
    collection = resources.collection(body)
    return {collection.key: collection}


async def _collection_by_namespace(
    *, body: Mapping[str, Any], **_: Any
) -> dict[str, DataCollection | UnreadableCollection]:
    collection = resources.collection(body)
    return {collection.key.namespace: collection}


async def _deployment_by_key(*, body: Mapping[str, Any], **_: Any) -> dict[ObjectKey, Deployment]:
    try:
        deployment = workloads.deployment(body)
    except fields.ResourceError as error:
        logger.warning("deployment ignored: %s", error)
        return {}
    return {deployment.key: deployment}


async def _pod_by_namespace(*, body: Mapping[str, Any], **_: Any) -> dict[str, Pod]:
    pod = workloads.pod(body)
    return {pod.key.namespace: pod}
