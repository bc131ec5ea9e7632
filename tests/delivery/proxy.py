"""A proxy in front of Azurite that does to requests what networks and services do.

An answer of its own making must stay true, as a client may build on each definite one. So nothing here says that a
position has passed, or that a blob exists, is missing or is full, unless that is so from then on (``most_blocks``).
What is made up says "not now" and was not applied, or says that it went wrong and was (``500 applied``).
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import random
import threading
import time
import urllib.parse

from . import policies

ERRORS = {
    "400": (400, "InvalidResourceName", "The specifed resource name contains invalid characters."),
    "403": (403, "AuthenticationFailed", "Server failed to authenticate the request."),
    # The two conflicts and the precondition that pass by themselves, and say nothing of what the blob holds.
    "409 reading": (409, "BlobModifiedWhileReading", "The blob has been modified while being read."),
    "409 deleted": (409, "ContainerBeingDeleted", "The specified container is being deleted. Try operation later."),
    "409 full": (409, "BlockCountExceedsLimit", "The committed block count cannot exceed the maximum limit of 50,000."),
    "412": (412, "LeaseIdMissing", "There is currently a lease on the blob and no lease ID was specified."),
    "413": (413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."),
    "429": (429, "TooManyRequests", "Too many requests."),
    "500": (500, "InternalError", "The server encountered an internal error. Please retry the request."),
    # Seen in production under load: the answer is an error, and the block is there.
    "500 applied": (500, "OperationTimedOut", "Operation could not be completed within the specified time."),
    "503": (503, "ServerBusy", "The server is currently unable to receive requests. Please retry your request."),
}
"""Status, code and message, as the service words them."""

RANDOM_FAULTS = (
    "lost answer",
    "lost request",
    "cut request",
    "cut answer",
    "stall",
    "403",
    "409 reading",
    "409 deleted",
    "412",
    "429",
    "500",
    "500 applied",
    "503",
)

_FORWARDED = ("", "stall", "lost answer", "cut answer", "500 applied", "hang applied")


class Proxy:
    """Forwards to ``endpoint``. What happens to a request is drawn by ``chance`` from ``rates``."""

    def __init__(self, endpoint: str, chance: random.Random) -> None:
        self._target = urllib.parse.urlsplit(endpoint)
        self._chance = chance
        self.rates: dict[str, float] = {}
        self.faults: dict[str, str] = {}
        """By a piece of the address: what happens to every request with it."""
        self.policies: list[policies.Policy] = []
        """What the storage's owner has set."""
        self.heals_at = ""
        """With a piece of an address: the first request with it, and all behind it, meet no such fault."""
        self.down = False
        self.stall_seconds = 0.3
        self.hang_seconds = 60.0
        self._closed = threading.Event()
        self.retry_after = "0"
        self.most_blocks = 0
        """With a number: an append to a blob that has got so many through here is told that it is full, each time."""
        self.blocks_before = 0
        """Blocks that answers say a blob has, beside those it has."""
        self.happened: dict[str, int] = {}
        self.requests = 0
        self.times: list[float] = []
        """When each request came (monotonic)."""
        self._appended: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._target.path}"

    @property
    def in_doubt(self) -> int:
        """How many requests were applied without an answer that says so."""
        return sum(self.happened.get(name, 0) for name in ("lost answer", "cut answer", "500 applied", "hang applied"))

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def fault(self, address: str) -> str:
        """Return what happens to the next request."""
        with self._lock:
            self.requests += 1
            self.times.append(time.monotonic())
            if self.down:
                return self._count("down")
            if self.heals_at and self.heals_at in address:
                self.faults = {}
            for piece, name in self.faults.items():
                if piece in address:
                    return self._count(name)
            if self.most_blocks and self._appended.get(_blob(address), 0) >= self.most_blocks:
                return self._count("409 full")
            drawn = self._chance.random()
            for name, rate in self.rates.items():
                if drawn < rate:
                    return self._count(name)
                drawn -= rate
            return ""

    def _count(self, name: str) -> str:
        self.happened[name] = self.happened.get(name, 0) + 1
        return name

    def forward(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request on; return status, headers and content of the answer."""
        with contextlib.closing(self._connection()) as connection:
            connection.request(request.command, request.path, body or None, dict(request.headers))
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            if answer.status == 201 and "comp=appendblock" in request.path:
                with self._lock:
                    name = _blob(request.path)
                    self._appended[name] = self._appended.get(name, 0) + 1
            count = "x-ms-blob-committed-block-count"
            if count in headers:
                headers[count] = str(int(headers[count]) + self.blocks_before)
            return answer.status, headers, answer.read()

    def refusal(self, request: http.server.BaseHTTPRequestHandler) -> policies.Answer | None:
        """Return what a policy answers a request; None if none does."""

        def look() -> int:
            headers = {**dict(request.headers), "x-ms-blob-condition-appendpos": str(2**62), "Content-Length": "1"}
            headers = {name: value for name, value in headers.items() if name.lower() != "content-md5"}
            with contextlib.closing(self._connection()) as connection:
                connection.request("PUT", request.path, b"-", headers)
                return connection.getresponse().status

        for policy in list(self.policies):
            refused = policy.answer(request.command, request.path, look)
            if refused is not None:
                with self._lock:
                    self._count(refused[1])
                return refused
        return None

    def forward_half(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        """Send half of a request on, and then nothing more."""
        with contextlib.closing(self._connection()) as connection:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body[: len(body) // 2])

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(str(self._target.hostname), self._target.port, timeout=30)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = proxy.fault(self.path)
                if fault == "stall":
                    threading.Event().wait(proxy.stall_seconds)
                if fault == "cut request" and len(body) > 1:
                    proxy.forward_half(self, body)
                refused = proxy.refusal(self) if fault in _FORWARDED else None
                answer = proxy.forward(self, body) if fault in _FORWARDED and refused is None else None
                if fault in ("hang", "hang applied"):
                    proxy._closed.wait(proxy.hang_seconds)
                if refused is not None and fault not in ("lost answer", "cut answer", "hang applied"):
                    self._refuse(*refused)
                elif fault in ERRORS:
                    self._refuse(*ERRORS[fault])
                elif answer is not None and fault not in ("lost answer", "hang applied"):
                    self._answer(*answer, cut=fault == "cut answer")
                else:
                    self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815

            def _refuse(self, status: int, code: str, message: str) -> None:
                error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                content = f'<?xml version="1.0" encoding="utf-8"?>{error}'
                headers = {"content-type": "application/xml", "x-ms-error-code": code}
                if status in (429, 503):
                    headers["retry-after"] = proxy.retry_after
                self._answer(status, headers, content.encode())

            def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name not in ("connection", "transfer-encoding", "keep-alive", "content-length"):
                        self.send_header(name, value)
                length = headers.get("content-length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                if cut and not content:  # an answer that is all head
                    self._headers_buffer: list[bytes] = [b"".join(self._headers_buffer)[:60]]
                    self.flush_headers()
                else:
                    self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) // 2] if cut else content)
                self.close_connection = cut or self.close_connection

            def handle(self) -> None:
                # A client that was killed, or a service that is being restarted.
                with contextlib.suppress(OSError, http.client.HTTPException):
                    super().handle()

        return Handler


def _blob(address: str) -> str:
    return address.partition("?")[0]
