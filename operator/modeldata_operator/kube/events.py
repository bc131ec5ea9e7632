"""Kubernetes Events, few: the same thing about the same object is said once in a while, not on every look."""

import asyncio
import logging
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import ending
from ..api import names, observed
from ..api.keys import ObjectKey
from ..api.owners import Workload
from ..api.reasons import Reason
from .bucket import Bucket
from .cluster import Cluster
from .failures import FAILURES, ApiError, said

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 600.0
"""Less than the hour that Events live, so that a standing problem is always in `kubectl describe`."""

REFUSED_SECONDS = 30.0
"""Until what was refused is tried again."""

WAITED_FOR, PATIENCE = 4, 0.5
"""With so many on their way, or after so many seconds, whoever has something to tell goes on."""

MEMORY = 10_000

LONGEST = 1024
"""Characters of a message."""

BURST, A_SECOND = 50, 5.0
"""Events in a namespace at once, and afterwards: trouble of a thousand workloads is told within minutes, and floods
nobody. What is not told now is told at a later look."""

NAMESPACES = 10
"""As many have all their room at a time. One alone has a tenth of what there is: whoever makes trouble there without
end must not keep others from being told of theirs."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object an Event is about."""

    api_version: str
    kind: str
    key: ObjectKey
    uid: str


def about_collection(key: ObjectKey, uid: str) -> Subject:
    """Name a DataCollection as the subject of an Event."""
    return Subject(names.API_VERSION, names.KIND, key, uid)


def about_deployment(key: ObjectKey, uid: str) -> Subject:
    """Name a Deployment as the subject of an Event."""
    return Subject("apps/v1", "Deployment", key, uid)


def about_workload(workload: Workload) -> Subject:
    """Name a workload as the subject of an Event, or what is known of it by uid: an Argo Rollout's ReplicaSet."""
    known = workload.subject
    return Subject(known.api_version, known.kind, ObjectKey(workload.key.namespace, known.name), known.uid)


class Recorder:
    """Posts Events and remembers what was said."""

    def __init__(self, cluster: Cluster, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._said: OrderedDict[tuple[str, Reason, str], float] = OrderedDict()
        self._room = Bucket(BURST * NAMESPACES, A_SECOND * NAMESPACES, clock())
        self._rooms: OrderedDict[str, Bucket] = OrderedDict()
        # Each with its namespace.
        self._posting: dict[asyncio.Task[None], str] = {}

    async def record(self, subject: Subject, reason: Reason, message: str, *, warning: bool = False) -> None:
        """Post an Event unless the same was said lately. An Event that can't be posted is a log line, no failure."""
        if not self.due(subject, reason, message):
            return
        task = asyncio.create_task(self._post(subject, reason, message, warning=warning))
        self._posting[task] = subject.key.namespace
        task.add_done_callback(self._posting.pop)
        if len(self._posting) <= WAITED_FOR:
            # In their order, as a rule; but nobody stands still for what an API server does not answer to.
            await asyncio.wait([task], timeout=PATIENCE)

    async def close(self) -> None:
        """Post no more."""
        await ending.end(self._posting)

    async def _post(self, subject: Subject, reason: Reason, message: str, *, warning: bool) -> None:
        try:
            await self._cluster.create_event(event(subject, reason, message, warning=warning, now=datetime.now(UTC)))
        except FAILURES as error:
            logger.warning("event not posted object=%s reason=%s error=%s", subject.key, reason, said(error))
            name = _said(subject, reason, message)
            if not (isinstance(error, ApiError) and (error.absent or error.refused)):
                # The API server was away: at the next look it is news still.
                self._said.pop(name, None)
            elif name in self._said:
                # Somebody said no, and may think better of it.
                self._said[name] = self._clock() - REPEAT_SECONDS + REFUSED_SECONDS

    def due(self, subject: Subject, reason: Reason, message: str) -> bool:
        """Tell whether this is news and there is room for it, and remember that it was told."""
        said, now = _said(subject, reason, message), self._clock()
        before = self._said.pop(said, None)
        if before is not None and now - before < REPEAT_SECONDS:
            self._said[said] = before
            return False
        namespace = subject.key.namespace
        room = self._rooms.pop(namespace, None) or Bucket(BURST, A_SECOND, now)
        self._rooms[namespace] = room
        while len(self._rooms) > MEMORY:
            self._rooms.popitem(last=False)
        room.fill(now)
        self._room.fill(now)
        if not (room.has_one and self._room.has_one) or self._crowded(namespace):
            return False
        room.take()
        self._room.take()
        self._said[said] = now
        while len(self._said) > MEMORY:
            self._said.popitem(last=False)
        return True

    def _crowded(self, namespace: str) -> bool:
        """Tell whether too many are on their way."""
        there = list(self._posting.values()).count(namespace)
        return there >= BURST or len(self._posting) >= BURST * NAMESPACES


def _said(subject: Subject, reason: Reason, message: str) -> tuple[str, Reason, str]:
    # "3 pods" after "2 pods" is no news. And a pod's containers alone may have names for half a megabyte.
    return subject.uid, reason, re.sub(r"\d+", "#", message[:LONGEST])


def event(subject: Subject, reason: Reason, message: str, *, warning: bool, now: datetime) -> dict[str, Any]:
    """Write an Event."""
    moment = observed.timestamp(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{subject.key.name}.{uuid.uuid4().hex[:16]}", "namespace": subject.key.namespace},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": subject.key.namespace,
            "name": subject.key.name,
            "uid": subject.uid,
        },
        "reason": reason.value,
        "message": message[:LONGEST],
        "type": "Warning" if warning else "Normal",
        "source": {"component": names.FIELD_MANAGER},
        "reportingComponent": names.FIELD_MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
