"""A stand-in for Microsoft Entra: gives tokens for a service account's, and remembers what it was asked."""

from __future__ import annotations

import base64
import dataclasses
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import time
import typing
import urllib.parse

from ..apiserver.server import free_ports

STORAGE = "https://storage.azure.com"
REFUSAL = {
    "error": "invalid_client",
    "error_description": "AADSTS700213: No matching federated identity record found. Trace ID: 0 Correlation ID: 0",
}


def certificate(directory: pathlib.Path, names: typing.Iterable[str]) -> tuple[pathlib.Path, pathlib.Path]:
    """Make a certificate for these names (``IP:...`` or ``DNS:...``) and its key; it is its own authority."""
    made, key = directory / "tls.crt", directory / "tls.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=stand-in"]
    subprocess.run([*command, "-addext", f"subjectAltName={','.join(names)}"], check=True, capture_output=True)
    return made, key


def token(claims: typing.Mapping[str, object]) -> str:
    """Write a token whose signature nobody looks at."""
    parts = [json.dumps(each).encode() for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in [*parts, b"signature"])


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request for a token."""

    at: float
    tenant: str
    form: dict[str, str]


class Authority:
    """The server. It can be ``down``, refuse, or give tokens that no storage account takes.

    Args:
        directory: where its certificate and key are written.
        address: where it listens.
        names: who else shows its certificate.

    """

    def __init__(self, directory: pathlib.Path, address: str = "127.0.0.1", names: typing.Iterable[str] = ()) -> None:
        self.certificate, self.key = certificate(directory, (f"IP:{address}", *names))
        self._address = address
        self.asked: list[Asked] = []
        self.refuses = False
        self.answers: tuple[int, str] | None = None
        """Status and text of each answer, whatever is asked."""
        self.audience = STORAGE
        self.lifetime = 3600
        (self._port,) = free_ports(1)
        self._server: http.server.ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"https://{self._address}:{self._port}"

    def start(self) -> None:
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = owner.answer(self.path, dict(urllib.parse.parse_qsl(body)))
                content = json.dumps(answer).encode()
                if owner.answers is not None:
                    status, content = owner.answers[0], owner.answers[1].encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if content.startswith(b"{") else "text/html")
                self.send_header("Retry-After", "7")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
                pass

        self._server = http.server.ThreadingHTTPServer((self._address, self._port), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be down: nobody listens."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        tenant, _, rest = path.lstrip("/").partition("/")
        self.asked.append(Asked(time.monotonic(), tenant, form))
        if rest != "oauth2/v2.0/token" or self.refuses:
            return 400, dict(REFUSAL)
        now = int(time.time())
        claims = {
            "aud": self.audience,
            # What Azurite takes for Microsoft's.
            "iss": f"https://sts.windows-ppe.net/{tenant}/",
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + self.lifetime,
            "oid": "11111111-2222-3333-4444-555555555555",
            "tid": tenant,
            "appid": form.get("client_id"),
        }
        return 200, {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": token(claims)}
