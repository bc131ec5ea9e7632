"""Taking the operator out of a cluster: models go on serving, uncollected, and nothing of it stays behind.

Run once, before what was installed is deleted: ``python -m modeldata_operator retire``. It can be run again; what is
gone already is passed over. Needs the rights of the controller, and to delete what it stops: see docs/security.md.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable

from ..access import withdrawing
from ..api import names
from ..api.keys import ObjectKey
from ..api.resources import DataCollection, UnreadableCollection
from ..api.workloads import Pod
from ..configuration import Configuration
from ..controller import closing
from ..controller.pushing import Pusher
from ..kube import cluster, kinds, store, watching
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, ApiError, said
from ..kube.store import Store

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
CALLS_AT_ONCE = 64
"""As many as the controller's: see there."""

WAITS = (1.0, 3.0, 10.0)
"""Seconds before another try of what was not answered for, or may be let through a moment later."""

DELIVERY_SECONDS = 15.0
"""Between switching off and deleting the SAS Secrets: three times the default flush interval. A client that ships goes
on with the SAS that it has read, so this is for those that have yet to begin."""


async def retire(config: Configuration) -> list[str]:
    """Stop injecting, stop the controllers, end Jobs, switch every pod off, delete the SAS Secrets.

    Returns:
        What was refused, with the API server's words. One refusal keeps nothing else from being done, but for the
        controller's end: it would switch on again what is switched off.

    """
    api, refused = await cluster.connect(), list[str]()
    try:
        # First what would inject new pods, then what would switch them on again.
        webhook = config.webhook_configuration
        if await _done(f"delete {webhook}", lambda: api.delete_webhook_configuration(webhook), refused):
            logger.info("no new pod is injected")
        controller = config.controller
        if not await _done(f"delete Deployment {controller}", lambda: api.delete_deployment(controller), refused):
            refused.append("switch pods off, and delete Secrets: not tried, as the controller would undo it")
            return refused
        while not await _ended(api, controller):  # noqa: ASYNC110 (the API server sets no event)
            await asyncio.sleep(POLL_SECONDS)
        logger.info("the controllers have ended")
        if config.closing is not None:
            await _done("end the Jobs that close days", lambda: _end_jobs(api, config), refused)
        collections, pods = await _look(api, config)
        if await _switch_off(api, pods, refused):
            await asyncio.sleep(DELIVERY_SECONDS)
        for collection in collections:
            await _withdraw(api, config, collection, refused)
        await _done("delete the webhook's certificate", lambda: _delete_certificate(api, config), refused)
        await _done(f"delete Lease {controller}", lambda: api.delete_lease(controller), refused)
    finally:
        await api.close()
    return refused


async def _done(what: str, act: Callable[[], Awaitable[object]], refused: list[str]) -> bool:
    """Do one thing, some times if need be; what can't be done is listed."""
    for wait in (*WAITS, None):
        try:
            await act()
        except FAILURES as error:
            if wait is None or (isinstance(error, ApiError) and error.refused):
                logger.warning("refused: %s: %s", what, said(error))
                refused.append(f"{what}: {said(error)}")
                return False
            await asyncio.sleep(max(wait, error.retry_after if isinstance(error, ApiError) else 0.0))
        else:
            return True
    return False


async def _ended(api: Cluster, controller: ObjectKey) -> bool:
    try:
        return await api.get_deployment(controller) is None
    except FAILURES as error:
        logger.warning("whether the controller has ended is not known: %s", said(error))
        return False


async def _withdraw(
    api: Cluster, config: Configuration, collection: DataCollection | UnreadableCollection, refused: list[str]
) -> None:
    namespaces = {collection.key.namespace}
    if collection.key == ObjectKey(config.namespace, names.DEFAULT_COLLECTION):
        # Only there the status is written by nobody who could mean others' Secrets.
        namespaces.update(collection.status.credential.namespaces)

    async def withdraw() -> None:
        left = await withdrawing.withdraw(api, collection.key, namespaces)
        namespaces.clear()
        namespaces.update(namespace for namespace, each in left.items() if not each.nothing_written)
        for namespace in sorted(namespaces):
            raise left[namespace].error

    if not await _done(f"delete the SAS Secrets of {collection.key}", withdraw, refused):
        refused[-1] += f" (in {', '.join(sorted(namespaces))})"


async def _look(api: Cluster, config: Configuration) -> tuple[list[DataCollection | UnreadableCollection], list[Pod]]:
    """Read all collections, and the pods that are collected."""
    collections: Store[DataCollection | UnreadableCollection] = Store()
    pods: Store[Pod] = Store()
    namespaces = {*config.namespaces, config.namespace} if config.namespaces else ()
    watches = watching.Watches(api, namespaces=sorted(namespaces))
    watches.add(kinds.collections(), collections)
    watches.add(kinds.PODS, pods)
    task = watches.start()
    try:
        await watches.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    collected = [pod for pod in _records(pods) if pod.injection is not None and pod.injection.enabled and not pod.gone]
    return list(_records(collections)), collected


async def _end_jobs(api: Cluster, config: Configuration) -> None:
    """Delete the Jobs that close days, with their pods and their SAS."""
    for job in await closing.listed(api, config.namespace):
        await api.delete_job(ObjectKey(config.namespace, job.name), job.uid, with_pods=True)


async def _delete_certificate(api: Cluster, config: Configuration) -> None:
    """Delete the webhook's certificate if the controller made it."""
    secret = await api.get_secret(config.certificate)
    if secret is None:
        return
    metadata = secret["metadata"]
    if (metadata.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.FIELD_MANAGER:
        await api.delete_secret(config.certificate, metadata["resourceVersion"])


def _records(store: Store[store.R]) -> Iterable[store.R]:
    for namespace in list(store.namespaces()):
        yield from store.of(namespace)


async def _switch_off(api: Cluster, pods: Iterable[Pod], refused: list[str]) -> int:
    """Tell pods to stop collecting; return how many took it."""
    pusher, left, taken = Pusher(api), iter(list(pods)), list[Pod]()

    async def switch_off(pod: Pod) -> None:
        assert pod.injection is not None
        if await pusher.switch_off(pod, pod.injection.collection):
            taken.append(pod)
            return
        body = await api.get_pod(pod.key)
        if body is not None and body["metadata"]["uid"] == pod.uid:
            raise ApiError(409, "somebody else changes it all the time")

    async def switch_some_off() -> None:
        for pod in left:
            await _done(f"switch off pod {pod.key}", functools.partial(switch_off, pod), refused)

    await asyncio.gather(*(switch_some_off() for _ in range(CALLS_AT_ONCE)))
    await pusher.finish()
    logger.info("switched off pods=%d", len(taken))
    return len(taken)
