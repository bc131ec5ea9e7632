"""Starts one of the operator's two processes, or takes it out of the cluster; see USAGE."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import kopf
from kubernetes.aio.client.api_client import ApiClient

from . import cluster, configuration, framework, metrics, reach, retirement
from .controller import Controller
from .webhook import Webhook

USAGE = "usage: python -m modeldata_operator webhook|controller|retire"


async def run(role: str, config: configuration.Configuration) -> None:
    """Run a process until it is told to stop."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    framework.configure(settings)
    framework.log_in(registry)
    # Kopf would ask for the user's name, and a container's user often has none.
    identity: Any = f"modeldata-operator-{role}"
    async with _namespaces(config) as (namespaces, stop):
        if role == "webhook":
            Webhook(config, namespaces).register(registry)
        else:
            Controller(config, namespaces).register(registry)

        async def end(**_: Any) -> None:
            stop.set()  # kopf would wait five seconds for the task of its own that waits for it

        kopf.on.cleanup(registry=registry)(end)
        await kopf.operator(
            identity=identity,
            registry=registry,
            settings=settings,
            clusterwide=True,
            stop_flag=stop,
            liveness_endpoint=f"http://0.0.0.0:{config.health_port}/healthz",
        )


@contextlib.asynccontextmanager
async def _namespaces(config: configuration.Configuration) -> AsyncIterator[tuple[tuple[str, ...], asyncio.Event]]:
    """Find the namespaces to watch, none for the whole cluster, and what says that there is another one."""
    stop = asyncio.Event()
    if not config.namespaces:
        yield (), stop
        return
    await cluster.load_configuration()
    api = cluster.Cluster(ApiClient())
    # Its own goes without asking: nothing works without it.
    found = {*await reach.watchable(api, config.namespaces), config.namespace}
    left_out = sorted(set(config.namespaces) - found)
    task = asyncio.create_task(reach.until_watchable(api, left_out, stop, every=config.resync), name="namespaces")
    try:
        yield tuple(sorted(found)), stop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()


class OneLine(logging.Formatter):
    """A line for each message: what an API server or somebody's webhook says of itself may have several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802 (logging's)
        return super().formatMessage(record).replace("\r", "").replace("\n", "\\n")


def _said_by_its_probe(record: logging.LogRecord) -> bool:
    """Leave out aiohttp's traceback of a probe that failed: kopf has logged the reason, in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != "ActivityError"  # kopf's, which it does not export


def main() -> None:
    """Read the role and the environment."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role not in ("webhook", "controller", "retire"):
        raise SystemExit(USAGE)
    config = configuration.from_environment(os.environ)
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=config.log_level, handlers=[handler], force=True)
    for chatty in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_said_by_its_probe)
    # What the SDK warns about is told by a condition, in words that a user understands.
    logging.getLogger("azure").setLevel(logging.ERROR)
    if role == "retire":
        asyncio.run(retirement.retire(config))
        return
    metrics.serve(config.metrics_port)
    asyncio.run(run(role, config))


if __name__ == "__main__":
    main()
