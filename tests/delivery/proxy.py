"""A proxy in front of Azurite that does to requests what networks and services do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import random
import threading
import typing
import urllib.parse

FAULTS = ("lost answer", "lost request", "500", "503", "403", "stall")
_STALL_SECONDS = 0.3


class Proxy:
    """Forwards to ``endpoint``. What happens to a request is drawn by ``chance`` from ``rates``."""

    def __init__(self, endpoint: str, chance: random.Random) -> None:
        self._target = urllib.parse.urlsplit(endpoint)
        self._chance = chance
        self.rates: dict[str, float] = {}
        self.down = False
        self.retry_after = "0"
        self.happened: dict[str, int] = {}
        self.requests = 0
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._target.path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self) -> str:
        with self._lock:
            self.requests += 1
            if self.down:
                return "down"
            drawn = self._chance.random()
            for name, rate in self.rates.items():
                if drawn < rate:
                    self.happened[name] = self.happened.get(name, 0) + 1
                    return name
                drawn -= rate
            return ""

    def forward(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[int, typing.Any, bytes]:
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(request.command, request.path, body or None, dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = proxy.fault()
                if fault == "stall":
                    threading.Event().wait(_STALL_SECONDS)
                if fault in ("", "stall", "lost answer"):
                    status, headers, content = proxy.forward(self, body)
                    if fault != "lost answer":
                        self._answer(status, headers, content)
                        return
                elif fault.isdigit():
                    self._answer(int(fault), [("Retry-After", proxy.retry_after), ("x-ms-error-code", "Injected")], b"")
                    return
                self.close_connection = True

            do_GET = do_PUT = do_HEAD = handle_any  # noqa: N815

            def _answer(self, status: int, headers: typing.Iterable[tuple[str, str]], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "transfer-encoding", "keep-alive", "content-length"):
                        self.send_header(name, value)
                length = {name.lower(): value for name, value in headers}.get("content-length")
                head = self.command == "HEAD" and length is not None
                self.send_header("Content-Length", str(length) if head else str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # a client that was killed
                    super().handle()

        return Handler
