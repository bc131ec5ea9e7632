"""A proxy between the operator and an API server that does to requests what networks and API servers do."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import json
import socket
import ssl
import threading
import time
import typing
import urllib.parse

from . import server

STATUSES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
SILENCE_SECONDS = 15.0
"""Longer than the operator waits for an answer."""

_NOT_FORWARDED = ("connection", "transfer-encoding", "keep-alive", "content-length", "host")


WORDS = "the proxy's own"
"""What it says when it refuses."""

Outcome = int | typing.Literal["silent", "cut", "lost"]
"""An error's status; no answer; a connection that is cut before the request is forwarded, or after it was done."""

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


@dataclasses.dataclass
class Fault:
    """What is done to requests whose address has this piece."""

    piece: str
    outcome: Outcome
    methods: frozenset[str] = WRITES
    left: int | None = None
    """How many more times; None until healed."""
    retry_after: str = ""
    met: int = 0
    """How many requests it was done to."""

    def concerns(self, method: str, address: str) -> bool:
        return method in self.methods and self.piece in address and self.left != 0


class Proxy:
    """Forwards to an API server over TLS on both sides. Watches are forwarded as they come, so they can be cut.

    ``refuse`` and ``stall`` hold until ``heal``; ``cut`` and ``inject`` happen once, to every watch that is open.
    A piece is a part of the address, as ``/pods``; the empty one is in each; with a ``$`` behind it is the whole of it.
    """

    def __init__(self, api: server.ApiServer) -> None:
        self.requests: list[str] = []
        """Method and address of each request, in their order."""
        self.times: list[float] = []
        """When each came (monotonic)."""
        self.answered: list[str] = []
        """Those that the API server has answered, in the order of its answers."""
        self.retry_after = ""
        self._api = api
        self._lock = threading.Lock()
        self._refused: dict[str, int | bytes] = {}
        self._stalled: set[str] = set()
        self._faults: list[Fault] = []
        self._healed = threading.Event()
        self._watches: dict[_Handler, str] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(api.directory / "tls.crt", api.directory / "tls.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.context = ssl.create_default_context(cafile=str(api.directory / "tls.crt"))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def writes(self) -> list[str]:
        """Method and address of each write so far."""
        return [request for request in self.requests if request.split()[0] in WRITES]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    @property
    def target(self) -> tuple[str, int]:
        return "127.0.0.1", self._api.port

    @property
    def kubeconfig(self) -> typing.Any:
        """A kubeconfig that leads through here."""
        return self._api.kubeconfig_for(server=self.url, name=f"kubeconfig-{self._server.server_address[1]}")

    def close(self) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self.cut()

    def refuse(self, answer: int | bytes, piece: str = "") -> None:
        """Answer with an error, or with these bytes as if they were the answer; open watches go on."""
        with self._lock:
            self._refused[piece] = answer

    def stall(self, piece: str = "") -> None:
        """Take requests and do not answer; what comes on open watches is held back."""
        with self._lock:
            self._healed.clear()
            self._stalled.add(piece)

    def fault(self, fault: Fault) -> None:
        """Do this to some requests from now on."""
        with self._lock:
            self._healed.clear()
            self._faults.append(fault)

    def heal(self) -> None:
        """Forward everything again."""
        with self._lock:
            self._faults.clear()
            self._refused.clear()
            self._stalled.clear()
            self._healed.set()

    def cut(self, piece: str = "") -> int:
        """Cut open watches; return how many."""
        with self._lock:
            found = [handler for handler, address in self._watches.items() if piece in address]
        for handler in found:
            handler.hang_up()
        return len(found)

    def inject(self, event: bytes, piece: str = "") -> int:
        """Send a line on open watches, as if the API server had; return on how many."""
        with self._lock:
            found = [handler for handler, address in self._watches.items() if piece in address]
        for handler in found:
            with contextlib.suppress(OSError):
                handler.send_chunk(event)
        return len(found)

    def asked(self, piece: str) -> int:
        """Count the requests with this piece so far."""
        return sum(piece in request for request in self.requests)

    def forwarded(self, piece: str) -> int:
        """Count the requests with this piece that the API server has answered so far."""
        return sum(piece in request for request in self.answered)

    def note(self, request: str) -> None:
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())

    def answer_to(self, address: str) -> int | bytes | None:
        with self._lock:
            return next((answer for piece, answer in self._refused.items() if piece in f"{address}$"), None)

    def fault_of(self, method: str, address: str) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.concerns(method, address)), None)
            if fault is not None:
                fault.met += 1
                fault.left = None if fault.left is None else fault.left - 1
            return fault

    def wait_until_healed(self, seconds: float) -> None:
        self._healed.wait(seconds)

    def wait_while_stalled(self, address: str) -> None:
        with self._lock:
            stalled = any(piece in address for piece in self._stalled)
        if stalled:
            self._healed.wait()

    @contextlib.contextmanager
    def watching(self, handler: _Handler, address: str) -> typing.Iterator[None]:
        with self._lock:
            self._watches[handler] = address
        try:
            yield
        finally:
            with self._lock:
                del self._watches[handler]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: typing.ClassVar[Proxy]

    def setup(self) -> None:
        super().setup()
        self._sending = threading.Lock()

    def handle(self) -> None:
        # A client that hung up, or was told to by cut().
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.note(f"{self.command} {self.path}")
        self.proxy.wait_while_stalled(self.path)
        answer = self.proxy.answer_to(self.path)
        if isinstance(answer, bytes):
            self._answer(200, {"Content-Type": "application/json"}, answer)
            return
        if answer is not None:
            self._refuse(answer)
            return
        fault = self.proxy.fault_of(self.command, self.path)
        if fault is not None and isinstance(fault.outcome, int):
            self._refuse(fault.outcome, fault.retry_after)
            return
        if fault is not None and fault.outcome != "lost":
            if fault.outcome == "silent":
                self.proxy.wait_until_healed(SILENCE_SECONDS)
            self.close_connection = True
            return
        watch = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("watch") == ["true"]
        connection = http.client.HTTPSConnection(*self.proxy.target, context=self.proxy.context, timeout=300)
        self._behind = connection
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            self.proxy.answered.append(f"{self.command} {self.path}")
            if watch and response.status == 200:
                self._stream(response)
            elif fault is not None:
                response.read()
                self.close_connection = True
            else:
                self._answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException):
            # The API server is away: so would a load balancer before it be.
            self.close_connection = True
        finally:
            connection.close()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = forward  # noqa: N815

    def send_chunk(self, data: bytes) -> None:
        with self._sending:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        # Or the API server would wait for it when it is to end.
        with contextlib.suppress(OSError):
            if self._behind.sock is not None:
                self._behind.sock.shutdown(socket.SHUT_RDWR)

    def _stream(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", response.getheader("Content-Type", "application/json"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with self.proxy.watching(self, self.path):
            while line := response.readline():
                self.proxy.wait_while_stalled(self.path)
                self.send_chunk(line)
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, retry_after: str = "") -> None:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": STATUSES[status]}
        headers = {"Content-Type": "application/json"}
        retry_after = retry_after or (self.proxy.retry_after if status in (429, 503) else "")
        if retry_after:
            headers["Retry-After"] = retry_after
        self._answer(status, headers, json.dumps({**body, "message": WORDS}).encode())

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def error_event(code: int) -> bytes:
    """An event that ends a watch, as the API server sends it."""
    status = {"kind": "Status", "code": code, "reason": STATUSES[code], "message": "too old resource version"}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
