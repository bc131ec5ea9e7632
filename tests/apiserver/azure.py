"""A storage account that gives keys to whom Microsoft Entra's stand-in signs in, and a controller that may sign in."""

from __future__ import annotations

import contextlib
import pathlib
import typing

from azure.storage.blob import ContainerClient

from ..conftest import AZURITE_KEY
from ..delivery.authority import Authority, token
from ..delivery.server import Server
from .delegating import Delegating

CLIENT = "01234567-89ab-cdef-0123-456789abcdef"
TENANT = "76543210-89ab-cdef-0123-456789abcdef"


class Azure(typing.NamedTuple):
    authority: Authority
    proxy: Delegating
    environment: dict[str, str]
    """That of a pod that may sign in."""

    @property
    def endpoint(self) -> str:
        return self.proxy.endpoint

    def container(self, name: str, credential: str = AZURITE_KEY) -> ContainerClient:
        verified = {"connection_verify": str(self.authority.certificate)}
        return ContainerClient(self.proxy.endpoint, name, credential=credential, **verified)


@contextlib.contextmanager
def running(azurite_program: pathlib.Path, directory: pathlib.Path) -> typing.Iterator[Azure]:
    """Run it."""
    authority = Authority(directory)
    flags = ["--oauth", "basic", "--cert", str(authority.certificate), "--key", str(authority.key)]
    server = Server(azurite_program, directory, flags=flags)
    proxy = Delegating(server.endpoint, authority.certificate, authority.key)
    (directory / "token").write_text(token({"sub": "system:serviceaccount:modeldata-system:modeldata-operator"}))
    environment = {
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_FEDERATED_TOKEN_FILE": str(directory / "token"),
        "AZURE_AUTHORITY_HOST": authority.url,
        "SSL_CERT_FILE": str(authority.certificate),
        "MODELDATA_ALLOWED_HOSTS": "",
    }
    try:
        yield Azure(authority, proxy, environment)
    finally:
        proxy.close()
        server.stop()
        authority.stop()
