"""What each answer of Blob Storage means; a directory in its place answers in the same words."""

from __future__ import annotations

import enum
import typing

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""How long an answer is waited for, at most."""


class Answer(enum.Enum):
    """What is known after a request."""

    DONE = "done"
    POSITION = "somebody wrote at this position"
    NO_BLOB = "the blob does not exist"
    EXISTS = "the blob exists"
    FULL = "nothing more can be appended to this blob: it is full"
    SEALED = "nothing more can be appended to this blob: it is sealed"
    IMMUTABLE = "nothing can be appended to this blob: a policy of the container forbids it"
    NO_APPEND_BLOB = "nothing can be appended to this blob: it is a block blob, or one of pages"
    ARCHIVED = "nothing can be appended to this blob: it is archived, or on its way back"
    FOREIGN_KEY = "nothing can be appended to this blob: somebody made it with a key of his own"
    DATA_LAKE = "nothing can be appended to this blob: it was made through the Data Lake endpoint"
    DIRECTORY = "nothing can be appended to this blob: it is a directory of the hierarchical namespace"
    NO_NAME = "no file could be found that takes appends"
    AMBIGUOUS = "the request may or may not have been applied"
    DENIED = "the credential is refused"
    NO_CONTAINER = "the container does not exist"
    REFUSED = "the request is refused"
    DISK = "the disk refuses it"


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
        """The service's own code, or a disk's (``ENOSPC``); empty where the answer has none, or there is no answer."""
        status, _, code = self.detail.partition(" ")
        if status.isdigit():
            return code.partition(",")[0]
        return status if status.isupper() and status.startswith("E") else ""


class NotDone(Exception):  # noqa: N818 (not an error: the rows are safe and will be tried again)
    """What was asked for could not be done now."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.answer.value} ({reply.detail})")
        self.reply = reply


class Stopped(Exception):  # noqa: N818 (as above)
    """Nothing was sent: there is an end to what this process ships."""


_ENDED_CODES = {
    "BlobArchived": Answer.ARCHIVED,
    "BlobBeingRehydrated": Answer.ARCHIVED,
    "BlobImmutableDueToLegalHold": Answer.IMMUTABLE,
    "BlobImmutableDueToPolicy": Answer.IMMUTABLE,
    "BlobIsSealed": Answer.SEALED,
    "BlobOperationNotSupported": Answer.DATA_LAKE,
    "BlobUsesCustomerSpecifiedEncryption": Answer.FOREIGN_KEY,
    "BlockCountExceedsLimit": Answer.FULL,
    "InvalidBlobType": Answer.NO_APPEND_BLOB,
    "MaxBlobSizeConditionNotMet": Answer.FULL,
    "OperationNotSupportedOnDirectory": Answer.DIRECTORY,
}
ENDED = frozenset(_ENDED_CODES.values())
"""Nothing can be appended to this blob, whoever asks, so that another name helps."""
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
    if code in _ENDED_CODES:
        return _ENDED_CODES[code]
    if status == 412 and code in _POSITION_CODES:  # others: somebody holds a lease
        return Answer.POSITION
    if code == "BlobAlreadyExists":
        return Answer.EXISTS
    return Answer.REFUSED
