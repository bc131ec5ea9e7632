"""Arguments that say which store, and with which credential."""

from __future__ import annotations

import argparse
import os
import pathlib
import typing

from .. import catalog
from ..storage import Blobs

CONNECTION_STRING, KEY, SAS = "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"
"""Variables that Azure's own command line reads, too."""


class UsageError(Exception):
    """What was asked for makes no sense; the message says why, and the way out."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        help="https://<account>.blob.core.windows.net/<container>, a directory, or, with a connection string,"
        " a container's name",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--sas-file", type=pathlib.Path, metavar="FILE", help="has a SAS; read anew for each request")
    group.add_argument(
        "--connection-string-env",
        metavar="NAME",
        help=f"variable with a connection string; default: {CONNECTION_STRING}",
    )
    group.add_argument("--key-env", metavar="NAME", help=f"variable with the account's key; default: {KEY}")
    group.add_argument(
        "--identity", action="store_true", help="sign in as azure-identity finds it: az login, a workload, a machine"
    )


def open_store(arguments: argparse.Namespace) -> Blobs:
    """Return the store. Raises ``UsageError``."""
    address: str = arguments.address
    try:
        if _is_directory(address):
            return catalog.open_store(address)
        return catalog.open_store(address, _credential(arguments))
    except catalog.StoreAddressError as error:
        raise UsageError(str(error)) from None


def _is_directory(address: str) -> bool:
    if address.startswith("file:"):
        return True
    return "://" not in address and (os.sep in address or address in {".", ".."} or pathlib.Path(address).is_dir())


def _credential(arguments: argparse.Namespace) -> typing.Any:
    if arguments.sas_file is not None:
        return _sas_of(arguments.sas_file)
    if arguments.connection_string_env:
        return _variable(arguments.connection_string_env)
    if arguments.key_env:
        return _variable(arguments.key_env)
    if arguments.identity:
        return _identity()
    if "?" in arguments.address:
        return None
    for name in (CONNECTION_STRING, KEY, SAS):
        if os.environ.get(name):
            return os.environ[name]
    raise UsageError(f"there is no credential: give --sas-file, --identity, or set {CONNECTION_STRING}, {KEY} or {SAS}")


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UsageError(f"the variable {name} is not set")
    return value


def _identity() -> typing.Any:
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise UsageError("--identity needs azure-identity: pip install 'modeldata-analytics[identity]'") from None
    return DefaultAzureCredential()


def _sas_of(path: pathlib.Path) -> typing.Any:
    from azure.core.credentials import AzureSasCredential

    class SasFile(AzureSasCredential):
        """A SAS that somebody else renews."""

        @property
        def signature(self) -> str:
            return path.read_text(encoding="utf-8").strip().removeprefix("?")

    try:
        return SasFile(path.read_text(encoding="utf-8").strip().removeprefix("?") or "-")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
