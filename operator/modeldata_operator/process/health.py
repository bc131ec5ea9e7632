"""What the kubelet's probes ask: /healthz, whether a new process would be better, and /readyz, whether it can work.

Kopf has one address for both, and none before the start is over. An API server that is away at the start would then
have the process killed every few minutes, and a new one knows no more.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from .. import listening

logger = logging.getLogger(__name__)


class Patient(Protocol):
    """Who knows how it is."""

    async def sick(self) -> str:
        """Say why /healthz is to fail; nothing if all is well."""

    async def unready(self) -> str:
        """Say why /readyz is to fail; nothing if it can do its work."""


class HealthServer:
    """Answers probes with 200, or with 500 and what is wrong, from the first moment on.

    Kopf's listens at the addresses of one family, so never at all of a dual-stack pod.
    """

    def __init__(self, *, port: int) -> None:
        self._port = port
        self._patient: Patient | None = None
        application = web.Application()
        application.router.add_get("/healthz", _answering(self._sick, "not healthy"))
        application.router.add_get("/readyz", _answering(self._unready, "not ready"))
        self._runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)

    def of(self, patient: Patient) -> None:
        """Answer for somebody, who has begun only now."""
        self._patient = patient

    async def start(self) -> None:
        """Listen. Raises OSError for a port that is taken."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening.everywhere(self._port)).start()

    async def close(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    async def _sick(self) -> str:
        return "" if self._patient is None else await self._patient.sick()

    async def _unready(self) -> str:
        return "it has not begun" if self._patient is None else (await self._sick() or await self._patient.unready())


def _answering(look: Callable[[], Awaitable[str]], what: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    failing = False

    async def answer(_: web.Request) -> web.Response:
        nonlocal failing
        problem = await look()
        if problem and not failing:
            logger.warning("%s: %s", what, problem)  # once, and not every few seconds until it is mended
        failing = bool(problem)
        return web.Response(text=problem or "well", status=500 if problem else 200)

    return answer
