"""Blob Storage as the appender needs it: four requests, and what each answer means.

azure-storage-blob is imported when the first rows are to be shipped, in the shipper's thread: it costs 0.1 s and 30 MB.
Its own retries are off: they repeat an append that was applied (measured: 40 of 300 rows twice at 10 % lost answers).
"""

from __future__ import annotations

import enum
import logging
import pathlib
import threading
import typing

from . import forking

if typing.TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from . import azuretoken, settings

CONNECT_SECONDS = 5
READ_SECONDS = 20


class Answer(enum.Enum):
    """What is known after a request."""

    DONE = "done"
    POSITION = "somebody wrote at this position"
    NO_BLOB = "the blob does not exist"
    EXISTS = "the blob exists"
    CLOSED = "nothing can be appended to this blob: full, sealed, or a block blob"
    AMBIGUOUS = "the request may or may not have been applied"
    DENIED = "the credential is refused"
    NO_CONTAINER = "the container does not exist"
    REFUSED = "the request is refused"


class Reply(typing.NamedTuple):
    """An answer with what else it said."""

    answer: Answer
    detail: str = ""
    """Status and error code, for the log. Never a URL: it may hold the signature."""
    retry_after: float = 0.0
    """Seconds that the service asks to wait."""
    blocks: int = 0
    """After an append: how many blocks the blob has now; 0 if the answer does not say."""

    @property
    def code(self) -> str:
        """The service's own code; empty where the answer has none, or there is no answer."""
        status, _, code = self.detail.partition(" ")
        return code.partition(",")[0] if status.isdigit() else ""


class Later(Exception):  # noqa: N818 (not an error: the rows are safe and will be tried again)
    """What was asked for could not be done now."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.answer.value} ({reply.detail})")
        self.reply = reply


class Stopped(Exception):  # noqa: N818 (as above)
    """Nothing was sent: there is an end to what this process ships."""


class Requests(typing.Protocol):
    """What the appender asks of a container; ``Blobs`` is the real one."""

    def append(self, name: str, data: bytes, position: int) -> Reply:
        """Append a block if the blob is exactly ``position`` bytes long."""

    def create(self, name: str) -> Reply:
        """Create an empty append blob unless there is a blob of this name."""

    def size(self, name: str) -> tuple[Reply, int]:
        """Return the length of a blob in bytes."""

    def read(self, name: str, start: int, length: int) -> tuple[Reply, bytes]:
        """Return a range of a blob; less than ``length`` where the blob ends before."""


class Account(typing.NamedTuple):
    """A container in an account, and how to get at it: by the SAS in a file, or signed in."""

    endpoint: str
    container: str
    sas_file: pathlib.Path
    identity: settings.WorkloadIdentity | None = None
    """Who to sign in as; the file is not looked at then."""

    @property
    def token_file(self) -> pathlib.Path:
        """Return where the service account's token is, beside the directory of the SAS."""
        return self.sas_file.parents[1] / "identity" / "token"


SHIPPER_THREAD = "modeldata-shipper"

IMMUTABLE_CODES = {"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"}
_CLOSED_CODES = {
    *IMMUTABLE_CODES,
    "BlobArchived",
    "BlobBeingRehydrated",
    "BlobIsSealed",
    "BlobOperationNotSupported",
    "BlobUsesCustomerSpecifiedEncryption",
    "BlockCountExceedsLimit",
    "InvalidBlobType",
    "MaxBlobSizeConditionNotMet",
    "OperationNotSupportedOnDirectory",
}
"""What is true of one blob for good, so that another name helps: among them blobs that somebody made with a key of his
own, or through the Data Lake endpoint, and directories of an account with a hierarchical namespace."""
_NOISY = (
    "urllib3.connectionpool",  # each URL at DEBUG, and ours hold the signature
    "azure.core.pipeline.policies.http_logging_policy",  # each request at INFO, in ten lines
    "azure.core.pipeline.transport._requests_basic",  # what the reply tells anyway
    "azure.identity._internal.get_token_mixin",  # each failure at WARNING
    "azure.identity._internal.decorators",  # where older ones do so
)
_MOST_CLIENTS = 100
_POSITION_CODES = {"AppendPositionConditionNotMet", "ConditionNotMet", ""}
_AMBIGUOUS_CODES = {"BlobModifiedWhileReading", "ContainerBeingDeleted"}
"""What passes: seen on real appends while the blob was being read; a container that is about to be missing."""


def classify(status: int | None, code: str) -> Answer:
    """Return what an HTTP status and ``x-ms-error-code`` mean; no status is a connection that broke."""
    if status is None or status in (408, 429) or status >= 500 or code in _AMBIGUOUS_CODES:
        return Answer.AMBIGUOUS
    if status in (200, 201, 206):
        return Answer.DONE
    if status in (401, 403):
        return Answer.DENIED
    if status == 404:
        return Answer.NO_BLOB if code in ("BlobNotFound", "") else Answer.NO_CONTAINER
    if code == "ContainerDisabled":
        return Answer.NO_CONTAINER
    if code in _CLOSED_CODES:
        return Answer.CLOSED
    if status == 412 and code in _POSITION_CODES:  # others: somebody holds a lease
        return Answer.POSITION
    if code == "BlobAlreadyExists":
        return Answer.EXISTS
    return Answer.REFUSED


