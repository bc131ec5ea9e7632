"""The HTTPS server of the webhook: one path, and a certificate that changes without a connection lost."""

import asyncio
import logging
import os
import socket
import ssl
import time
import typing
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from .. import listening
from ..observe import metrics
from ..trust.certificates import Served
from .room import MAX_BYTES, Room

logger = logging.getLogger(__name__)

PATH = "/inject"

HANDSHAKE_SECONDS = 5.0
BODY_SECONDS = 10.0
"""For the whole of a review: the API server waits five seconds for its answer, or as long as its configuration says."""

FIRST_REVIEW_SECONDS = 120.0
"""After that a connection by which nothing sensible came is closed. More than the 90 for which the API server keeps one
that it opened and then had no use for: who closes first must not be us."""

SWEEP_SECONDS = 5.0
COMPLAIN_SECONDS = 60.0

# What a connection may make us keep before a review is begun with; an API server sends some eight short lines.
_LIMITS = {"max_line_size": 2048, "max_field_size": 4096, "max_headers": 32, "read_bufsize": 2**16}

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
        self._room = Room()
        self._connections: dict[object, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said = _Seldom(logger)
        application = web.Application(client_max_size=MAX_BYTES)
        application.router.add_post(PATH, self._serve)
        limits: dict[str, Any] = {**_LIMITS, "logger": self._said}
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            # What is turned away is not read to its end; and nothing is unpacked: kilobytes may be gigabytes.
            lingering_time=0,
            auto_decompress=False,
            **limits,
        )

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
        listener = listening.everywhere(self._port)
        listener.setblocking(False)
        self._begin(self._accept(listener))
        self._begin(self._sweep())

    async def close(self) -> None:
        """Answer what is under way, and end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        """Take in connections, as many as there is room for. Asyncio's own server takes in all."""
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, peer = await loop.sock_accept(listener)
                except OSError as error:  # too many open files, say
                    self._turned_away("connections", str(error))
                    await asyncio.sleep(1.0)
                    continue
                address = str(peer[0])
                if self._room.connect(address):
                    self._begin(self._welcome(connection, address))
                else:
                    connection.close()
                    self._turned_away("connections", address)

    async def _welcome(self, connection: socket.socket, address: str) -> None:
        """Speak TLS, and hand what comes to HTTP."""
        server = self._runner.server
        assert server is not None
        handler = server()

        def ended() -> None:
            if self._connections.pop(handler, None) is not None:
                self._room.disconnect(address)

        watched = self._connections[handler] = _Connection(handler, ended)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: watched, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError as error:
            logger.debug("no TLS with %s: %s", address, error)
            ended()
        except BaseException:
            ended()
            raise

    async def _sweep(self) -> None:
        """Close connections by which nothing sensible came."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for each in list(self._connections.values()):
                if not each.reviewed and now - each.opened > FIRST_REVIEW_SECONDS:
                    each.abort()
                    self._turned_away("slow", "no review came")

    async def _serve(self, request: web.Request) -> web.Response:
        size = request.content_length if request.content_length is not None else MAX_BYTES
        address = request.remote or ""
        if size > MAX_BYTES:
            return self._refused("size", web.HTTPRequestEntityTooLarge.status_code, address)
        if not self._room.read(address, size):
            return self._refused("bytes", web.HTTPServiceUnavailable.status_code, address)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
            self._connections[request.protocol].reviewed = True
            return web.Response(body=await self._answer(body), content_type="application/json")
        except TimeoutError:
            return self._refused("slow", web.HTTPRequestTimeout.status_code, address)
        except ConnectionError:  # whoever asked hung up: nobody reads this
            return web.Response(status=web.HTTPBadRequest.status_code)
        except NoReviewError as error:
            self._said.warning("no admission review: %s", error)
            raise web.HTTPBadRequest(text=f"no admission review: {error}") from None
        finally:
            self._room.forget(address, size)

    def _refused(self, reason: str, status: int, address: str) -> web.Response:
        self._turned_away(reason, address)
        response = web.Response(status=status, text="there is no room for this review; the pod may start without it")
        response.force_close()
        return response

    def _turned_away(self, reason: str, whom: str) -> None:
        metrics.TURNED_AWAY.labels(reason).inc()
        self._said.warning("turned away for its %s: %s", reason, whom)


class _Seldom(logging.LoggerAdapter[logging.Logger]):
    """Logs each message at most once a minute: whoever reaches the webhook could fill a disk."""

    def __init__(self, of: logging.Logger) -> None:
        super().__init__(of)
        self._last: dict[object, float] = {}

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        now = time.monotonic()
        if self.isEnabledFor(level) and now - self._last.get(msg, float("-inf")) >= COMPLAIN_SECONDS:
            self._last[msg] = now
            super().log(level, msg, *args, **kwargs)


class _Connection(asyncio.Protocol):
    """What is between TLS and HTTP: all is passed on, and the end of the connection is told."""

    def __init__(self, handler: asyncio.Protocol, ended: Callable[[], None]) -> None:
        self.opened = time.monotonic()
        self.reviewed = False
        self._handler = handler
        self._ended = ended
        self._transport: asyncio.Transport | None = None

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = typing.cast(asyncio.Transport, transport)
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._handler.connection_lost(exc)
        self._ended()


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
