"""Taking the operator out of a cluster: models go on serving, uncollected, and nothing of it stays behind.

Run once, before what was installed is deleted: ``python -m modeldata_operator retire``. It can be run again; what is
gone already is passed over. Needs the rights of the controller, and to delete what it stops: see docs/security.md.
"""

import asyncio
import logging
from collections.abc import Iterable

from kubernetes.aio.client.api_client import ApiClient

from ..access import minting
from ..api import names
from ..api.keys import ObjectKey
from ..api.resources import DataCollection, UnreadableCollection
from ..api.workloads import Pod
from ..configuration import Configuration
from ..controller.pushing import Pusher
from ..kube import cluster, watching
from ..kube.cluster import ApiError, Cluster
from ..kube.watching import Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
PATCHES_AT_ONCE = 32
"""As many as the controller's: see there."""

DELIVERY_SECONDS = 15.0
"""Between switching off and deleting the SAS Secrets: three times the default flush interval. A client that ships goes
on with the SAS that it has read, so this is for those that have yet to begin."""


async def retire(config: Configuration) -> None:
    """Stop injecting, stop the controllers, switch every pod off, delete the SAS Secrets.

    Raises:
        ApiError: something was refused; what was done before stays done.

    """
    await cluster.load_configuration()
    api = Cluster(ApiClient())
    try:
        # First what would inject new pods, then what would switch them on again.
        await api.delete_webhook_configuration(config.webhook_configuration)
        logger.info("no new pod is injected")
        controller = config.controller
        await api.delete_deployment(controller)
        while await api.get_deployment(controller) is not None:  # noqa: ASYNC110 (the API server sets no event)
            await asyncio.sleep(POLL_SECONDS)
        logger.info("the controllers have ended")
        collections, pods = await _look(api, config)
        if await _switch_off(api, pods):
            await asyncio.sleep(DELIVERY_SECONDS)
        for collection in collections:
            namespaces = {collection.key.namespace}
            if collection.key == ObjectKey(config.namespace, names.DEFAULT_COLLECTION):
                # Only there the status is written by nobody who could mean others' Secrets.
                namespaces.update(collection.status.credential.namespaces)
            for error in (await minting.withdraw(api, collection.key, namespaces)).values():
                # Where this account has no right on Secrets, the controller had none either, and made none.
                if not (isinstance(error, ApiError) and error.status == 403):
                    raise error
        await _delete_certificate(api, config)
        await api.delete_lease(controller)
    finally:
        await api.close()


async def _look(api: Cluster, config: Configuration) -> tuple[list[DataCollection | UnreadableCollection], list[Pod]]:
    """Read all collections, and the pods that are collected."""
    collections: Store[DataCollection | UnreadableCollection] = Store()
    pods: Store[Pod] = Store()
    namespaces = {*config.namespaces, config.namespace} if config.namespaces else ()
    watches = watching.Watches(api, namespaces=sorted(namespaces))
    watches.add(watching.collections(), collections)
    watches.add(watching.PODS, pods)
    task = watches.start()
    try:
        await watches.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    collected = [pod for pod in _records(pods) if pod.injection is not None and pod.injection.enabled and not pod.gone]
    return list(_records(collections)), collected


async def _delete_certificate(api: Cluster, config: Configuration) -> None:
    """Delete the webhook's certificate if the controller made it."""
    secret = await api.get_secret(config.certificate)
    if secret is None:
        return
    metadata = secret["metadata"]
    if (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.FIELD_MANAGER:
        await api.delete_secret(config.certificate, metadata["resourceVersion"])


def _records(store: Store[watching.R]) -> Iterable[watching.R]:
    for namespace in list(store.namespaces()):
        yield from store.of(namespace)


async def _switch_off(api: Cluster, pods: Iterable[Pod]) -> int:
    """Tell pods to stop collecting; return how many took it."""
    pusher, slots = Pusher(api), asyncio.Semaphore(PATCHES_AT_ONCE)

    async def switch_off(pod: Pod) -> bool:
        assert pod.injection is not None
        async with slots:
            return await pusher.switch_off(pod, pod.injection.collection)

    taken = sum(await asyncio.gather(*map(switch_off, pods)))
    await pusher.finish()
    logger.info("switched off pods=%d", taken)
    return taken