class Blobs:
    """One container. Not shared between processes: an inherited connection mixes the bytes of two.

    Raises:
        Later: the account's identity can't be used here.

    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self._token = ""
        self._good = ""
        """The SAS that was last not refused."""
        self._clients: dict[str, BlobClient] = {}
        """By the blob's name: making one takes as long as encoding 100 rows."""
        self._tokens: azuretoken.Tokens | None = None
        for noisy in _NOISY:
            logging.getLogger(noisy).addFilter(_not_ours)
        with forking.gate:  # the client's constructor imports too
            import azure.core.credentials
            import azure.core.exceptions
            import azure.storage.blob

            self._azure_errors = azure.core.exceptions
            self._credential = azure.core.credentials.AzureSasCredential("none")
            if account.identity is not None:
                self._tokens = _tokens(account, account.identity)
            self._container = azure.storage.blob.ContainerClient(
                account.endpoint,
                account.container,
                credential=self._tokens or self._credential,
                retry_total=0,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_single_get_size=8 * 1024 * 1024,
            )

    def refresh_credential(self) -> bool:
        """Read the SAS file again; return whether it holds another token than before."""
        if self._tokens is not None:
            return False  # nothing tells whether a new token would be better: not at once
        try:
            token = self.account.sas_file.read_text().strip()
        except OSError:
            return False
        if not token or token == self._token:
            return False
        self._token = token
        self._credential.update(token)
        return True

    def restore_credential(self) -> None:
        """Go back to the SAS that was last not refused: one that was read since is the next storage's."""
        if self._good and self._good != self._token:
            self._token = self._good
            self._credential.update(self._good)

    def append(self, name: str, data: bytes, position: int) -> Reply:
        """Append a block if the blob is exactly ``position`` bytes long."""
        answer: dict[str, typing.Any] = {}
        reply = self._try(lambda: answer.update(self._client(name).append_block(data, appendpos_condition=position)))
        return reply._replace(blocks=answer.get("blob_committed_block_count") or 0)

    def create(self, name: str) -> Reply:
        """Create an empty append blob unless there is a blob of this name."""
        from azure.core import MatchConditions
        from azure.storage.blob import ContentSettings

        return self._try(
            lambda: self._client(name).create_append_blob(
                match_condition=MatchConditions.IfMissing,
                content_settings=ContentSettings(content_type="text/csv; charset=utf-8"),
            )
        )

    def size(self, name: str) -> tuple[Reply, int]:
        """Return the length of a blob in bytes."""
        length = 0

        def look() -> None:
            nonlocal length
            length = self._client(name).get_blob_properties().size

        return self._try(look), length

    def read(self, name: str, start: int, length: int) -> tuple[Reply, bytes]:
        """Return a range of a blob; less than ``length`` where the blob ends before."""
        data, expected = b"", 0

        def look() -> None:
            nonlocal data, expected
            download = self._client(name).download_blob(offset=start, length=length)
            expected, data = download.size, download.readall()

        reply = self._try(look)
        if reply.detail.startswith("416"):  # the blob ends before the range begins
            return Reply(Answer.DONE), b""
        if reply.answer is Answer.DONE and len(data) != expected:
            # urllib3 before 2.0 takes an answer that was cut for a whole one.
            return Reply(Answer.AMBIGUOUS, "cut short"), b""
        return reply, data

    def close(self) -> None:
        """Close the connections."""
        self._container.close()
        if self._tokens is not None:
            self._tokens.close()

    def _client(self, name: str) -> BlobClient:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS:  # the files of days before
                self._clients.clear()
            client = self._clients[name] = self._container.get_blob_client(name)
        return client

    def _try(self, request: typing.Callable[[], object]) -> Reply:
        reply = self._asked(request)
        if reply.answer not in (Answer.DENIED, Answer.AMBIGUOUS):
            self._good = self._token
        return reply

    def _asked(self, request: typing.Callable[[], object]) -> Reply:
        if self._tokens is None and not self._token and not self.refresh_credential():
            return Reply(Answer.DENIED, "no SAS yet")
        try:
            request()
        except Later as later:  # there is no token
            return later.reply
        except self._azure_errors.HttpResponseError as error:
            code = code_of(error)
            answer = classify(error.status_code, code)
            if answer is Answer.DONE:  # the answer's head was good, its body was not
                answer = Answer.AMBIGUOUS
            if self._tokens is not None and (error.status_code == 401 or code == "AuthenticationFailed"):
                self._tokens.forget()  # it is the token that is refused, and not what it may do
            headers: typing.Mapping[str, str] = getattr(error.response, "headers", {})
            wait = headers.get("Retry-After", "")
            return Reply(answer, f"{error.status_code} {code}", float(wait) if wait.isdigit() else 0.0)
        except (self._azure_errors.AzureError, ValueError) as error:  # of the SDK, where an answer was cut
            return Reply(Answer.AMBIGUOUS, type(error).__name__)
        return Reply(Answer.DONE)


def _tokens(account: Account, identity: settings.WorkloadIdentity) -> azuretoken.Tokens:
    if not account.endpoint.startswith("https://"):
        raise Later(Reply(Answer.DENIED, "a token is sent over https only, and the endpoint is not"))
    from . import azuretoken

    return azuretoken.Tokens(identity, account.token_file)


def code_of(error: Exception) -> str:
    """Return the service's own code for an error of the SDK, which has it as an enum or as a text; empty if none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _not_ours(_record: logging.LogRecord) -> bool:
    return threading.current_thread().name != SHIPPER_THREAD
