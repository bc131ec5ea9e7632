"""Standing for the Lease, keeping it, and giving it back."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp

from ..api import lease
from ..api.keys import ObjectKey
from ..api.lease import Lease
from ..decide import leadership
from ..kube import fencing
from ..kube.cluster import Cluster
from ..kube.failures import ApiError
from ..kube.fencing import Fence

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks of somebody who waits, so a Lease that is given back is taken within two seconds."""

RENEW_SECONDS = 2.0
REQUEST_SECONDS = 2.0
"""For one request. A holder has three tries before it has to stop."""

AGAIN_SECONDS = 0.5
"""Between two tries to renew, after one that failed."""

COMPLAIN_SECONDS = 60.0

TROUBLE = (ApiError, aiohttp.ClientError, TimeoutError, OSError)


def identity() -> str:
    """Name this process, and no other: a container that is started anew in its pod has the same host name."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Election:
    """One who would lead."""

    def __init__(
        self, cluster: Cluster, key: ObjectKey, *, me: str, clock: Callable[[], float] = fencing.clock
    ) -> None:
        self.me = me
        self._cluster = cluster
        self._key = key
        self._clock = clock
        self._sighting: leadership.Sighting | None = None
        self._held: Lease | None = None
        self._answered_since: float | None = None
        self._complained_at = float("-inf")

    @property
    def answered_for(self) -> float:
        """Return for how many seconds each request of this has been answered; 0: the last was not."""
        return 0.0 if self._answered_since is None else self._clock() - self._answered_since

    @property
    def answered(self) -> bool:
        """Tell whether the API server let this look at the Lease, or write it, the last time."""
        return self._answered_since is not None

    async def acquire(self, expecting: Callable[[bool], None]) -> Fence:
        """Wait until the Lease is ours, however long that takes.

        Args:
            expecting: hears after each look whether its holder has stopped, so that it is likely to be ours soon.

        Returns:
            a fence that is open for as long as the Lease may be used.

        """
        while True:
            wait = LOOK_SECONDS
            try:
                found = await self._cluster.get_lease(self._key, seconds=REQUEST_SECONDS)
                self._heard()
                now = self._clock()
                before, self._sighting = self._sighting, leadership.sighted(self._sighting, found, now=now)
                if before is None or before.lease is None or before.lease.holder != _holder(found):
                    logger.info("the lease %s is held by %s", self._key, _holder(found) or "nobody")
                expecting(leadership.stopped(self._sighting, me=self.me, now=now))
                wait = leadership.free_in(self._sighting, me=self.me, now=now)
                if wait == 0 and (fence := await self._take(found)) is not None:
                    return fence
            except TROUBLE as error:
                self._failed("looked at", error)
                wait = LOOK_SECONDS
            await asyncio.sleep(min(wait, LOOK_SECONDS) or LOOK_SECONDS)

    async def keep(self, fence: Fence) -> None:
        """Renew the Lease, and with it the fence; return when it is lost, by then the fence is closed."""
        while (left := fence.left) > 0:
            tried = self._clock()
            try:
                renewed = await self._renew(seconds=min(REQUEST_SECONDS, left))
            except TROUBLE as error:
                self._failed("renewed", error)
                await asyncio.sleep(max(0.0, min(AGAIN_SECONDS, fence.left)))
                continue
            if not renewed:
                break
            fence.extend(leadership.acts_until(tried))
            await asyncio.sleep(max(0.0, min(RENEW_SECONDS, fence.left)))
        fence.close()

    async def give_back(self) -> None:
        """Let the next one lead at once. Only for whom nothing is under way any more."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            if not await self._empty(held):
                # A renewal was under way, whose answer was not waited for.
                found = await self._cluster.get_lease(self._key, seconds=REQUEST_SECONDS)
                if found is not None and found.holder == self.me:
                    await self._empty(found)
        except TROUBLE as error:
            logger.warning("the lease %s is not given back, it ends by itself: %s", self._key, error)

    async def _empty(self, held: Lease) -> bool:
        """Take the holder out of the Lease; False if it is not any more as it was."""
        spec = lease.given_back(datetime.now(UTC))
        try:
            await self._cluster.change_lease(
                self._key, spec, resource_version=held.resource_version, seconds=REQUEST_SECONDS
            )
        except ApiError as error:
            if error.conflict:
                return False
            raise
        return True

    async def _take(self, found: Lease | None) -> Fence | None:
        """Take the Lease if it is still as it was found."""
        now, sent = datetime.now(UTC), self._clock()
        last = found or (self._sighting.lease if self._sighting else None)
        again = last is not None and last.holder == self.me
        spec = lease.held(
            self.me,
            seconds=leadership.LEASE_SECONDS,
            transitions=0 if last is None else last.transitions + int(not again),
            acquired=last.acquired if last is not None and again else "",
            now=now,
        )
        try:
            if found is None:
                self._held = await self._cluster.create_lease(self._key, spec, seconds=REQUEST_SECONDS)
            else:
                self._held = await self._cluster.change_lease(
                    self._key, spec, resource_version=found.resource_version, seconds=REQUEST_SECONDS
                )
        except ApiError as error:
            if error.conflict:
                return None  # somebody else was faster
            raise
        return Fence(leadership.acts_until(sent), clock=self._clock)

    async def _renew(self, *, seconds: float) -> bool:
        """Renew the Lease; False if it is somebody else's, or nobody's."""
        held = self._held
        if held is None:
            return False
        try:
            spec = lease.held(
                self.me,
                seconds=leadership.LEASE_SECONDS,
                transitions=held.transitions,
                acquired=held.acquired,
                now=datetime.now(UTC),
            )
            self._held = await self._cluster.change_lease(
                self._key, spec, resource_version=held.resource_version, seconds=seconds
            )
        except ApiError as error:
            if error.absent:
                logger.warning("somebody deleted the lease %s", self._key)
                return False
            if not error.conflict:
                raise
            found = await self._cluster.get_lease(self._key, seconds=seconds)
            if found is None or found.holder != self.me:
                logger.warning("the lease %s was taken by %s", self._key, _holder(found) or "nobody")
                self._held = None
                return False
            self._held = found  # somebody changed it otherwise, or an answer was lost
            raise
        self._heard()
        return True

    def _heard(self) -> None:
        if self._answered_since is None:
            self._answered_since = self._clock()
            self._complained_at = float("-inf")

    def _failed(self, what: str, error: Exception) -> None:
        self._answered_since = None
        now = self._clock()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            logger.warning("the lease %s can't be %s: %s: %s", self._key, what, type(error).__name__, error)


def _holder(found: Lease | None) -> str:
    return found.holder if found is not None else ""
