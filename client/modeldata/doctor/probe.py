"""Whether storage can be reached with a credential, asked by a request that can't change anything.

The request appends one byte to a blob that is not there, at a position that no append blob has. It needs the right that
rows need (``a``), works with every SAS that delivers, and whatever answers it, no blob comes to be:

====================================  ============================================================================
404 BlobNotFound                      proves: reached, the container is there, the signature is right (so ``sp`` and
                                      ``se``, which it signs, are what they say), and appending is allowed
404 ContainerNotFound                 reached, but the container is not there
403 AuthenticationFailed              the signature is wrong, or the SAS is not valid at this time
403 AuthorizationPermissionMismatch   the SAS is right and may not append
403 AuthorizationFailure              the account's network rules refuse this pod (an emulator says so of a wrong SAS)
408, 429, 5xx                         reached, but busy: rows wait
====================================  ============================================================================
"""

from __future__ import annotations

import dataclasses
import email.utils
import socket
import ssl
import time
import typing
import uuid

from .. import settings
from ..delivery.azure import answers, blobs, refusal
from ..observe import causes
from . import findings

if typing.TYPE_CHECKING:
    from ..delivery.azure import tokens

SUBJECT = "storage"
_NEVER = 2**62
"""A position that no append blob reaches (50,000 blocks of 100 MiB are less than 2**43 bytes)."""

_SKEW_SECONDS = 5.0
"""What is no skew: the Date header has whole seconds, and an answer takes a while."""

_REFUSALS = {
    "AuthenticationFailed": "the SAS has a wrong signature, or is not valid at this time",
    "AuthorizationFailure": "the account's network rules refuse this pod (or, from an emulator: the SAS is not valid)",
    "AuthorizationPermissionMismatch": "the SAS is right, but may not append",
    "AuthorizationProtocolMismatch": "the SAS is for https only",
    "AuthorizationResourceTypeMismatch": "the SAS is not for blobs",
    "AuthorizationServiceMismatch": "the SAS is not for the blob service",
    "AuthorizationSourceIPMismatch": "the SAS is not for this pod's address",
}


_IDENTITY_REFUSALS = {
    "AuthenticationFailed": "the token is refused",
    "AuthorizationFailure": "the account's network rules refuse this pod",
    "AuthorizationPermissionMismatch": "the identity is known, but may not append",
    "InvalidAuthenticationInfo": "the token is refused",
}


_OF_THE_OWNER = (
    causes.Cause.IMMUTABLE,
    causes.Cause.LEASE,
    causes.Cause.ENCRYPTION,
    causes.Cause.DIRECTORY,
    causes.Cause.ACCOUNT,
)
"""What no credential helps against: the owner of the storage has set it."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back, if anything did."""

    status: int | None
    code: str = ""
    server_clock: float | None = None
    """Seconds since the epoch, by the answer's Date header."""
    own_clock: float = 0.0
    problem: str = ""
    """Where there is no answer: why. Not the library's own text, which may hold the signature."""


def ask(where: settings.Storage, token: str | tokens.Tokens) -> Answer:
    """Make the request, with a SAS or signed in.

    Raises:
        answers.NotDone: there is no token to sign in with.
        ImportError: azure-storage-blob is not installed, or is broken.
        ValueError: the endpoint is no URL.

    """
    import azure.core.credentials
    import azure.core.exceptions
    import azure.storage.blob

    client = azure.storage.blob.ContainerClient(
        where.endpoint,
        where.container,
        credential=azure.core.credentials.AzureSasCredential(token) if isinstance(token, str) else token,
        retry_total=0,
        connection_timeout=answers.CONNECT_SECONDS,
        read_timeout=answers.READ_SECONDS,
    )
    with client:
        try:
            client.get_blob_client(f"modeldata-doctor-{uuid.uuid4()}").append_block(b"\n", appendpos_condition=_NEVER)
        except azure.core.exceptions.HttpResponseError as error:
            headers = getattr(error.response, "headers", {})
            date = email.utils.parsedate_tz(headers.get("Date", ""))
            return Answer(
                error.status_code,
                blobs.code_of(error),
                float(email.utils.mktime_tz(date)) if date else None,
                time.time(),
            )
        except azure.core.exceptions.AzureError as error:
            return Answer(None, problem=_cause(error.inner_exception))
    return Answer(201)


