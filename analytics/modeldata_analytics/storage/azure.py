"""A container of Azure Blob Storage."""

from __future__ import annotations

import collections.abc
import contextlib
import datetime
import pathlib
import typing
import uuid

from azure.core import MatchConditions
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobPrefix,
    BlobProperties,
    ContainerClient,
    ExponentialRetry,
)

from . import blobs

if typing.TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    Credential = str | AzureSasCredential | TokenCredential
    """A key or a SAS, a SAS that is renewed, or what gives tokens."""

PIECE = 8 * 1024 * 1024
"""Bytes of a ranged GET, and of a block: 424 MB took 3.7 s by ranges of 8 MiB, 6.9 s by the SDK's own chunks."""


class Container:
    """Files in a container.

    Requests are repeated by the SDK, as each of them may be: reads, and writes that name the ETag they replace.
    """

    def __init__(self, client: ContainerClient, credential: Credential | None = None) -> None:
        self._client = client
        self._credential = credential

    @classmethod
    def at(cls, endpoint: str, name: str, credential: Credential | None) -> Container:
        """Return a container of an account; the credential is a key, a SAS or what gives tokens."""
        return cls(ContainerClient(endpoint, name, credential=credential, **_options()), credential)

    @classmethod
    def by_connection_string(cls, connection_string: str, name: str) -> Container:
        """Return a container of the account that a connection string names. Raises ``ValueError``."""
        client = ContainerClient.from_connection_string(connection_string, name, **_options())
        found = dict(each.split("=", 1) for each in connection_string.split(";") if "=" in each)
        return cls(client, found.get("AccountKey") or found.get("SharedAccessSignature"))

    @property
    def address(self) -> str:
        """The container's address, without a SAS."""
        return self._client.url.partition("?")[0]

    def folders(self, prefix: str) -> list[str]:
        """Return the last parts of the folders directly below a folder."""
        with self._told(prefix):
            found = self._client.walk_blobs(name_starts_with=prefix or None, delimiter="/")
            return [each.name[len(prefix) : -1] for each in found if isinstance(each, BlobPrefix)]

    def files(self, prefix: str) -> list[blobs.Entry]:
        """Return the files that lie directly in a folder."""
        with self._told(prefix):
            found = self._client.walk_blobs(name_starts_with=prefix or None, delimiter="/")
            return [_entry(each) for each in found if isinstance(each, BlobProperties)]

    def entry(self, name: str) -> tuple[blobs.Entry, typing.Mapping[str, str]] | None:
        """Return a file and its metadata."""
        with self._told(name):
            try:
                found = self._client.get_blob_client(name).get_blob_properties()
            except ResourceNotFoundError as error:
                self._no_container(error)
                return None
            return _entry(found), found.metadata or {}

    def get(self, name: str) -> blobs.Content | None:
        """Return a small file as a whole."""
        with self._told(name):
            try:
                answer = self._client.download_blob(name)
            except ResourceNotFoundError as error:
                self._no_container(error)
                return None
            return blobs.Content(answer.readall(), _bare(answer.properties.etag), answer.properties.metadata or {})

    def read(self, name: str, start: int, end: int) -> typing.Iterator[bytes]:
        """Yield these bytes of a file."""
        client = self._client.get_blob_client(name)
        while start < end:
            length = min(PIECE, end - start)
            with self._told(name):
                # A request for each piece: the SDK's own chunks ask for the first one's ETag, and the file may grow.
                piece = client.download_blob(offset=start, length=length).readall()
            if len(piece) != length:
                raise blobs.Changed(f"{name} in {self.address} is shorter than it was")
            start += length
            yield piece

    def local(self, name: str) -> pathlib.Path | None:
        """Return None."""
        return None

    def put(
        self, name: str, content: bytes | pathlib.Path, *, replaces: str | None, metadata: typing.Mapping[str, str]
    ) -> str:
        """Write a whole file in one atomic step."""
        client = self._client.get_blob_client(name)
        condition = _match(replaces) if replaces is not None else {"match_condition": MatchConditions.IfMissing}
        with self._told(name):
            try:
                if isinstance(content, pathlib.Path) and content.stat().st_size > PIECE:
                    blocks = _stage(client, content)
                    answer = client.commit_block_list(blocks, metadata=dict(metadata), **condition)
                else:
                    data = content if isinstance(content, bytes) else content.read_bytes()
                    answer = client.upload_blob(
                        data, overwrite=replaces is not None, metadata=dict(metadata), **condition
                    )
            except (ResourceExistsError, ResourceModifiedError) as error:
                raise blobs.Changed(f"{name} in {self.address} was written by another one meanwhile") from error
            except ResourceNotFoundError as error:
                self._no_container(error)
                raise blobs.Changed(f"{name} in {self.address} was deleted meanwhile") from error
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "InvalidBlockList":
                    raise
                # Who puts a list takes away the blocks that others have staged.
                raise blobs.Changed(f"{name} in {self.address} was written by another one meanwhile") from error
            return _bare(str(answer["etag"]))

    def table(self, folder: str) -> blobs.Location:
        """Return where a folder's files lie, with the credential as it is now."""
        return blobs.Location(f"az://{self._client.container_name}/{folder}", self._options())

    def _options(self) -> dict[str, str]:
        endpoint = self._client.primary_endpoint.partition("?")[0].removesuffix(f"/{self._client.container_name}")
        options = {
            "account_name": str(self._client.account_name),
            "endpoint": endpoint,
            "allow_http": str(endpoint.startswith("http://")).lower(),
        }
        given = self._credential
        if isinstance(given, AzureSasCredential):
            return {**options, "sas_token": given.signature}
        if isinstance(given, str):
            return {**options, "sas_token" if "sig=" in given else "account_key": given}
        if given is not None:
            return {**options, "bearer_token": given.get_token("https://storage.azure.com/.default").token}
        return {**options, "skip_signature": "true"}

    def delete(self, name: str, *, etag: str) -> bool:
        """Delete a file unless it has changed since."""
        with self._told(name):
            try:
                self._client.delete_blob(name, **_match(etag))
            except ResourceNotFoundError:
                return True
            except ResourceModifiedError:
                return False
            return True

    def _no_container(self, error: ResourceNotFoundError) -> None:
        if getattr(error, "error_code", None) == "ContainerNotFound":
            raise blobs.Missing(
                f"there is no container at {self.address}: look at its name and the account's"
            ) from error

    @contextlib.contextmanager
    def _told(self, name: str) -> collections.abc.Iterator[None]:
        """Raise what a request raises as an error of ours, with what the service calls it. No message holds a SAS."""
        try:
            yield
        except (ServiceRequestError, ServiceResponseError) as error:
            raise blobs.Unreachable(
                f"{self.address} does not answer ({_reason(error)}): look at its name, and the network"
            ) from None
        except ResourceNotFoundError as error:
            self._no_container(error)
            raise blobs.Missing(f"there is no {name} in {self.address}") from None
        except ClientAuthenticationError as error:
            raise blobs.Refused(
                f"{self.address} refuses the credential ({_reason(error)}): look"
                " whether it is this account's, and not expired"
            ) from None
        except HttpResponseError as error:
            raise self._answered(error, name) from None
        except AzureError as error:
            raise blobs.StorageError(f"{name or 'a request'} in {self.address} failed: {_reason(error)}") from None

    def _answered(self, error: HttpResponseError, name: str) -> blobs.StorageError:
        status, place = error.status_code or 0, f"{name or 'a listing'} in {self.address}"
        if status in {401, 403}:
            return blobs.Refused(
                f"{place} is refused ({_reason(error)}): look what the credential may do, and whether it is expired"
            )
        if status >= 500 or status == 429:
            return blobs.Unreachable(f"{place} failed for now ({_reason(error)}): try again later")
        return blobs.StorageError(f"{place} failed: {_reason(error)}")


