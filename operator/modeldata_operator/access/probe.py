"""Looking at the storage account from the operator: the container is made if need be, and what is refused is found.

Which endpoints are looked at is decided elsewhere (decide/hosts.py): nothing that a tenant writes makes the operator
dial an address of the tenant's choice. Never in the way of anything: each look is a task of its own, and what it found
is read at the next reconcile.
"""

import asyncio
import email.utils
import logging
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.storage.blob.aio import ContainerClient

from .. import ending
from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import Storage
from ..observe import metrics
from . import credentials
from .credentials import Account, Delegation, GivenSas, Source

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3
READ_TIMEOUT = 5
DEADLINE = 10.0
GOOD_FOR = 20.0
"""Seconds that a look counts, so that every resync looks: a key that was revoked is noticed within a minute."""
LOOKS_AT_ONCE = 16
"""One costs some 2 ms of CPU and a connection."""
NOBODYS_BLOB = ".modeldata/nobody-makes-this"
"""Appended to, to see whether a SAS is taken: that it is not there is the good answer."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the container found; no reason means that all is well."""

    reason: Reason | None
    message: str


@dataclass(frozen=True, slots=True)
class _Place:
    """What is looked at: many collections may share it."""

    source: Source
    endpoint: str
    container: str


@dataclass(slots=True)
class _Target:
    storage: Storage
    holders: set[tuple[ObjectKey, str]]
    look: Look | None = None
    looked: float = 0.0
    task: asyncio.Task[None] | None = None


