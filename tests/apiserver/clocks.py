"""Storage with a clock of its own: a proxy in front of Azurite whose answers carry the time that it is told."""

from __future__ import annotations

import email.utils
import http.client
import http.server
import threading
import urllib.parse
from datetime import UTC, datetime, timedelta

_HOP = ("date", "transfer-encoding", "content-length", "connection", "keep-alive")


class StorageClock:
    """Forwards to ``endpoint``; ``ahead`` is how much its clock is ahead of this machine's."""

    def __init__(self, endpoint: str) -> None:
        self.ahead = timedelta(0)
        self.target = urllib.parse.urlsplit(endpoint)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"clock": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.target.path}"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    clock: StorageClock

    def log_message(self, *_: object) -> None:
        pass

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        behind = http.client.HTTPConnection(self.clock.target.netloc, timeout=30)
        try:
            # As it was sent: the path and the headers are signed.
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                behind.putheader(name, value)
            behind.endheaders(body or None)
            answer = behind.getresponse()
            content = answer.read()
        finally:
            behind.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Date", email.utils.format_datetime(datetime.now(UTC) + self.clock.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = forward  # noqa: N815
