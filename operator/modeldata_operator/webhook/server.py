"""The HTTPS server of the webhook: one path, and a certificate that changes without a connection lost."""

import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from .. import listening
from ..trust.certificates import Served

logger = logging.getLogger(__name__)

PATH = "/inject"

MAX_BYTES = 8 * 1024 * 1024
"""Of a review. The API server takes up to 3 MiB of a pod, and a review may carry it twice."""

KEEP_ALIVE = 600.0
"""Seconds. The API server closes its idle connections after 90: were we the first, a review could meet the closing, and
its pod would start without collection. Said here because aiohttp's own default is not the same in all its releases."""


class BadCertificateError(Exception):
    """A certificate that can't be served with: unreadable, with another's key, or with one under a password."""


class NoReviewError(Exception):
    """A request with something else in it than an admission review."""


class AdmissionServer:
    """Serves admission reviews under TLS.

    Kopf has a server of its own. With each new certificate it closes its connections and starts anew, and the pods of
    that moment would not be collected; a certificate that it can't load ends it.
    """

    def __init__(self, answer: Callable[[bytes], Awaitable[bytes]], *, port: int, directory: Path) -> None:
        """Set it up.

        Args:
            answer: makes the body of an answer from that of a request; raises NoReviewError.
            port: where to listen, at all addresses: the API server comes from outside the pod.
            directory: where certificate and key are laid for OpenSSL, which reads them from files only.

        """
        self._answer = answer
        self._port = port
        self._directory = directory
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._shown: Served | None = None
        application = web.Application(client_max_size=MAX_BYTES)
        application.router.add_post(PATH, self._serve)
        self._runner = web.AppRunner(application, handle_signals=False, access_log=None, keepalive_timeout=KEEP_ALIVE)

    def show(self, certificate: Served) -> bool:
        """Serve with a certificate from the next connection on; False if it is the present one.

        Raises:
            BadCertificateError: it can't be; the one before stays.

        """
        if certificate == self._shown:
            return False
        files = self._directory / "tls.crt", self._directory / "tls.key"
        for file, content in zip(files, (certificate.certificate, certificate.key), strict=True):
            _write_private(file, content)
        try:
            # Tried aside: a context that took a certificate, and then not its key, has neither. Without a password
            # OpenSSL would ask the terminal for that of a key, and wait.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*files, password="")
            self._context.load_cert_chain(*files, password="")
        except ssl.SSLError as error:
            raise BadCertificateError(str(error)) from None
        self._shown = certificate
        return True

    async def start(self) -> None:
        """Listen. Show a certificate first."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening.everywhere(self._port), ssl_context=self._context).start()

    async def close(self) -> None:
        """Answer what is under way, and end."""
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            return web.Response(body=await self._answer(await request.read()), content_type="application/json")
        except NoReviewError as error:
            logger.warning("no admission review: %s", error)
            raise web.HTTPBadRequest(text=f"no admission review: {error}") from None


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
