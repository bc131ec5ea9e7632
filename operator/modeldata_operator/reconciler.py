"""Bringing one collection's pods, Secret and status to what its spec says: level-triggered, safe to repeat."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp

from . import events, metrics, minting, resources, rollout, status, verification, workloads
from .cluster import ApiError, Cluster
from .events import Recorder
from .inventory import Inventory, Matched, PodInventory
from .minting import Minted, Minter
from .pushing import Pusher
from .reasons import Reason
from .resources import (
    CredentialStatus,
    DataCollection,
    ObjectKey,
    PodCounts,
    Storage,
    UnreadableCollection,
    WorkloadIdentity,
)
from .status import Finding, Observation
from .storage import ContainerWatch
from .verification import Comparison, Verdict, WorkloadState
from .workloads import Deployment, Pod

logger = logging.getLogger(__name__)

PATCHES_AT_ONCE = 32
"""Enough to use the API server well (300 patches a second were measured), few enough not to push others aside."""

RESTART_AFTER = 1.0
"""Seconds a Deployment has to be found un-injected before it is restarted. The webhook's replicas learn of a new
annotation or collection a moment after this process; pods made before that would be restarted in vain."""

SEEN_WITHIN = 30.0
"""Seconds to wait for the watch to bring back a restart of ours, before the next one is thought of."""

UNTAKEN_AGAIN = 1.0
"""Seconds after which pods that did not take their settings are looked at again. Most are gone, and by then not known
any more; but an API server also says "conflict" where too many change one object at once."""

# What passes by itself, or is the collection's trouble and told there, is no Event on a workload.
_NOT_TOLD = (
    Reason.WAITING_FOR_RESTART,
    Reason.WAITING_FOR_TURN,
    Reason.ROLLOUT_RUNNING,
    Reason.SWITCHED_OFF,
    Reason.CREDENTIALS_UNKNOWN,
)


@dataclass(frozen=True, slots=True)
class _Credential:
    """The credential as last looked at, and what it was looked at for."""

    minted: Minted
    storage: Storage
    uid: str
    namespaces: frozenset[str]
    look: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A Deployment that is about to be restarted, or was and is not yet seen so."""

    verdict: Verdict
    since: float


