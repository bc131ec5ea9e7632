"""One of the operator's two processes, from its start to its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ..configuration import Configuration
from ..controller.replica import Controller
from ..kube import cluster, namespaces
from ..webhook.review import Webhook
from . import framework
from .health import HealthServer


async def run(name: str, config: Configuration) -> None:
    """Run a process until it is told to stop. A port for probes that is taken ends it with the reason."""
    health = HealthServer(port=config.health_port)
    try:
        await health.start()
    except OSError as error:
        raise SystemExit(f"MODELDATA_HEALTH_PORT {config.health_port}: {error}") from None
    try:
        async with _namespaces(config) as (watched, stop):
            role = Webhook(config, watched) if name == "webhook" else Controller(config, watched)
            health.of(role)
            await framework.run(role, name=f"modeldata-operator-{name}", stop=stop)
    finally:
        await health.close()


@contextlib.asynccontextmanager
async def _namespaces(config: Configuration) -> AsyncIterator[tuple[tuple[str, ...], asyncio.Event]]:
    """Find the namespaces to watch, none for the whole cluster, and what says that there is another one."""
    stop = asyncio.Event()
    if not config.namespaces:
        yield (), stop
        return
    api = await cluster.connect()
    # Its own goes without asking: nothing works without it.
    found = {*await namespaces.watchable(api, config.namespaces), config.namespace}
    left_out = sorted(set(config.namespaces) - found)
    task = asyncio.create_task(namespaces.until_watchable(api, left_out, stop, every=config.resync), name="namespaces")
    try:
        yield tuple(sorted(found)), stop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()
