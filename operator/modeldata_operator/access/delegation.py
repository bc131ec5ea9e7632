"""The operator's own Azure identity: user delegation keys, which sign a SAS as an account's key does, for hours.

No secret of the account is stored anywhere: the operator signs in as its pod's workload identity, or as the node if it
was told to, and asks the account for a key that ends with the SAS it signs. Whom it may serve is decided before
anything here is called (permission.py): its token is only ever shown to an endpoint that a grant names.

Never in the way of anything: each request is a task of its own, and what came of it is read at the next reconcile.
"""

import asyncio
import logging
import os
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity.aio import ManagedIdentityCredential, WorkloadIdentityCredential
from azure.storage.blob import UserDelegationKey
from azure.storage.blob.aio import BlobServiceClient

from .. import ending
from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import Storage
from ..configuration import OwnIdentity
from ..observe import metrics
from .credentials import CLOCK_SKEW, RENEWED_WITH_LEFT, CredentialError, Delegation

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3
READ_TIMEOUT = 5
DEADLINE = 15.0
"""Seconds for both requests: the token's, and the key's."""
AGAIN_AFTER = timedelta(seconds=20)
"""How soon after a failure it is tried again: a healed account is noticed within a minute."""

CLIENT_VARIABLE = "AZURE_CLIENT_ID"

_WAY_OUT = "see docs/credentials.md, operatorIdentity"

Identity: TypeAlias = ManagedIdentityCredential | WorkloadIdentityCredential


class Keys(Protocol):
    """Where user delegation keys come from."""

    async def ask(self, endpoint: str, start: datetime, end: datetime) -> UserDelegationKey:
        """Return a key for this time.

        Raises:
            CredentialError: there is none.

        """

    async def close(self) -> None:
        """Close the connections."""


class AzureKeys:
    """Keys that a storage account gives to the operator's identity."""

    def __init__(self, kind: OwnIdentity) -> None:
        self._kind = kind
        self._identity: Identity | None = None

    async def ask(self, endpoint: str, start: datetime, end: datetime) -> UserDelegationKey:
        """Sign in if need be, and return a key for this time."""
        try:
            self._identity = self._identity or signed_in(self._kind)
            async with BlobServiceClient(
                endpoint,
                credential=self._identity,
                retry_total=0,
                # What was granted is this endpoint, and not what it points to.
                permit_redirects=False,
                connection_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
            ) as service:
                return await service.get_user_delegation_key(start, end)
        except HttpResponseError as error:
            raise _refusal(endpoint, error) from None
        except AzureError as error:
            message = f"the operator can't reach {endpoint}, or who would give it a token ({type(error).__name__})"
            raise CredentialError(Reason.STORAGE_UNREACHABLE, message) from None
        except (OSError, ValueError) as error:  # no token file, or an environment that makes no sense
            message = f"the operator has no identity of its own as {self._kind} ({type(error).__name__}): {_WAY_OUT}"
            raise CredentialError(Reason.IDENTITY_UNAVAILABLE, message) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._identity is not None:
            await self._identity.close()


@dataclass(slots=True)
class _Target:
    endpoint: str
    signer: Delegation | None = None
    failure: CredentialError | None = None
    tried: datetime | None = None
    task: asyncio.Task[None] | None = None


