"""Waiting for the CustomResourceDefinition: until it is there, a list of its objects says no more than 404."""

import asyncio
import logging

import aiohttp

from ..api import names
from .cluster import ApiError, Cluster

logger = logging.getLogger(__name__)


async def wait(cluster: Cluster) -> None:
    """Return once the CRD is established, however long that takes."""
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
