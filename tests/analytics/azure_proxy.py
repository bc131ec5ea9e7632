"""A proxy in front of Azurite that answers as Azure does where Azurite does not, and that stops at a request.

Azurite makes a block blob of an append blob, and the other way round (Azure: 409, a blob's type can't be changed), and
lists all blobs where only those from a name on are asked for (``startFrom``).
"""

from __future__ import annotations

import http.server
import random
import re
import typing
import urllib.parse

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from ..conftest import Azurite
from ..delivery.proxy import Proxy

Answer = tuple[int, dict[str, str], bytes]
Told = typing.Callable[[str, str], None]
"""Gets a request's method and path."""

_REFUSAL = (
    409,
    {"content-type": "application/xml", "x-ms-error-code": "InvalidBlobType"},
    b"<?xml version='1.0'?><Error><Code>InvalidBlobType</Code><Message>The blob type is invalid.</Message></Error>",
)
_TYPES = {"blocklist": "BlockBlob", "block": "BlockBlob", "appendblock": "AppendBlob"}


class AzureProxy(Proxy):
    """Forwards what Azure would take."""

    def __init__(self, azurite: Azurite, chance: random.Random) -> None:
        super().__init__(azurite.endpoint, chance)
        self._azurite = azurite
        self.before: Told = lambda method, path: None
        """Is called with each request before it is applied."""
        self.loses: typing.Callable[[str, str], bool] = lambda method, path: False
        """Is asked about each request that has been applied whether it gets no answer."""
        self.after: Told = lambda method, path: None
        """Is called with each request when it has been applied, and before it is answered."""

    def forward(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> Answer:
        self.before(request.command, request.path)
        address = urllib.parse.urlsplit(request.path)
        asked = dict(urllib.parse.parse_qsl(address.query))
        comp = asked.get("comp", "")
        wanted = request.headers.get("x-ms-blob-type") if not comp else _TYPES.get(comp)
        if request.command == "PUT" and wanted and self._type(address.path) not in {None, wanted}:
            return _REFUSAL
        status, headers, content = super().forward(request, body)
        if comp == "list" and "startFrom" in asked:
            content = _listed_from(content, asked["startFrom"])
        self.after(request.command, request.path)
        if self.loses(request.command, request.path):
            raise ConnectionResetError
        return status, headers, content

    def _type(self, path: str) -> str | None:
        host = self._azurite.endpoint.removesuffix(f"/{self._azurite.account_name}")
        blob = BlobClient.from_blob_url(host + path, credential=self._azurite.account_key)
        try:
            return str(blob.get_blob_properties().blob_type.value)
        except ResourceNotFoundError:
            return None


def _listed_from(content: bytes, name: str) -> bytes:
    def kept(found: re.Match[bytes]) -> bytes:
        named = re.search(rb"<Name>(.*?)</Name>", found[0], re.DOTALL)
        assert named is not None
        return found[0] if named[1].decode() >= name else b""

    return re.sub(rb"<Blob>.*?</Blob>", kept, content, flags=re.DOTALL)
