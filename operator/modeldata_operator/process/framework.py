"""How kopf is used, the one place where it is, with the reasons for its settings.

It runs a process: start, end, signals. It watches nothing (kube/watching.py says why), admits nothing
(webhook/server.py says why), answers no probe (health.py says why) and elects nobody: its peering is no Lease.
"""

import asyncio
import logging
from typing import Any, Protocol

import kopf

logger = logging.getLogger(__name__)


class Role(Protocol):
    """What a process does between its start and its end."""

    async def start(self) -> None:
        """Begin. Raises OSError for what another try would not mend, such as a port that is taken."""

    async def stop(self) -> None:
        """End."""


async def run(role: Role, *, name: str, stop: asyncio.Event) -> None:
    """Run a role until it is told to stop, by a signal or by the event."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    _configure(settings)
    register(role, registry, stop)
    # Kopf would ask for the user's name, and a container's user often has none.
    identity: Any = name
    await kopf.operator(
        identity=identity,
        registry=registry,
        settings=settings,
        clusterwide=True,
        stop_flag=stop,
    )


def register(role: Role, registry: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    """Have a role's whole life be what kopf does at its start, which it never leaves.

    Kopf would then ask the API server which kinds there are, though nothing needs it; and where that is refused, as
    while an API server that starts knows no roles yet, it ends the process.
    """

    async def live(**_: Any) -> None:
        try:
            await role.start()
            await asyncio.Event().wait()  # until it is cancelled
        except OSError as error:
            raise kopf.PermanentError(str(error)) from None  # kopf would try the whole start again in a minute
        finally:
            logger.info("ending")
            await role.stop()
            stop.set()  # kopf would wait five seconds for the task of its own that waits for it

    kopf.on.startup(registry=registry)(live)


def _configure(settings: kopf.OperatorSettings) -> None:
    """Set up kopf for a process that keeps nothing of its own in the cluster."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = 20.0
