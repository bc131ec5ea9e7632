"""Telling people what was found: the status of a DataCollection, Events, metrics."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ..api import observed
from ..api.keys import ObjectKey
from ..api.observed import Status
from ..api.reasons import Reason
from ..api.resources import DataCollection, UnreadableCollection
from ..decide import rollout, status
from ..decide.status import Observation, Told
from ..decide.verification import WorkloadState
from ..kube import breathing, events
from ..kube.cluster import Cluster
from ..kube.events import Recorder
from ..kube.failures import FAILURES, ApiError
from ..observe import metrics
from .refusals import Refusals

logger = logging.getLogger(__name__)

WRITTEN_AGAIN = (1.0, 3.0, 10.0, 30.0)
"""Seconds between tries of a status that is refused."""

# What passes by itself, or is the collection's trouble and told there, is no Event on a workload.
_NOT_TOLD = (
    Reason.WAITING_FOR_RESTART,
    Reason.WAITING_FOR_TURN,
    Reason.ROLLOUT_RUNNING,
    Reason.SWITCHED_OFF,
    Reason.CREDENTIALS_UNKNOWN,
    Reason.REPLACING_PODS,
)


# Of a credential, what passes by itself.
_PASSING = (Reason.CREDENTIALS_UNKNOWN, Reason.STORAGE_UNREACHABLE)


class Reporter:
    """Writes what changed, and says what is news."""

    def __init__(self, *, cluster: Cluster, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._clock = clock
        self._refusals: Refusals[ObjectKey] = Refusals(waits=WRITTEN_AGAIN, clock=clock)

    def forget(self, collection: ObjectKey) -> None:
        """Show a deleted collection no more."""
        self._refusals.succeeded(collection)
        metrics.COLLECTIONS.forget(collection)

    async def report(
        self, collection: DataCollection, seen: Observation, states: Sequence[WorkloadState]
    ) -> float | None:
        """Tell what was seen of a collection.

        Returns:
            The seconds after which it is to be looked at anew, if its status could not be written: it has changed
            meanwhile, or somebody does not let it be.

        """
        wanted = status.from_observation(seen, previous=collection.status, now=observed.timestamp(datetime.now(UTC)))
        again = await self._write(collection, wanted)
        subject = events.about_collection(collection.key, collection.uid)
        told = [verdict for verdict in status.most_urgent_first(seen) if verdict.reason not in _NOT_TOLD]
        for verdict in told[:1]:
            if verdict.reason is not Reason.OPTED_OUT:
                warning = not status.chosen(seen, verdict)
                await self._recorder.record(subject, verdict.reason, verdict.message, warning=warning)
        if seen.unused is not None:
            await self._recorder.record(subject, seen.unused.reason, seen.unused.message, warning=True)
        if seen.refusal is not None:
            await self._recorder.record(subject, seen.refusal.reason, seen.refusal.message, warning=True)
        if seen.credential_ready is False or seen.credential_finding.reason is Reason.SAS_EXPIRES_SOON:
            finding = seen.credential_finding
            await self._recorder.record(subject, finding.reason, finding.message, warning=True)
        if seen.closing is not None:
            await self._tell_of_days(collection, seen.closing)
        async for state in breathing.each(states):
            failure = seen.credential_failures.get(state.workload.key.namespace)
            if failure is not None and failure.reason not in _PASSING:
                told_there = status.told_in(state.workload.key.namespace, collection.key, failure)
                about = events.about_workload(state.workload)
                await self._recorder.record(about, told_there.reason, told_there.message, warning=True)
        async for verdict in breathing.each(told):
            about = events.about_workload(verdict.workload)
            warning = verdict.reason is not Reason.OPTED_OUT and not status.chosen(seen, verdict)
            await self._recorder.record(about, verdict.reason, verdict.message, warning=warning)
        mentioned = {verdict.workload for verdict in told if rollout.MISSED in verdict.message}
        async for state in breathing.each(states):
            if state.missed and state.workload not in mentioned:
                message = f"{state.missed} of {state.pods} pods {rollout.MISSED}"
                about = events.about_workload(state.workload)
                await self._recorder.record(about, Reason.WEBHOOK_MISSED, message, warning=True)
        return again

    async def _tell_of_days(self, collection: DataCollection, told: Told) -> None:
        subject = events.about_collection(collection.key, collection.uid)
        finding = told.finding
        if told.ready is False and finding.reason not in (Reason.CLOSING, Reason.CLOSING_SUSPENDED):
            await self._recorder.record(subject, finding.reason, finding.message, warning=True)
        before = collection.status.closing
        if finding.reason is Reason.CLOSED and told.status.runs and (before is None or before.runs != told.status.runs):
            await self._recorder.record(subject, finding.reason, finding.message)

    async def report_unreadable(self, collection: UnreadableCollection) -> float | None:
        """Tell that a collection makes no sense; returns what ``report`` does."""
        wanted = status.unreadable(
            collection.problem,
            generation=collection.generation,
            previous=collection.status,
            now=observed.timestamp(datetime.now(UTC)),
        )
        again = await self._write(collection, wanted)
        subject = events.about_collection(collection.key, collection.uid)
        await self._recorder.record(subject, Reason.INVALID, collection.problem, warning=True)
        return again

    async def _write(self, collection: DataCollection | UnreadableCollection, wanted: Status) -> float | None:
        """Write a status; where that is refused, Events and metrics still tell what was found."""
        key = collection.key
        metrics.COLLECTIONS.show(key, wanted)
        if wanted == collection.status:
            self._refusals.succeeded(key)
            return None
        if not self._refusals.resting(key):
            try:
                if not await self._cluster.set_status(
                    key, collection.uid, status.serialized(wanted), resource_version=collection.resource_version
                ):
                    raise ApiError(409, "it is gone, or somebody else changes it all the time")
            except FAILURES as error:
                refusal = self._refusals.failed(key, error)
                logger.warning("status not written collection=%s error=%s", key, refusal.message)
            else:
                self._refusals.succeeded(key)
                if status.why(wanted) != status.why(collection.status):
                    logger.info("status collection=%s %s", key, status.why(wanted))
        known = self._refusals.known.get(key)
        if known is None:
            return None
        if known.standing:
            message = f"the status can't be written and is not to be relied on: {known.message}"
            about = events.about_collection(key, collection.uid)
            await self._recorder.record(about, Reason.STATUS_REFUSED, message, warning=True)
        return max(known.again - self._clock(), 0.0)
