"""A proxy in front of Azurite that takes a user delegation SAS as the SDK signs it today.

Azurite 3.35 gives user delegation keys, and checks signatures by the rule of 2025-07-05. Later ones have two lines more
(signed headers and signed query parameters). So what comes here is checked by the present rule, with the key that was
seen passing, and signed anew by the one that Azurite knows. A wrong signature is answered as the service does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import http.server
import pathlib
import re
import ssl
import threading
import typing
import urllib.parse

BEFORE = ("skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid", "sduoid")
AFTER = ("sip", "spr", "sv", "sr", "snapshot", "ses")
HEADERS = ("rscc", "rscd", "rsce", "rscl", "rsct")
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Delegating:
    """The proxy; its endpoint has the account's name as path, as Azurite's own."""

    def __init__(self, endpoint: str, certificate: pathlib.Path, key: pathlib.Path) -> None:
        self._target = urllib.parse.urlsplit(endpoint)
        self._trust = ssl.create_default_context(cafile=str(certificate))
        self._keys: dict[tuple[str, str], bytes] = {}
        self.forbids = ""
        """``key``: the identity may not ask for keys; ``append``: its SAS may not append. Azurite has no roles."""
        self.redirects = ""
        """Where it sends everybody to, if anywhere."""
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = owner.forward(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 (their names there)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}{self._target.path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        url = urllib.parse.urlsplit(path)
        if self.redirects:
            return 307, [("Location", f"{self.redirects}?{url.query}")], b""
        fields = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if (self.forbids, fields.get("comp")) in (("key", "userdelegationkey"), ("append", "appendblock")):
            return _refusal("AuthorizationPermissionMismatch")
        if "skoid" in fields:
            container = "/".join(url.path.split("/")[:3])
            if fields["sig"] != self._signature(fields, container, more=2):
                return _refusal("AuthenticationFailed")
            fields["sig"] = self._signature(fields, container, more=0)
            path = f"{url.path}?{urllib.parse.urlencode(fields)}"
        connection = http.client.HTTPSConnection(self._target.netloc, context=self._trust, timeout=30)
        try:
            connection.request(method, path, body, {name: headers[name] for name in headers if name.lower() != "host"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if fields.get("comp") == "userdelegationkey" and response.status == 200:
            self._remember(content.decode())
        return response.status, [pair for pair in response.getheaders() if pair[0].lower() not in _HOP], content

    def _remember(self, answer: str) -> None:
        found = {
            name: re.findall(f"<{name}>(.*?)</{name}>", answer)[0] for name in ("SignedStart", "SignedExpiry", "Value")
        }
        self._keys[found["SignedStart"], found["SignedExpiry"]] = base64.b64decode(found["Value"])

    def _signature(self, fields: typing.Mapping[str, str], container: str, *, more: int) -> str:
        lines = [fields.get(name, "") for name in ("sp", "st", "se")]
        lines += [f"/blob{container}", *(fields.get(name, "") for name in (*BEFORE, *AFTER))]
        lines += [""] * more + [fields.get(name, "") for name in HEADERS]
        key = self._keys.get((fields["skt"], fields["ske"]), b"")
        return base64.b64encode(hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()).decode()


def _refusal(code: str) -> tuple[int, list[tuple[str, str]], bytes]:
    answer = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message></Error>'
    return 403, [("x-ms-error-code", code), ("Content-Type", "application/xml")], answer.encode()
