"""Blob Storage as the appender needs it: four requests.

azure-storage-blob is imported when the first rows are to be shipped, in the shipper's thread: it costs 0.1 s and 30 MB.
Its own retries are off: they repeat an append that was applied (measured: 40 of 300 rows twice at 10 % lost answers).
"""

from __future__ import annotations

import logging
import threading
import typing

from ...threads import forking, names
from . import answers, sdk

if typing.TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from . import credentials


class Requests(typing.Protocol):
    """What the appender asks of a container: ``Blobs`` is one, ``directory.container.Directory`` the other."""

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        """Append a block if the blob is exactly ``position`` bytes long."""

    def create(self, name: str) -> answers.Reply:
        """Create an empty append blob unless there is a blob of this name."""

    def size(self, name: str) -> tuple[answers.Reply, int]:
        """Return the length of a blob in bytes."""

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        """Return a range of a blob; less than ``length`` where the blob ends before."""


class Container(Requests, typing.Protocol):
    """A container that is kept open."""

    account: credentials.Account
    read_seconds: float

    def refresh_credential(self) -> bool:
        """Look for a newer credential; return whether there is one."""

    def restore_credential(self) -> None:
        """Go back to the credential that was last not refused."""

    def close(self) -> None:
        """Close the connections."""


_NOISY = (
    "urllib3.connectionpool",  # each URL at DEBUG, and ours hold the signature
    "azure.core.pipeline.policies.http_logging_policy",  # each request at INFO, in ten lines
    "azure.core.pipeline.transport._requests_basic",  # what the reply tells anyway
    "azure.identity._internal.get_token_mixin",  # each failure at WARNING
    "azure.identity._internal.decorators",  # where older ones do so
)
_MOST_CLIENTS = 100


class Blobs:
    """One container. Not shared between processes: an inherited connection mixes the bytes of two."""

    def __init__(self, account: credentials.Account, credential: credentials.Credential) -> None:
        self.account = account
        self.read_seconds: float = answers.READ_SECONDS
        """How long an answer is waited for."""
        self._credential = credential
        self._clients: dict[str, BlobClient] = {}
        """By the blob's name: making one takes as long as encoding 100 rows."""
        for noisy in _NOISY:
            logging.getLogger(noisy).addFilter(_not_ours)
        sdk.load()
        with forking.gate.here():  # the client's constructor imports too
            import azure.core.exceptions
            import azure.storage.blob

            self._azure_errors = azure.core.exceptions
            self._container = azure.storage.blob.ContainerClient(
                account.endpoint,
                account.container,
                credential=credential.for_sdk,
                retry_total=0,
                connection_timeout=answers.CONNECT_SECONDS,
                max_single_get_size=8 * 1024 * 1024,
            )

    def refresh_credential(self) -> bool:
        """Look for a newer credential; return whether there is one."""
        return self._credential.refresh()

    def restore_credential(self) -> None:
        """Go back to the credential that was last not refused: one that was read since is the next storage's."""
        self._credential.restore()

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        """Append a block if the blob is exactly ``position`` bytes long."""
        answer: dict[str, typing.Any] = {}
        seconds = self.read_seconds
        reply = self._try(
            lambda: answer.update(
                self._client(name).append_block(data, appendpos_condition=position, read_timeout=seconds)
            )
        )
        return reply._replace(blocks=answer.get("blob_committed_block_count") or 0)

    def create(self, name: str) -> answers.Reply:
        """Create an empty append blob unless there is a blob of this name."""
        from azure.core import MatchConditions
        from azure.storage.blob import ContentSettings

        return self._try(
            lambda: self._client(name).create_append_blob(
                match_condition=MatchConditions.IfMissing,
                read_timeout=self.read_seconds,
                content_settings=ContentSettings(content_type="text/csv; charset=utf-8"),
            )
        )

    def size(self, name: str) -> tuple[answers.Reply, int]:
        """Return the length of a blob in bytes."""
        length = 0

        def look() -> None:
            nonlocal length
            length = self._client(name).get_blob_properties(read_timeout=self.read_seconds).size

        return self._try(look), length

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        """Return a range of a blob; less than ``length`` where the blob ends before."""
        data, expected = b"", 0

        def look() -> None:
            nonlocal data, expected
            download = self._client(name).download_blob(offset=start, length=length, read_timeout=self.read_seconds)
            expected, data = download.size, download.readall()

        reply = self._try(look)
        if reply.detail.startswith("416"):  # the blob ends before the range begins
            return answers.Reply(answers.Answer.DONE), b""
        if reply.answer is answers.Answer.DONE and len(data) != expected:
            # urllib3 before 2.0 takes an answer that was cut for a whole one.
            return answers.Reply(answers.Answer.AMBIGUOUS, "cut short"), b""
        return reply, data

    def close(self) -> None:
        """Close the connections."""
        self._container.close()
        self._credential.close()

    def _client(self, name: str) -> BlobClient:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= _MOST_CLIENTS:  # the files of days before
                self._clients.clear()
            client = self._clients[name] = self._container.get_blob_client(name)
        return client

    def _try(self, request: typing.Callable[[], object]) -> answers.Reply:
        reply = self._asked(request)
        if reply.answer not in (answers.Answer.DENIED, answers.Answer.AMBIGUOUS):
            self._credential.accepted()
        return reply

    def _asked(self, request: typing.Callable[[], object]) -> answers.Reply:
        missing = self._credential.missing()
        if missing:
            return answers.Reply(answers.Answer.DENIED, missing)
        try:
            request()
        except answers.NotDone as undone:  # there is no token
            return undone.reply
        except self._azure_errors.HttpResponseError as error:
            code = code_of(error)
            answer = answers.classify(error.status_code, code)
            if answer is answers.Answer.DONE:  # the answer's head was good, its body was not
                answer = answers.Answer.AMBIGUOUS
            if error.status_code == 401 or code == "AuthenticationFailed":
                self._credential.forget()  # it is the credential that is refused, and not what it may do
            headers: typing.Mapping[str, str] = getattr(error.response, "headers", {})
            wait = headers.get("Retry-After", "")
            return answers.Reply(answer, f"{error.status_code} {code}", float(wait) if wait.isdigit() else 0.0)
        except (self._azure_errors.AzureError, ValueError) as error:  # of the SDK, where an answer was cut
            return answers.Reply(answers.Answer.AMBIGUOUS, type(error).__name__)
        return answers.Reply(answers.Answer.DONE)


def code_of(error: Exception) -> str:
    """Return the service's own code for an error of the SDK, which has it as an enum or as a text; empty if none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _not_ours(_record: logging.LogRecord) -> bool:
    return threading.current_thread().name != names.SHIPPER
