"""``python -m modeldata init``: what the operator makes in a cluster, on a machine of one's own.

A directory with ``settings/settings.json``, ``credential/sas`` and ``spool/``; and where rows go to, a container or a
directory. Called again for the same storage, it renews the SAS and leaves the rest as it is.
"""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import shlex
import typing

import orjson

from . import settings
from .delivery.azure import answers, blobs
from .process import lifecycle
from .spool import sharing

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
"""As the Azure CLI and the SDKs call it."""

CONTAINER = "modeldata"
LOCAL_CONTAINER = "data"
"""The directory that rows go to, in the one that is made here."""

SAS_DAYS = 7
_OURS = {"settings", "credential", "spool", LOCAL_CONTAINER}


class RefusedError(Exception):
    """Nothing was made, or not all of it; the message says why, and the way out."""


class Made(typing.NamedTuple):
    """What is there now."""

    directory: pathlib.Path
    endpoint: str
    container: str
    until: datetime.datetime | None
    """When the SAS ends; None where there is none."""


def local(directory: pathlib.Path) -> Made:
    """Have rows go to a directory below this one.

    Raises:
        RefusedError: something else is there, or the disk refuses it.

    """
    directory = directory.absolute()
    with _refusals():
        _prepare(directory, settings.Storage(directory.as_uri(), LOCAL_CONTAINER, settings.DEFAULT_PATH))
        _make(directory / LOCAL_CONTAINER)
        _write_settings(directory, directory.as_uri(), LOCAL_CONTAINER)
    return Made(directory, directory.as_uri(), LOCAL_CONTAINER, None)


def remote(directory: pathlib.Path, connection: str, container: str = CONTAINER) -> Made:
    """Have rows go to a container, made if it is not there, by a SAS that may read, add and create in it.

    Args:
        directory: what to make.
        connection: the account's connection string, with its key. It is written nowhere.
        container: the container's name.

    Raises:
        RefusedError: something else is there, or the account or the disk refuses it.

    """
    try:
        import azure.core.exceptions
        import azure.storage.blob
    except ImportError as error:
        raise RefusedError(f"{error.name or error} can't be imported: pip install azure-storage-blob") from None
    # Each of the SDK's own messages may have a part of the connection string in it.
    try:
        account = azure.storage.blob.BlobServiceClient.from_connection_string(
            connection, retry_total=0, connection_timeout=answers.CONNECT_SECONDS, read_timeout=answers.READ_SECONDS
        )
    except ValueError:
        raise RefusedError("this is no connection string: see the portal, Access keys, Connection string") from None
    key = getattr(account.credential, "account_key", None)
    if not key or not account.account_name:
        raise RefusedError("the connection string has no AccountKey, which the SAS is made with")
    endpoint, directory = account.url.rstrip("/"), directory.absolute()
    until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=SAS_DAYS)
    with _refusals():
        _prepare(directory, settings.Storage(endpoint, container, settings.DEFAULT_PATH))
        try:
            with account:
                account.create_container(container)
        except azure.core.exceptions.ResourceExistsError:
            pass
        except azure.core.exceptions.HttpResponseError as error:
            said = f"{error.status_code} {blobs.code_of(error)}".strip()
            raise RefusedError(f"{endpoint} refuses to make the container {container!r} ({said})") from None
        except azure.core.exceptions.AzureError as error:
            raise RefusedError(f"{endpoint} can't be reached ({type(error).__name__})") from None
        sas = azure.storage.blob.generate_container_sas(
            account.account_name, container, account_key=key, permission="rac", expiry=until
        )
        (directory / "credential").chmod(0o700)  # so that the SAS is for this user alone
        sharing.replace(directory / "credential" / "sas", [sas.encode()])
        _write_settings(directory, endpoint, container)
    return Made(directory, endpoint, container, until)


def describe(made: Made) -> str:
    """Return what a person is told, and what to do next."""
    lines = [f"{made.directory} is ready: rows go to {made.endpoint}/{made.container}"]
    if made.until is not None:
        lines.append(f"The SAS is good until {made.until:%Y-%m-%d %H:%M} UTC; the same command makes a new one.")
    lines += [
        "Next, where the model runs:",
        "",
        f"  export {lifecycle.DIRECTORY_VARIABLE}={shlex.quote(str(made.directory))}",
        "  python -m modeldata doctor    # is all well?",
        "",
    ]
    return "\n".join(lines)


@contextlib.contextmanager
def _refusals() -> typing.Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusedError(f"{error.filename or 'the disk'}: {error.strerror}") from None


def _prepare(directory: pathlib.Path, storage: settings.Storage) -> None:
    """Make the directory, or see that what is there is what we would make.

    Raises:
        RefusedError: it is not.
        OSError: it can't be made.

    """
    file = directory / "settings" / "settings.json"
    if directory.exists() and not directory.is_dir():
        raise RefusedError(f"{directory} is a file: name a directory that is new or empty")
    if file.exists():
        try:
            there = settings.parse(file.read_bytes()).storage
        except settings.SettingsError as error:
            raise RefusedError(f"{file} is there, and can't be read: {error}") from None
        if there is None or there[:2] != storage[:2]:
            where = f"{there.endpoint}/{there.container}" if there is not None else "nowhere"
            raise RefusedError(f"{file} is there, and rows go to {where}: name another directory, or remove that file")
    elif directory.exists():
        others = sorted(each.name for each in directory.iterdir() if each.name not in _OURS)
        if others:
            raise RefusedError(f"{directory} has something else in it ({others[0]}): name one that is new or empty")
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o700)
    for name in ("settings", "credential", "spool"):
        _make(directory / name)


def _make(directory: pathlib.Path) -> None:
    # For this user alone, whatever the umask: what is made in it later goes by its mode.
    directory.mkdir(mode=0o700, exist_ok=True)


def _write_settings(directory: pathlib.Path, endpoint: str, container: str) -> None:
    """Write the settings, unless they are there: a person may have changed them."""
    file = directory / "settings" / "settings.json"
    if file.exists():
        return
    document = {
        "version": 1,
        "enabled": True,
        "collection": directory.name or "local",
        "generation": 1,
        "storage": {"endpoint": endpoint, "container": container, "path": settings.DEFAULT_PATH},
        "identity": {},
    }
    sharing.replace(file, [orjson.dumps(document, option=orjson.OPT_INDENT_2), b"\n"])
