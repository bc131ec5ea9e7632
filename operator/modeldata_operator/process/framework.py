"""How kopf is used, the one place where it is, with the reasons for its settings.

It runs a process: login, start, end, signals. It watches nothing (kube/watching.py says why), admits nothing
(webhook/server.py says why), answers no probe (health.py says why) and elects nobody: its peering is no Lease.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

import kopf

from ..kube import watching
from .health import HealthServer


class Role(Protocol):
    """What a process does between its start and its end."""

    async def start(self) -> None:
        """Begin. Raises OSError for what another try would not mend, such as a port that is taken."""

    async def stop(self) -> None:
        """End."""

    async def sick(self) -> str:
        """Say why /healthz is to fail; nothing if all is well."""


class JitteredBackoffs:
    """Delays between tries, without end: an API server that is away for an hour must not end the process."""

    def __iter__(self) -> Iterator[float]:
        """Yield the watches' delays."""
        return watching.delays()


async def run(role: Role, *, name: str, stop: asyncio.Event, health_port: int) -> None:
    """Run a role until it is told to stop, by a signal or by the event."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    _configure(settings)
    kopf.on.login(registry=registry, id="service-account")(_service_account)
    kopf.on.login(registry=registry, id="kubeconfig")(_kubeconfig)
    register(role, registry, stop, HealthServer(role.sick, port=health_port))
    # Kopf would ask for the user's name, and a container's user often has none.
    identity: Any = name
    await kopf.operator(
        identity=identity,
        registry=registry,
        settings=settings,
        clusterwide=True,
        stop_flag=stop,
    )


def register(role: Role, registry: kopf.OperatorRegistry, stop: asyncio.Event, health: HealthServer) -> None:
    """Register the handlers. None is of objects: nothing is ever stored on anyone's."""

    async def start(**_: Any) -> None:
        try:
            await role.start()
            await health.start()
        except OSError as error:
            raise kopf.PermanentError(str(error)) from None  # kopf would try the whole start again in a minute

    async def end(**_: Any) -> None:
        await health.close()
        await role.stop()
        stop.set()  # kopf would wait five seconds for the task of its own that waits for it

    kopf.on.startup(registry=registry)(start)
    kopf.on.cleanup(registry=registry)(end)


def _configure(settings: kopf.OperatorSettings) -> None:
    """Set up kopf for a process that keeps nothing of its own in the cluster."""
    settings.peering.standalone = True
    settings.posting.enabled = False
    # Custom resources and namespaces need not be watched: the CRD is waited for at the start.
    settings.scanning.disabled = True
    settings.networking.error_backoffs = JitteredBackoffs()
    settings.networking.request_timeout = 60.0
    settings.networking.connect_timeout = 10.0
    settings.process.ultimate_exiting_timeout = 20.0


async def _service_account(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in by the pod's account, and not through a client library imported for that."""
    return kopf.login_with_service_account(**kwargs)


async def _kubeconfig(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**kwargs)
