"""Which of the given namespaces can be watched: one that is gone, or lacks its Role, must not keep others waiting."""

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence

from .cluster import Cluster
from .failures import FAILURES

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Seconds between two questions to an API server that does not answer."""


async def watchable(cluster: Cluster, namespaces: Iterable[str]) -> tuple[str, ...]:
    """List the namespaces that this account may watch, once the API server answers.

    Nothing is decided before everything was listed, so a single namespace that was deleted would stop the collection in
    all of them, at the next start of the process.
    """
    found = []
    for namespace in namespaces:
        if await _may_list(cluster, namespace):
            found.append(namespace)
        else:
            logger.error(
                "namespace %s is left out: this account may not list its DataCollections; create there the Roles and "
                "RoleBindings of manifests/namespaced, or take it out of MODELDATA_NAMESPACES",
                namespace,
            )
    return tuple(found)


async def until_watchable(cluster: Cluster, left_out: Sequence[str], stop: asyncio.Event, *, every: float) -> None:
    """Stop the process when a namespace that was left out can be watched: its next start takes it in.

    It looks about ``every`` so many seconds, so that the webhook's replicas hardly ever stop at the same moment.
    """
    while left_out:
        await asyncio.sleep(every * random.uniform(0.5, 1.5))
        for namespace in left_out:
            if await _may_list(cluster, namespace):
                logger.info("namespace %s can be watched now: starting anew with it", namespace)
                stop.set()
                return


async def _may_list(cluster: Cluster, namespace: str) -> bool:
    said = False
    while True:
        try:
            return await cluster.may_list_collections(namespace)
        except FAILURES as error:
            if not said:
                logger.warning("waiting for the API server: %s", error)
                said = True
        await asyncio.sleep(RETRY_SECONDS)