def examine(where: settings.Storage, answer: Answer) -> list[findings.Finding]:
    """Return what an answer means."""
    container = f"{where.endpoint}/{where.container}"
    found = [_meaning(container, answer, signed_in=where.identity is not None)]
    if answer.server_clock is not None:
        ahead = answer.own_clock - answer.server_clock
        if abs(ahead) > _SKEW_SECONDS:
            side = "ahead of" if ahead > 0 else "behind"
            text = f"the clock here is {findings.span(abs(ahead))} {side} the service's"
            found.append(findings.warning("clock", text, "$Timestamp and the day in the path are wrong by as much"))
        else:
            found.append(findings.ok("clock", "as the storage service's"))
    return found


def _meaning(container: str, answer: Answer, *, signed_in: bool) -> findings.Finding:
    said = f"{answer.status} {answer.code}".strip()
    known = answers.classify(answer.status, answer.code)
    if answer.status is None:
        way_out = "rows wait; is the endpoint right, and does a network policy or firewall let this pod go there?"
        return findings.wrong(SUBJECT, f"{container} can't be reached: {answer.problem}", way_out)
    if not answer.code and known not in (answers.Answer.AMBIGUOUS, answers.Answer.DONE):
        way_out = "is the endpoint right? is there a proxy in between (HTTPS_PROXY)?"
        return findings.wrong(SUBJECT, f"what answers at {container} is no blob service ({said})", way_out)
    if known in (answers.Answer.NO_BLOB, answers.Answer.POSITION):
        who = "this identity" if signed_in else "this SAS"
        return findings.ok(SUBJECT, f"{container} can be reached, and {who} may append ({said})")
    cause = refusal.cause(answers.Reply(known, said))
    if cause in _OF_THE_OWNER:
        return findings.wrong(SUBJECT, f"{container}: {cause.value} ({said}): rows wait", cause.way_out)
    if answer.code == "ContainerDisabled":
        return findings.wrong(SUBJECT, f"{container} is disabled ({said}): rows wait", "enable the container")
    if known is answers.Answer.NO_CONTAINER:
        return findings.wrong(SUBJECT, f"{container} does not exist ({said}): rows wait", "create the container")
    if known is answers.Answer.DENIED and signed_in:
        why = _IDENTITY_REFUSALS.get(answer.code, "the identity is refused")
        way_out = "give it the role Storage Blob Data Contributor for the container, and ten minutes' time"
        return findings.wrong(SUBJECT, f"{container}: {why} ({said}): rows wait", way_out)
    if known is answers.Answer.DENIED:
        why = _REFUSALS.get(answer.code, "the SAS is refused")
        way_out = "give a SAS for this container, or let this pod's network in; see the lines on the credential above"
        return findings.wrong(SUBJECT, f"{container}: {why} ({said}): rows wait", way_out)
    if known is answers.Answer.AMBIGUOUS:
        way_out = "the client tries again by itself; rows wait"
        return findings.warning(SUBJECT, f"{container} is busy or out of order ({said})", way_out)
    if known is answers.Answer.DONE:
        way_out = "this is no Azure Blob Storage, or something in between: rows may be lost or repeated there"
        return findings.wrong(SUBJECT, f"{container} takes an append at an impossible position", way_out)
    return findings.wrong(
        SUBJECT, f"{container} refuses the request ({said})", "is this the endpoint of a blob service?"
    )


def _cause(error: BaseException | None) -> str:
    """Return what broke a connection: the innermost reason, none of whose texts has an address of ours in it."""
    reasons: list[BaseException] = []
    while error is not None and error not in reasons:
        reasons.append(error)
        error = error.__cause__ or error.__context__
    for reason in reversed(reasons):
        if isinstance(reason, socket.gaierror):
            return "the name can't be resolved"
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {reason.verify_message}"
        if isinstance(reason, ssl.SSLError):
            return f"TLS fails: {reason.reason}"
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror
    return f"no answer ({type(reasons[-1]).__name__})" if reasons else "no answer"
