"""A store by its address, with a credential of whatever kind."""

from __future__ import annotations

import pathlib
import typing
import urllib.parse

from ..storage import Blobs
from ..storage.local import Directory

if typing.TYPE_CHECKING:
    from azure.core.credentials import AzureSasCredential, TokenCredential


class StoreAddressError(ValueError):
    """An address under which no store can be, or a credential that does not fit it."""


def open_store(address: str, credential: str | AzureSasCredential | TokenCredential | None = None) -> Blobs:
    """Return the store at an address.

    - ``https://<account>.blob.core.windows.net/<container>``, or an emulator's ``http://127.0.0.1:10000/<account>/<container>``;
      a SAS may stand behind it
    - ``file:///<directory>``, or a directory's path
    - a container's name, where the credential is a connection string

    ``credential``: an account's key, a SAS, a connection string, or what gives tokens (``azure.identity``).
    """
    scheme, _, _ = address.partition("://")
    if "://" not in address and isinstance(credential, str) and "AccountName=" in credential:
        return _by_connection_string(address, credential)
    if "://" not in address or scheme == "file":
        return _directory(address, credential)
    if scheme not in {"http", "https"}:
        raise StoreAddressError(f"{scheme}:// is no address of a store: use https://, file://, or a directory's path")
    return _container(address, credential)


def _directory(address: str, credential: object) -> Directory:
    if credential is not None:
        raise StoreAddressError("a directory takes no credential")
    path = address
    if address.startswith("file:"):
        parsed = urllib.parse.urlsplit(address)
        if parsed.netloc not in {"", "localhost"} or not parsed.path:
            raise StoreAddressError(f"{address} names no directory of this machine: write file:///directory")
        path = urllib.parse.unquote(parsed.path)
    return Directory(pathlib.Path(path).absolute())


def _container(address: str, credential: str | AzureSasCredential | TokenCredential | None) -> Blobs:
    from ..storage.azure import Container

    bare, _, sas = address.partition("?")
    parsed = urllib.parse.urlsplit(bare)
    parts = [part for part in parsed.path.split("/") if part]
    azure = ".blob." in parsed.netloc
    if len(parts) != (1 if azure else 2):
        form = "<container>" if azure else "<account>/<container>"
        raise StoreAddressError(f"{bare} names no container: write {parsed.scheme}://{parsed.netloc}/{form}")
    if isinstance(credential, str) and "AccountName=" in credential:
        return _by_connection_string(parts[-1], credential)
    endpoint = f"{parsed.scheme}://{parsed.netloc}" + ("" if azure else f"/{parts[0]}")
    given = credential if credential is not None else sas or None
    return Container.at(endpoint, parts[-1], given.removeprefix("?") if isinstance(given, str) else given)


def _by_connection_string(container: str, connection_string: str) -> Blobs:
    from ..storage.azure import Container

    try:
        return Container.by_connection_string(connection_string, container)
    except ValueError as error:
        raise StoreAddressError(f"the connection string can't be used: {type(error).__name__}") from None
