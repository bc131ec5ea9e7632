"""Looking at the storage account from the operator: the container is made if it is not there, and a bad key is found.

Never in the way of anything: each look is a task of its own, and what it found is read at the next reconcile.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ServiceRequestError
from azure.storage.blob.aio import ContainerClient

from .credentials import Account
from .reasons import Reason
from .resources import ObjectKey, Storage

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3
READ_TIMEOUT = 5
DEADLINE = 10.0
GOOD_FOR = 600.0
"""Seconds until a container that was there is looked for again."""
BAD_FOR = 20.0
"""Seconds until a failed look is repeated: a healed account is noticed within a minute."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the container found; no reason means that all is well."""

    reason: Reason | None
    message: str


@dataclass(slots=True)
class _Target:
    account: Account
    storage: Storage
    look: Look | None = None
    looked: float = 0.0
    task: asyncio.Task[None] | None = None


class ContainerWatch:
    """Keeps one look per collection."""

    def __init__(self, changed: Callable[[ObjectKey], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = changed
        self._clock = clock
        self._targets: dict[ObjectKey, _Target] = {}

    def look(self, key: ObjectKey, account: Account, storage: Storage) -> Look | None:
        """Return the latest look at this very container with this very key, and start another one if it is due."""
        target = self._targets.get(key)
        if target is None or target.account != account or target.storage != storage:
            self.forget(key)
            target = self._targets[key] = _Target(account, storage)
        age = self._clock() - target.looked
        due = target.look is None or age > (GOOD_FOR if target.look.reason is None else BAD_FOR)
        if due and target.task is None:
            target.task = asyncio.create_task(self._run(key, target))
        return target.look

    def forget(self, key: ObjectKey) -> None:
        """Drop what is known of a collection."""
        target = self._targets.pop(key, None)
        if target is not None and target.task is not None:
            target.task.cancel()

    async def _run(self, key: ObjectKey, target: _Target) -> None:
        before = target.look
        try:
            async with asyncio.timeout(DEADLINE):
                target.look = await ensure_container(target.account, target.storage)
        except TimeoutError:
            target.look = Look(Reason.STORAGE_UNREACHABLE, f"{target.storage.endpoint} did not answer in time")
        finally:
            target.looked, target.task = self._clock(), None
        if target.look != before:
            logger.info("container collection=%s found=%s", key, target.look.reason or "ok")
            self._changed(key)


async def ensure_container(account: Account, storage: Storage) -> Look:
    """Create the container; that it exists already is the usual answer."""
    try:
        async with ContainerClient(
            account_url=storage.endpoint,
            container_name=storage.container,
            credential={"account_name": account.name, "account_key": account.key},
            retry_total=0,
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
        ) as container:
            await container.create_container()
    except ResourceExistsError:
        return Look(None, "")
    except HttpResponseError as error:
        known = getattr(error, "error_code", None)
        code = getattr(known, "value", known) or error.status_code  # an enum for some codes, a text for others
        if error.status_code in (401, 403):
            return Look(Reason.KEY_REJECTED, f"{storage.endpoint} rejected the account key ({code})")
        return Look(Reason.STORAGE_REFUSED, f"{storage.endpoint} refused container {storage.container} ({code})")
    except ServiceRequestError:
        return Look(Reason.STORAGE_UNREACHABLE, f"{storage.endpoint} can't be reached from the operator")
    except (AzureError, ValueError) as error:
        return Look(Reason.STORAGE_UNREACHABLE, f"{storage.endpoint}: {type(error).__name__}")
    return Look(None, "")