class Delegations:
    """Keeps a user delegation key for each collection that wants one, renewed before half its life."""

    def __init__(
        self,
        keys: Keys,
        changed: Callable[[ObjectKey], None],
        *,
        lifetime: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._changed = changed
        self._lifetime = lifetime
        self._clock = clock
        self._targets: dict[ObjectKey, _Target] = {}

    def signer(self, key: ObjectKey, storage: Storage) -> Delegation:
        """Return what signs a collection's SAS now, and ask for the next one if it is due.

        Raises:
            CredentialError: there is none; ``CREDENTIALS_UNKNOWN`` while the first is being asked for.

        """
        target = self._targets.get(key)
        if target is None or target.endpoint != storage.endpoint:
            self.forget(key)
            target = self._targets[key] = _Target(storage.endpoint)
        now, present = self._clock(), target.signer
        rested = target.tried is None or target.failure is None or now - target.tried > AGAIN_AFTER
        due = present is None or present.end - now < self._lifetime * RENEWED_WITH_LEFT
        if due and rested and target.task is None:
            target.task = asyncio.create_task(self._run(key, target))
        if present is not None and present.end > now:
            return present if target.failure is None else replace(present, note=f"not renewed: {target.failure}")
        message = f"the operator asks {storage.endpoint} for a user delegation key"
        raise target.failure or CredentialError(Reason.CREDENTIALS_UNKNOWN, message)

    def forget(self, key: ObjectKey) -> None:
        """Drop what is known for a collection."""
        target = self._targets.pop(key, None)
        if target is not None and target.task is not None:
            target.task.cancel()

    async def close(self) -> None:
        """Ask no more, and close the connections."""
        tasks = [target.task for target in self._targets.values() if target.task is not None]
        for key in list(self._targets):
            self.forget(key)
        await ending.end(tasks)
        await self._keys.close()

    async def _run(self, key: ObjectKey, target: _Target) -> None:
        before = target.failure
        now = self._clock().astimezone(UTC).replace(microsecond=0)
        start, end = now - CLOCK_SKEW, now + self._lifetime
        try:
            async with asyncio.timeout(DEADLINE):
                found = await self._keys.ask(target.endpoint, start, end)
            target.signer, target.failure = Delegation(account_name(target.endpoint), found, start, end), None
        except CredentialError as failure:
            target.failure = failure
        except TimeoutError:
            target.failure = CredentialError(Reason.STORAGE_UNREACHABLE, f"{target.endpoint} did not answer in time")
        finally:
            target.tried, target.task = self._clock(), None
        if target.failure is not None and target.signer is not None:
            # The key before it still signs, so that no look at the credential finds anything wrong yet.
            metrics.CREDENTIAL_FAILURES.labels(target.failure.reason.value).inc()
        if target.failure is None or str(target.failure) != str(before):
            logger.info("delegation collection=%s found=%s", key, target.failure.reason if target.failure else "ok")
            self._changed(key)


def signed_in(kind: OwnIdentity) -> Identity:
    """Return the operator's identity.

    Raises:
        ValueError: it is to sign in by the service account's token, and there is none. The node's identity never takes
            its place unasked: it may be allowed much that has nothing to do with models.

    """
    if kind is OwnIdentity.MANAGED:
        return ManagedIdentityCredential(client_id=os.environ.get(CLIENT_VARIABLE), retry_total=1)
    return WorkloadIdentityCredential(retry_total=0, connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)


def account_name(endpoint: str) -> str:
    """Name the account of an endpoint: the host's first part, or the path of an emulator's."""
    url = urllib.parse.urlsplit(endpoint)
    return url.path.strip("/") or (url.hostname or "").partition(".")[0]


def _refusal(endpoint: str, error: HttpResponseError) -> CredentialError:
    known = getattr(error, "error_code", None)
    code = getattr(known, "value", known)
    if code is None and error.status_code in range(300, 400):
        return CredentialError(
            Reason.STORAGE_REFUSED, f"{endpoint} points elsewhere ({error.status_code}), which was not granted"
        )
    if code is None:  # not the storage account's answer
        message = f"the operator's own identity gets no token ({error.status_code or 'it has none'}): {_WAY_OUT}"
        return CredentialError(Reason.IDENTITY_UNAVAILABLE, message)
    message = (
        f"{endpoint} gives the operator's identity no user delegation key ({error.status_code} {code}); "
        "it needs the roles Storage Blob Delegator and Storage Blob Data Contributor"
    )
    return CredentialError(Reason.IDENTITY_REJECTED, message)
