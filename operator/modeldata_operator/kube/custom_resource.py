"""Waiting for the CustomResourceDefinition: until it is there, a list of its objects says no more than 404."""

import asyncio
import logging

from ..api import names
from .cluster import Cluster
from .failures import FAILURES

logger = logging.getLogger(__name__)


async def wait(cluster: Cluster, plural: str = names.PLURAL, *, every: float = 1.0) -> None:
    """Return once a CRD is established, however long that takes; it is looked for again after so many seconds."""
    said = False
    while True:
        try:
            if await cluster.has_custom_resource(plural):
                return
            problem: object = "the CustomResourceDefinition is not installed"
        except FAILURES as error:
            problem = error
        if not said:
            logger.warning("waiting for %s.%s: %s", plural, names.GROUP, problem)
            said = True
        await asyncio.sleep(every)
