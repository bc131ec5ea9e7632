"""Telling people what was found: the status of a DataCollection, Events, metrics."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ..api import observed
from ..api.keys import ObjectKey
from ..api.observed import Status
from ..api.reasons import Reason
from ..api.resources import DataCollection, UnreadableCollection
from ..decide import rollout, status
from ..decide.status import Observation
from ..decide.verification import WorkloadState
from ..kube import events
from ..kube.cluster import Cluster
from ..kube.events import Recorder
from ..observe import metrics

logger = logging.getLogger(__name__)

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

    def __init__(self, *, cluster: Cluster, recorder: Recorder) -> None:
        self._cluster = cluster
        self._recorder = recorder

    def forget(self, collection: ObjectKey) -> None:
        """Show a deleted collection no more."""
        metrics.COLLECTIONS.forget(collection)

    async def report(self, collection: DataCollection, seen: Observation, states: Sequence[WorkloadState]) -> bool:
        """Tell what was seen of a collection; False if it has changed meanwhile, and has to be looked at anew."""
        wanted = status.from_observation(seen, previous=collection.status, now=observed.timestamp(datetime.now(UTC)))
        if wanted != collection.status:
            if not await self._write(collection, wanted):
                return False
            if status.why(wanted) != status.why(collection.status):
                logger.info("status collection=%s %s", collection.key, status.why(wanted))
        metrics.COLLECTIONS.show(collection.key, wanted)
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
        for state in states:
            failure = seen.credential_failures.get(state.workload.key.namespace)
            if failure is not None and failure.reason not in _PASSING:
                told_there = status.told_in(state.workload.key.namespace, collection.key, failure)
                about = events.about_workload(state.workload)
                await self._recorder.record(about, told_there.reason, told_there.message, warning=True)
        for verdict in told:
            about = events.about_workload(verdict.workload)
            warning = verdict.reason is not Reason.OPTED_OUT and not status.chosen(seen, verdict)
            await self._recorder.record(about, verdict.reason, verdict.message, warning=warning)
        mentioned = {verdict.workload for verdict in told if rollout.MISSED in verdict.message}
        for state in states:
            if state.missed and state.workload not in mentioned:
                message = f"{state.missed} of {state.pods} pods {rollout.MISSED}"
                about = events.about_workload(state.workload)
                await self._recorder.record(about, Reason.WEBHOOK_MISSED, message, warning=True)
        return True

    async def report_unreadable(self, collection: UnreadableCollection) -> bool:
        """Tell that a collection makes no sense; False if it has changed meanwhile."""
        wanted = status.unreadable(
            collection.problem,
            generation=collection.generation,
            previous=collection.status,
            now=observed.timestamp(datetime.now(UTC)),
        )
        if wanted != collection.status and not await self._write(collection, wanted):
            return False
        metrics.COLLECTIONS.show(collection.key, wanted)
        subject = events.about_collection(collection.key, collection.uid)
        await self._recorder.record(subject, Reason.INVALID, collection.problem, warning=True)
        return True

    async def _write(self, collection: DataCollection | UnreadableCollection, wanted: Status) -> bool:
        """Write a status; False if the collection is gone, or has changed meanwhile."""
        return await self._cluster.set_status(
            collection.key, collection.uid, status.serialized(wanted), resource_version=collection.resource_version
        )
