"""What is behind each answer of Blob Storage that keeps rows waiting."""

from __future__ import annotations

from ...observe import causes
from . import answers

_BY_CODE = {
    "AccountBeingCreated": causes.Cause.ACCOUNT,
    "AccountIsDisabled": causes.Cause.ACCOUNT,
    "AuthenticationFailed": causes.Cause.CREDENTIAL,
    "AuthorizationFailure": causes.Cause.FORBIDDEN,
    "BlobUsesCustomerSpecifiedEncryption": causes.Cause.ENCRYPTION,
    "InvalidAuthenticationInfo": causes.Cause.CREDENTIAL,
    "NoAuthenticationInformation": causes.Cause.CREDENTIAL,
    "OperationNotSupportedOnDirectory": causes.Cause.DIRECTORY,
    "PathAlreadyExists": causes.Cause.DIRECTORY,
    "PathConflict": causes.Cause.DIRECTORY,
    "RequestForbiddenByContainerEncryptionPolicy": causes.Cause.ENCRYPTION,
    "ResourceTypeMismatch": causes.Cause.DIRECTORY,
    # Of a directory in a container's place, as the system calls them.
    "EACCES": causes.Cause.FORBIDDEN,
    "EPERM": causes.Cause.FORBIDDEN,
    "EROFS": causes.Cause.FORBIDDEN,
    "ELOOP": causes.Cause.DIRECTORY,
    "ENOTDIR": causes.Cause.DIRECTORY,
    "EAGAIN": causes.Cause.BUSY,
}
_BY_BEGINNING = {
    "Lease": causes.Cause.LEASE,
    "KeyVault": causes.Cause.ENCRYPTION,
    "EncryptionScope": causes.Cause.ENCRYPTION,
}
_BY_ANSWER = {
    **dict.fromkeys(answers.ENDED, causes.Cause.NAMES),
    answers.Answer.IMMUTABLE: causes.Cause.IMMUTABLE,
    answers.Answer.NO_NAME: causes.Cause.NAMES,
    answers.Answer.DENIED: causes.Cause.CREDENTIAL,
    answers.Answer.NO_BLOB: causes.Cause.CONTENDED,
    answers.Answer.NO_CONTAINER: causes.Cause.CONTAINER,
    answers.Answer.DISK: causes.Cause.DISK,
    answers.Answer.POSITION: causes.Cause.CONTENDED,
}


def cause(reply: answers.Reply) -> causes.Cause:
    """Return what is behind an answer."""
    known = _BY_CODE.get(reply.code)
    if known is not None:
        return known
    for beginning, named in _BY_BEGINNING.items():
        if reply.code.startswith(beginning):
            return named
    if reply.answer is answers.Answer.DENIED and reply.code:
        return causes.Cause.FORBIDDEN
    if reply.answer is answers.Answer.AMBIGUOUS and reply.code[:1] == "E" and not reply.detail[:1].isdigit():
        return causes.Cause.DISK
    if reply.answer is answers.Answer.AMBIGUOUS:
        return causes.Cause.BUSY if reply.detail[:1].isdigit() else causes.Cause.UNREACHABLE
    return _BY_ANSWER.get(reply.answer, causes.Cause.OTHER)


def is_silence(reply: answers.Reply) -> bool:
    """Return whether there was no answer."""
    return cause(reply) is causes.Cause.UNREACHABLE


def concerns_all(reply: answers.Reply) -> bool:
    """Return whether an answer may be one to every file of a container, though a file that is missing says otherwise.

    Lost for it are rows only where others have arrived meanwhile.
    """
    return reply.answer is not answers.Answer.REFUSED or cause(reply) in (
        causes.Cause.ENCRYPTION,
        causes.Cause.DIRECTORY,
    )


def no_name(asked: int) -> answers.Reply:
    """Return what to say of a search that found no file to write to."""
    return answers.Reply(answers.Answer.NO_NAME, f"{asked} files in a row can't be written")