def _stage(client: BlobClient, content: pathlib.Path) -> list[BlobBlock]:
    """Upload a file as blocks; what others see changes when the list of them is put, all at once.

    Their names are of this upload alone. The SDK numbers blocks: where two upload at a time, a list would take up the
    other one's.
    """
    upload = uuid.uuid4().hex
    found: list[BlobBlock] = []
    with content.open("rb") as file:
        while piece := file.read(PIECE):
            found.append(BlobBlock(f"{upload}-{len(found):06}"))
            client.stage_block(found[-1].id, piece)
    return found


def _options() -> dict[str, typing.Any]:
    return {
        # The SDK's own waits begin with 15 seconds: someone sits before it.
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3),
        # Nobody has decided that rows and credential may go where an answer points to.
        "permit_redirects": False,
    }


def _entry(found: BlobProperties) -> blobs.Entry:
    created = found.creation_time.isoformat() if found.creation_time else ""
    return blobs.Entry(
        found.name,
        found.size,
        _bare(found.etag),
        created,
        str(found.blob_type) == "BlobType.APPENDBLOB",
        found.last_modified.astimezone(datetime.UTC),
    )


def _bare(etag: str) -> str:
    """Return an ETag as listings have it: other answers put it between quotation marks."""
    return etag.strip('"')


def _match(etag: str) -> dict[str, typing.Any]:
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def _reason(error: AzureError) -> str:
    """Return what the service calls it, or the kind of error: messages of the SDK may hold a whole request."""
    code = getattr(error, "error_code", None)
    status = getattr(error, "status_code", None)
    if status:
        return f"{status} {code}" if code else str(status)
    return type(error).__name__
