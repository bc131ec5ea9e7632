"""/healthz: what the kubelet asks a process for."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from .. import listening

logger = logging.getLogger(__name__)


class HealthServer:
    """Answers probes with 200, or with 500 and what is wrong.

    Kopf has one as well. It listens at the addresses of one family, so never at all of a dual-stack pod.
    """

    def __init__(self, sick: Callable[[], Awaitable[str]], *, port: int) -> None:
        """Set it up.

        Args:
            sick: says what is wrong; nothing if all is well.
            port: where to listen.

        """
        self._sick = sick
        self._port = port
        self._said = ""
        application = web.Application()
        application.router.add_get("/healthz", self._answer)
        self._runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Listen. Raises OSError for a port that is taken."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening.everywhere(self._port)).start()

    async def close(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        problem = await self._sick()
        if problem and problem != self._said:
            logger.warning("not healthy: %s", problem)  # once, and not every few seconds until it is mended
        self._said = problem
        return web.Response(text=problem or "well", status=500 if problem else 200)
