"""How kopf is used, in both processes alike, with the reasons for its settings.

It runs the process: start, end, probes, admission. It watches nothing: watching.py says why.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import kopf

from . import names, watching
from .cluster import ApiError, Cluster

logger = logging.getLogger(__name__)


class JitteredBackoffs:
    """Delays between tries, without end: an API server that is away for an hour must not end the process."""

    def __iter__(self) -> Iterator[float]:
        """Yield the watches' delays."""
        return watching.delays()


def configure(settings: kopf.OperatorSettings) -> None:
    """Set up kopf for a process that keeps nothing of its own in the cluster."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    # Custom resources and namespaces need not be watched: the CRD is waited for at the start.
    settings.scanning.disabled = True
    settings.networking.error_backoffs = JitteredBackoffs()
    settings.networking.request_timeout = 60.0
    settings.networking.connect_timeout = 10.0
    settings.process.ultimate_exiting_timeout = 20.0


def log_in(registry: kopf.OperatorRegistry) -> None:
    """Log in by the pod's account, else by the kubeconfig, and not through a client library imported for that."""
    kopf.on.login(registry=registry, id="service-account")(_service_account)
    kopf.on.login(registry=registry, id="kubeconfig")(_kubeconfig)


async def await_custom_resource(cluster: Cluster) -> None:
    """Wait for the CRD: until it is there, a list of its objects says no more than 404."""
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