class Reconciler:
    """Acts on one collection at a time. Reads come from indexes; the few requests are writes and Secrets."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        inventory: Inventory,
        pods: PodInventory,
        minter: Minter,
        pusher: Pusher,
        containers: ContainerWatch,
        recorder: Recorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._pods = pods
        self._minter = minter
        self._pusher = pusher
        self._containers = containers
        self._recorder = recorder
        self._clock = clock
        self._credentials: dict[ObjectKey, _Credential] = {}
        self._look = 0
        self._about_to_restart: dict[ObjectKey, _Waiting] = {}
        self._restarted: dict[ObjectKey, _Waiting] = {}
        self._slots = asyncio.Semaphore(PATCHES_AT_ONCE)

    def look_again(self) -> None:
        """Make the next reconcile of each collection look at its Secrets, which are not watched."""
        self._look += 1

    def credential_changed(self, key: ObjectKey) -> None:
        """Make the next reconcile of one collection look at its Secrets."""
        if key in self._credentials:
            self._credentials[key] = replace(self._credentials[key], look=-1)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Bring one collection into line; returns the seconds after which it wants another look."""
        collection = self._inventory.collection(key)
        concerned = self._pods.concerning(key)
        failures: list[Exception] = []
        again = None if await self._switch_off(key, concerned, failures) else UNTAKEN_AGAIN
        if collection is None:
            await self._clean_up(key, concerned)
        elif isinstance(collection, UnreadableCollection):
            await self._report_unreadable(collection)
        else:
            again = _sooner(again, await self._serve(collection, concerned, failures))
        if failures:
            # Only now: a pod that somebody does not let us write to must not keep the others' state from being told.
            raise failures[0]
        return again

    async def _serve(
        self, collection: DataCollection, concerned: Sequence[Matched], failures: list[Exception]
    ) -> float | None:
        served = [
            item
            for item in concerned
            if item.choice.collection is not None and item.choice.collection.key == collection.key and not item.pod.gone
        ]
        namespaces = frozenset({collection.key.namespace, *(item.pod.key.namespace for item in served)})
        minted = await self._credential(collection, namespaces, _without_token(collection.key, concerned))
        compared = verification.compare(collection, served, rotation=minted.status.rotation)
        taken = await self._push(collection.key, compared.pushes, failures)
        compared.current += taken
        credential_finding, credential_ready = self._judge_credential(collection, minted)
        verdicts = verification.unserved(collection, concerned) + rollout.decide(
            collection,
            compared.states,
            elsewhere=self._elsewhere(collection, compared.states),
            credentials_ready=minted.ready
            and credential_ready is not False
            and not self._containers.first_look(collection.key),
            webhook_ready=self._inventory.webhook_ready,
        )
        again = await self._restart(collection, verdicts)
        observed = Observation(
            generation=collection.generation,
            enabled=collection.enabled,
            credential=minted.status,
            credential_finding=credential_finding,
            credential_ready=credential_ready,
            pods=PodCounts(compared.matched, compared.injected, compared.current),
            verdicts=verdicts,
            notes=_notes(compared),
            refusal=_refusal(failures),
        )
        await self._report(collection, observed, compared.states)
        return again if taken == len(compared.pushes) else _sooner(again, UNTAKEN_AGAIN)

    def _elsewhere(self, collection: DataCollection, states: Sequence[WorkloadState]) -> list[Deployment]:
        """Find Deployments without a pod at the moment that were restarted, and hold the rollout up."""
        stopped = rollout.stopped_at(collection)
        if not stopped and not any(state.missing for state in states):
            return []
        seen = {state.workload.key for state in states if state.deployment is not None}
        found = []
        for key in self._inventory.deployment_keys():
            deployment = self._inventory.deployment(key)
            if deployment is None or key in seen:
                continue
            mark = deployment.restarted_for
            ours = mark is not None and mark.collection == collection.key and not deployment.complete
            if ours or key in stopped:
                found.append(deployment)
        return [
            deployment
            for deployment in sorted(found, key=lambda deployment: deployment.key)
            # One that has pods, and none that is served, is not this collection's any more.
            if all(pod.gone for pod in self._pods.of_deployment(deployment))
        ]

    async def _credential(
        self, collection: DataCollection, namespaces: frozenset[str], without_token: frozenset[str]
    ) -> Minted:
        """Look after the SAS Secrets, once in every resync: switching off must not wait for them."""
        known, look = self._credentials.get(collection.key), self._look
        if (
            known is not None
            and known.uid == collection.uid
            and known.storage == collection.storage
            and namespaces <= known.namespaces
            and look == known.look
        ):
            return known.minted
        remembered = _later(collection.status.credential, known.minted.status if known else None)
        try:
            minted = await self._minter.ensure(
                collection, namespaces, remembered=remembered, without_token=without_token
            )
            gone = set(remembered.namespaces) - namespaces
            if gone and minted.source is not None:
                await minting.withdraw(self._cluster, collection.key, gone)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("credential collection=%s error=%s", collection.key, error)
            finding = Finding(
                Reason.CREDENTIALS_UNKNOWN, "the API server did not let the operator look: it tries again"
            )
            minted = Minted(known.minted.source if known else None, remembered, finding, ready=False)
        if not minted.ready:
            metrics.CREDENTIAL_FAILURES.labels(minted.finding.reason.value).inc()
        self._credentials[collection.key] = _Credential(minted, collection.storage, collection.uid, namespaces, look)
        return minted

    def _judge_credential(self, collection: DataCollection, minted: Minted) -> tuple[Finding, bool | None]:
        if not minted.ready or minted.source is None:
            return minted.finding, None if minted.finding.reason is Reason.CREDENTIALS_UNKNOWN else False
        if isinstance(minted.source, WorkloadIdentity):
            self._containers.forget(collection.key)
            return minted.finding, True
        look = self._containers.look(collection.key, minted.source, collection.storage)
        if look is None or look.reason is None:
            return minted.finding, True
        note = f"; {minted.source.note}" if minted.source.note else ""
        # The pods may well reach what the operator can't: unknown, and not wrong.
        ready = None if look.reason is Reason.STORAGE_UNREACHABLE else False
        return Finding(look.reason, look.message + note), ready

    async def _push(self, key: ObjectKey, pushes: Sequence[tuple[Pod, str]], failures: list[Exception]) -> int:
        """Write settings to running pods, many at once; returns how many took them."""
        started = self._clock()
        taken = await self._all((self._pusher.push(pod, settings) for pod, settings in pushes), failures)
        if pushes:
            seconds = self._clock() - started
            logger.info("pushed collection=%s pods=%d taken=%d seconds=%.3f", key, len(pushes), sum(taken), seconds)
        return sum(taken)

    async def _switch_off(self, key: ObjectKey, concerned: Sequence[Matched], failures: list[Exception]) -> bool:
        """Tell pods that carry this collection's injection and are not served by it any more to stop.

        Returns whether all of them took it.
        """
        orphans = [
            item.pod
            for item in concerned
            if item.pod.injection is not None
            and item.pod.injection.collection == key
            and item.pod.injection.enabled
            and not item.pod.gone
            and (item.choice.collection is None or item.choice.collection.key != key)
        ]
        taken = await self._all((self._pusher.switch_off(pod, key) for pod in orphans), failures)
        if orphans:
            logger.info("switched off collection=%s pods=%d taken=%d", key, len(orphans), sum(taken))
        return all(taken)

    async def _all(self, calls: Iterable[Coroutine[Any, Any, bool]], failures: list[Exception]) -> list[bool]:
        """Run calls side by side, within the bound; what goes wrong is added to the failures, and counts as untaken."""

        async def bounded(call: Coroutine[Any, Any, bool]) -> bool:
            async with self._slots:
                return await call

        results = await asyncio.gather(*(bounded(call) for call in calls), return_exceptions=True)
        failures += [result for result in results if isinstance(result, Exception)]
        return [result is True for result in results]

    async def _restart(self, collection: DataCollection, verdicts: Sequence[Verdict]) -> float | None:
        """Restart the one Deployment that is to be, after it was seen un-injected for a moment."""
        key, now = collection.key, self._clock()
        verdict = next((verdict for verdict in verdicts if verdict.mark is not None), None)
        waiting, unseen = self._about_to_restart.pop(key, None), self._unseen(key, now)
        if verdict is None:
            return None
        if unseen:
            return RESTART_AFTER
        if waiting is None or (waiting.verdict.workload, waiting.verdict.mark) != (verdict.workload, verdict.mark):
            waiting = _Waiting(verdict, now)
        if now - waiting.since < RESTART_AFTER:
            self._about_to_restart[key] = waiting
            return RESTART_AFTER
        if not await self._restart_deployment(verdict):
            return RESTART_AFTER
        self._restarted[key] = _Waiting(verdict, now)
        metrics.RESTARTS.inc()
        logger.info("restarted deployment=%s for=%s", verdict.workload.key, verdict.mark)
        message = f"restarted once, so that DataCollection {key} can collect its pods"
        await self._recorder.record(events.about_workload(verdict.workload), Reason.RESTARTED, message)
        return None

    async def _restart_deployment(self, verdict: Verdict) -> bool:
        """Restart a Deployment if it is still what was decided on: nobody paused, changed or replaced it meanwhile."""
        key = verdict.workload.key
        body = await self._cluster.get_deployment(key)
        if body is None or workloads.deployment(body) != self._inventory.deployment(key):
            return False
        metadata = body["metadata"]
        return await self._cluster.restart_deployment(
            key, metadata["uid"], str(verdict.mark), resource_version=metadata["resourceVersion"]
        )

    def _unseen(self, key: ObjectKey, now: float) -> bool:
        """Tell whether the last restart is still on its way back: decided without it, there would be two at once."""
        last = self._restarted.get(key)
        if last is None:
            return False
        deployment = self._inventory.deployment(last.verdict.workload.key)
        seen = deployment is None or deployment.restarted_for == last.verdict.mark
        if seen or now - last.since > SEEN_WITHIN:
            del self._restarted[key]
            return False
        return True

    async def _report(self, collection: DataCollection, observed: Observation, states: Sequence[WorkloadState]) -> None:
        wanted = status.from_observation(
            observed, previous=collection.status, now=resources.timestamp(datetime.now(UTC))
        )
        if wanted != collection.status:
            await self._cluster.set_status(collection.key, collection.uid, status.serialized(wanted))
            if status.why(wanted) != status.why(collection.status):
                logger.info("status collection=%s %s", collection.key, status.why(wanted))
        metrics.COLLECTIONS.show(collection.key, wanted)
        subject = events.about_collection(collection.key, collection.uid)
        told = [verdict for verdict in status.most_urgent_first(observed.verdicts) if verdict.reason not in _NOT_TOLD]
        for verdict in told[:1]:
            if verdict.reason is not Reason.OPTED_OUT:
                await self._recorder.record(subject, verdict.reason, verdict.message, warning=True)
        if observed.refusal is not None:
            await self._recorder.record(subject, observed.refusal.reason, observed.refusal.message, warning=True)
        if observed.credential_ready is False or observed.credential_finding.reason is Reason.SAS_EXPIRES_SOON:
            finding = observed.credential_finding
            await self._recorder.record(subject, finding.reason, finding.message, warning=True)
            for state in states if observed.credential_ready is False else ():
                about = events.about_workload(state.workload)
                message = f"DataCollection {collection.key}: {finding.message}"
                await self._recorder.record(about, finding.reason, message, warning=True)
        for verdict in told:
            about, warning = events.about_workload(verdict.workload), verdict.reason is not Reason.OPTED_OUT
            await self._recorder.record(about, verdict.reason, verdict.message, warning=warning)
        mentioned = {verdict.workload for verdict in told if rollout.MISSED in verdict.message}
        for state in states:
            if state.missed and state.workload not in mentioned:
                message = f"{state.missed} of {state.pods} pods {rollout.MISSED}"
                about = events.about_workload(state.workload)
                await self._recorder.record(about, Reason.WEBHOOK_MISSED, message, warning=True)

    async def _report_unreadable(self, collection: UnreadableCollection) -> None:
        wanted = status.unreadable(
            collection.problem,
            generation=collection.generation,
            previous=collection.status,
            now=resources.timestamp(datetime.now(UTC)),
        )
        if wanted != collection.status:
            await self._cluster.set_status(collection.key, collection.uid, status.serialized(wanted))
        metrics.COLLECTIONS.show(collection.key, wanted)
        subject = events.about_collection(collection.key, collection.uid)
        await self._recorder.record(subject, Reason.INVALID, collection.problem, warning=True)

    async def _clean_up(self, key: ObjectKey, concerned: Sequence[Matched]) -> None:
        """Take back what a deleted collection left where garbage collection does not reach."""
        known = self._credentials.get(key)
        self._about_to_restart.pop(key, None)
        self._restarted.pop(key, None)
        self._containers.forget(key)
        self._minter.forget(key)
        metrics.COLLECTIONS.forget(key)
        namespaces = {item.pod.key.namespace for item in concerned} | set(
            known.minted.status.namespaces if known else ()
        )
        await minting.withdraw(self._cluster, key, namespaces - {key.namespace})
        # Only now: where the API server did not let it, the next try must know the namespaces still.
        self._credentials.pop(key, None)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _refusal(failures: Sequence[Exception]) -> Finding | None:
    """Say who does not let the operator write to pods, if that is what went wrong; nothing of it passes by itself."""
    for failure in failures:
        if isinstance(failure, ApiError) and failure.refused:
            return Finding(Reason.SETTINGS_REFUSED, f"the operator may not write the settings of some pods: {failure}")
    return None


def _notes(compared: Comparison) -> list[str]:
    if not compared.outgrown:
        return []
    return [f"{compared.outgrown} of them have room for a smaller spool than spec.spool.size until they are restarted"]


def _without_token(key: ObjectKey, concerned: Sequence[Matched]) -> frozenset[str]:
    """Name the namespaces with pods that live by the collection's SAS; one that is ending may still be sending."""
    return frozenset(
        item.pod.key.namespace
        for item in concerned
        if item.pod.injection is not None and item.pod.injection.collection == key and not item.pod.has_token
    )


def _later(stored: CredentialStatus, known: CredentialStatus | None) -> CredentialStatus:
    """Take the later of what the status says and what this process remembers: the rotation only ever grows."""
    return known if known is not None and known.rotation >= stored.rotation else stored
