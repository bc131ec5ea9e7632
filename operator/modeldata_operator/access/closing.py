"""The SAS of a Job that closes days: for one container, with more rights than pods have, for as long as the Job lives.

It lies in the operator's namespace alone, where no tenant reads Secrets.
"""

from datetime import UTC, datetime, timedelta

from ..api.reasons import Reason
from ..api.resources import Storage
from . import credentials, sas
from .credentials import CLOCK_SKEW, CredentialError, Delegation, GivenSas, Source

LEAST = timedelta(minutes=10)
"""A Job with less time would hardly begin."""


def lifetime(source: Source, *, most: timedelta, deletes: bool, now: datetime) -> timedelta:
    """Say how long a Job may take: no longer than what signs its SAS, or than the SAS that was given.

    Raises:
        CredentialError: no day can be closed with this credential now.

    """
    end = None
    if isinstance(source, GivenSas):
        given = sas.parse(source.token)
        lacks = sas.closing_shortcomings(given, deletes=deletes)
        if lacks:
            message = f"the given SAS is not enough to close days: {'; '.join(lacks)}"
            raise CredentialError(Reason.SAS_INSUFFICIENT, message)
        end = given.expiry
    elif isinstance(source, Delegation):
        end = source.end
    left = most if end is None else min(most, end - now)
    if left < LEAST:
        raise CredentialError(Reason.SAS_EXPIRES_SOON, "the present credential ends too soon to close days with it")
    return timedelta(seconds=int(left.total_seconds()))


def token(source: Source, storage: Storage, *, deletes: bool, start: datetime, end: datetime) -> str:
    """Sign the SAS of a Job that runs from start to end; a given one is handed on as it is."""
    if isinstance(source, GivenSas):
        return source.token
    start, end = start.astimezone(UTC) - CLOCK_SKEW, end.astimezone(UTC)
    if isinstance(source, Delegation):
        start, end = max(start, source.start), min(end, source.end)
    permissions = sas.closing_needs(deletes=deletes)
    return credentials.signed(source, storage, permissions=permissions, start=start, expiry=end)
