"""Why storage keeps rows waiting: a name for each of its refusals, and what a person has to do.

The names are what ``stats()``, the metrics and the log call it, so they stay as they are.
"""

from __future__ import annotations

import enum

from . import storage


class Cause(str, enum.Enum):
    """What is behind an answer that is no success."""

    IMMUTABLE = "immutable"
    LEASE = "lease"
    ENCRYPTION = "encryption"
    DIRECTORY = "directory"
    NAMES = "no_free_name"
    CONTENDED = "contended"
    CREDENTIAL = "credential"
    FORBIDDEN = "forbidden"
    ACCOUNT = "account_disabled"
    CONTAINER = "container"
    BUSY = "busy"
    UNREACHABLE = "unreachable"
    OTHER = "other"

    @property
    def way_out(self) -> str:
        """What a person can do about it."""
        return _WAYS_OUT[self]


_WAYS_OUT = {
    Cause.IMMUTABLE: (
        "a retention policy or legal hold forbids appends: allow protected append writes in the container's policy,"
        " or name another container"
    ),
    Cause.LEASE: "somebody holds a lease: end it (az storage blob lease break, or container lease break)",
    Cause.ENCRYPTION: "mend the account's or container's encryption: a scope, a key, or the vault that it is in",
    Cause.DIRECTORY: "the account has a hierarchical namespace: move the file that stands where a folder has to be",
    Cause.NAMES: "remove from this folder what is no append blob, or change storage.path",
    Cause.CONTENDED: "something else writes, or deletes, this file all the time: end it, or use file: PerPod",
    Cause.CREDENTIAL: "give a new credential (python -m modeldata doctor says what is wrong with it)",
    Cause.FORBIDDEN: "let this credential add and create here (Shared: and read): its permissions, conditions, network",
    Cause.ACCOUNT: "enable the account again, or wait until its failover is over",
    Cause.CONTAINER: "make the container, or enable it",
    Cause.BUSY: "nothing: it is tried again by itself; if it lasts, ask for the account's limits and Azure's status",
    Cause.UNREACHABLE: "let this pod reach the endpoint: its name, network policies, firewalls, proxies",
    Cause.OTHER: "see the service's code; docs/client.md has what to do",
}

_BY_CODE = {
    **dict.fromkeys(storage.IMMUTABLE_CODES, Cause.IMMUTABLE),
    "AccountBeingCreated": Cause.ACCOUNT,
    "AccountIsDisabled": Cause.ACCOUNT,
    "AuthenticationFailed": Cause.CREDENTIAL,
    "AuthorizationFailure": Cause.FORBIDDEN,
    "BlobUsesCustomerSpecifiedEncryption": Cause.ENCRYPTION,
    "InvalidAuthenticationInfo": Cause.CREDENTIAL,
    "NoAuthenticationInformation": Cause.CREDENTIAL,
    "OperationNotSupportedOnDirectory": Cause.DIRECTORY,
    "PathAlreadyExists": Cause.DIRECTORY,
    "PathConflict": Cause.DIRECTORY,
    "RequestForbiddenByContainerEncryptionPolicy": Cause.ENCRYPTION,
    "ResourceTypeMismatch": Cause.DIRECTORY,
}
_BY_BEGINNING = {"Lease": Cause.LEASE, "KeyVault": Cause.ENCRYPTION, "EncryptionScope": Cause.ENCRYPTION}
_BY_ANSWER = {
    storage.Answer.CLOSED: Cause.NAMES,
    storage.Answer.DENIED: Cause.CREDENTIAL,
    storage.Answer.NO_BLOB: Cause.CONTENDED,
    storage.Answer.NO_CONTAINER: Cause.CONTAINER,
    storage.Answer.POSITION: Cause.CONTENDED,
}


def cause(reply: storage.Reply) -> Cause:
    """Return what is behind an answer."""
    known = _BY_CODE.get(reply.code)
    if known is not None:
        return known
    for beginning, named in _BY_BEGINNING.items():
        if reply.code.startswith(beginning):
            return named
    if reply.answer is storage.Answer.DENIED and reply.code:
        return Cause.FORBIDDEN
    if reply.answer is storage.Answer.AMBIGUOUS:
        return Cause.BUSY if reply.detail[:1].isdigit() else Cause.UNREACHABLE
    return _BY_ANSWER.get(reply.answer, Cause.OTHER)


def concerns_all(reply: storage.Reply) -> bool:
    """Return whether an answer may be one to every file of a container, though a file that is missing says otherwise.

    Lost for it are rows only where others have arrived meanwhile.
    """
    return reply.answer is not storage.Answer.REFUSED or cause(reply) in (Cause.ENCRYPTION, Cause.DIRECTORY)


def no_name(asked: int) -> str:
    """Return the detail of a search that found no file to write to."""
    return f"{asked} files in a row can't be written"
