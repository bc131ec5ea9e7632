"""Starts one of the operator's two processes: `python -m modeldata_operator webhook|controller`."""

import asyncio
import logging
import os
import sys
from typing import Any

import kopf

from . import configuration, framework
from .controller import Controller
from .webhook import Webhook

USAGE = "usage: python -m modeldata_operator webhook|controller"


async def run(role: str, config: configuration.Configuration) -> None:
    """Run a process until it is told to stop."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    framework.configure(settings)
    framework.log_in(registry)
    if role == "webhook":
        webhook = Webhook(config)
        webhook.register(registry)
        webhook.serve(settings)
    else:
        Controller(config).register(registry)
    # Kopf would ask for the user's name, and a container's user often has none.
    identity: Any = f"modeldata-operator-{role}"
    await kopf.operator(
        identity=identity,
        registry=registry,
        settings=settings,
        clusterwide=not config.watched,
        namespaces=config.watched,
        liveness_endpoint=f"http://0.0.0.0:{config.health_port}/healthz",
    )


def main() -> None:
    """Read the role and the environment."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role not in ("webhook", "controller"):
        raise SystemExit(USAGE)
    config = configuration.from_environment(os.environ)
    logging.basicConfig(level=config.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    for chatty in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # What the SDK warns about is told by a condition, in words that a user understands.
    logging.getLogger("azure").setLevel(logging.ERROR)
    asyncio.run(run(role, config))


if __name__ == "__main__":
    main()