class ContainerWatch:
    """Keeps one look per container and key or SAS."""

    def __init__(self, changed: Callable[[ObjectKey], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = changed
        self._clock = clock
        self._places: dict[ObjectKey, dict[str, _Place]] = {}
        self._targets: dict[_Place, _Target] = {}
        self._slots = asyncio.Semaphore(LOOKS_AT_ONCE)

    def look(self, key: ObjectKey, namespace: str, source: Source, storage: Storage) -> Look | None:
        """Return the latest look at this very container with this very key or SAS; start another one if it is due.

        A collection has a container for each namespace that it serves, or one for all.
        """
        place = _Place(source, storage.endpoint, storage.container)
        places = self._places.setdefault(key, {})
        if places.get(namespace) != place:
            self._leave(key, namespace)
            places[namespace] = place
        target = self._targets.setdefault(place, _Target(storage, set()))
        target.holders.add((key, namespace))
        due = target.look is None or self._clock() - target.looked > GOOD_FOR
        if due and target.task is None:
            target.task = asyncio.create_task(self._run(place, target))
        return target.look

    def first_looks(self, key: ObjectKey) -> frozenset[str]:
        """Name the namespaces of whose container it is still being found out for the first time how it is."""
        places = self._places.get(key, {})
        return frozenset(namespace for namespace, place in places.items() if self._targets[place].look is None)

    def keep(self, key: ObjectKey, namespaces: Set[str]) -> None:
        """Drop what is known for namespaces that a collection does not serve any more."""
        for namespace in set(self._places.get(key, ())) - namespaces:
            self._leave(key, namespace)

    def forget(self, key: ObjectKey) -> None:
        """Drop what is known of a collection."""
        self.keep(key, set())
        self._places.pop(key, None)

    def _leave(self, key: ObjectKey, namespace: str) -> None:
        place = self._places[key].pop(namespace, None)
        if place is None:
            return
        target = self._targets[place]
        target.holders.discard((key, namespace))
        if not target.holders:
            del self._targets[place]
            if target.task is not None:
                target.task.cancel()

    async def close(self) -> None:
        """Look no more."""
        await ending.end([target.task for target in self._targets.values() if target.task is not None])

    async def _run(self, place: _Place, target: _Target) -> None:
        before = target.look
        try:
            async with self._slots, asyncio.timeout(DEADLINE):
                target.look = await look_at(place.source, target.storage)
        except TimeoutError:
            target.look = Look(Reason.STORAGE_UNREACHABLE, f"{place.endpoint} did not answer in time")
        finally:
            target.looked, target.task = self._clock(), None
        if target.look.reason is not None:
            metrics.CREDENTIAL_FAILURES.labels(target.look.reason.value).inc()
        if target.look != before:
            for key in sorted({key for key, _ in target.holders}):
                logger.info("container collection=%s found=%s", key, target.look.reason or "ok")
                self._changed(key)


async def look_at(source: Source, storage: Storage) -> Look:
    """See whether storage takes the key or SAS; with the account's key, make the container."""
    clock = _StorageClock()
    try:
        async with _container(source, storage, clock) as container:
            if isinstance(source, Account):
                await _ensure_container(container)
            else:
                await _append_nowhere(container)
    except HttpResponseError as error:
        return clock.skewed() or _refused(error, source, storage)
    except ServiceRequestError:
        return Look(Reason.STORAGE_UNREACHABLE, f"{storage.endpoint} can't be reached from the operator")
    except (AzureError, ValueError) as error:
        return Look(Reason.STORAGE_UNREACHABLE, f"{storage.endpoint}: {type(error).__name__}")
    return clock.skewed() or Look(None, "")


async def _ensure_container(container: ContainerClient) -> None:
    # That it exists is the usual answer, and asking costs a tenth of trying to create it.
    try:
        await container.get_container_properties()
    except ResourceNotFoundError:
        try:
            await container.create_container()
        except ResourceExistsError:
            return


async def _append_nowhere(container: ContainerClient) -> None:
    try:
        await container.get_blob_client(NOBODYS_BLOB).append_block(b"-")
    except ResourceNotFoundError as error:
        if _code(error) != "BlobNotFound":
            raise


class _StorageClock:
    """Compares storage's clock, as its answers show it, with this machine's."""

    def __init__(self) -> None:
        self._ahead: timedelta | None = None

    def read(self, response: Any) -> None:
        """Take the time from an answer."""
        headers: Mapping[str, str] = response.http_response.headers
        try:
            there = email.utils.parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return
        self._ahead = datetime.now(UTC) - there

    def skewed(self) -> Look | None:
        """Say so if a SAS minted by this clock may not be valid by storage's."""
        if self._ahead is None or abs(self._ahead) < credentials.CLOCK_SKEW / 2:
            return None
        minutes = round(abs(self._ahead).total_seconds() / 60)
        direction = "ahead of" if self._ahead > timedelta(0) else "behind"
        return Look(
            Reason.CLOCK_SKEW,
            f"the operator's clock is {minutes} minutes {direction} that of storage: set the clock of its node",
        )


def _container(source: Source, storage: Storage, clock: _StorageClock) -> ContainerClient:
    credential: Any
    match source:
        case Account():
            credential = {"account_name": source.name, "account_key": source.key}
        case Delegation():
            # The pods' own kind of SAS: it may do what its identity may, so having signed it proves nothing.
            credential = credentials.mint(source, storage, start=source.start, expiry=source.end)
        case GivenSas():
            credential = source.token
    return ContainerClient(
        account_url=storage.endpoint,
        container_name=storage.container,
        credential=credential,
        retry_total=0,
        # Whether this endpoint may be dialled was decided; nobody has decided on what it points to.
        permit_redirects=False,
        connection_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        raw_response_hook=clock.read,
    )


def _refused(error: HttpResponseError, source: Source, storage: Storage) -> Look:
    code = _code(error)
    if code == "AuthorizationSourceIPMismatch":
        return Look(Reason.STORAGE_UNREACHABLE, f"{storage.endpoint} takes the SAS from other addresses ({code})")
    if error.status_code in (401, 403):
        if isinstance(source, GivenSas):
            return Look(Reason.SAS_REJECTED, f"{storage.endpoint} rejected the given SAS ({code})")
        if isinstance(source, Delegation):
            message = f"{storage.endpoint} lets the operator's identity not append to {storage.container} ({code})"
            return Look(Reason.IDENTITY_REJECTED, f"{message}; it needs the role Storage Blob Data Contributor")
        return Look(Reason.KEY_REJECTED, f"{storage.endpoint} rejected the account key ({code})")
    if code == "ContainerNotFound":
        return Look(
            Reason.STORAGE_REFUSED, f"container {storage.container} does not exist: create it, a SAS for it can't"
        )
    return Look(Reason.STORAGE_REFUSED, f"{storage.endpoint} refused container {storage.container} ({code})")


def _code(error: HttpResponseError) -> str:
    known = getattr(error, "error_code", None)
    return str(getattr(known, "value", known) or error.status_code)  # an enum for some codes, a text for others
