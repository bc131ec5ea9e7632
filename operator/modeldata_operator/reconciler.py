"""Bringing one collection's pods, Secret and status to what its spec says: level-triggered, safe to repeat."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from . import document, events, injection, names, resources, rollout, status, workloads
from .cluster import ApiError, Cluster
from .events import Recorder
from .inventory import Inventory, Matched, PodInventory
from .minting import Minted, Minter
from .pushing import Pusher
from .reasons import Reason
from .resources import CredentialStatus, DataCollection, ObjectKey, PodCounts, Storage, UnreadableCollection
from .rollout import Uninjected, Verdict
from .status import Finding, Observation
from .storage import ContainerWatch
from .workloads import Pod

logger = logging.getLogger(__name__)

PATCHES_AT_ONCE = 32
"""Enough to use the API server well (300 patches a second were measured), few enough not to push others aside."""

RESTART_AFTER = 1.0
"""Seconds a Deployment has to be found un-injected before it is restarted. The webhook's replicas learn of a new
annotation or collection a moment after this process; pods made before that would be restarted in vain."""


@dataclass(frozen=True, slots=True)
class _Credential:
    """The credential as last looked at, and what it was looked at for."""

    minted: Minted
    storage: Storage
    uid: str
    namespaces: frozenset[str]
    look: int


@dataclass(slots=True)
class _Findings:
    """What looking at the pods found."""

    pushes: list[tuple[Pod, str]]
    uninjected: list[Uninjected]
    problems: list[Finding]
    matched: int = 0
    injected: int = 0
    current: int = 0
    outgrown: int = 0


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
        self._uninjected_since: dict[tuple[ObjectKey, str], float] = {}
        self._slots = asyncio.Semaphore(PATCHES_AT_ONCE)

    def look_again(self) -> None:
        """Make the next reconcile of each collection look at its Secrets, which are not watched."""
        self._look += 1

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Bring one collection into line; returns the seconds after which it wants another look."""
        collection = self._inventory.collection(key)
        concerned = self._pods.concerning(key)
        await self._switch_off(key, concerned)
        if collection is None:
            await self._clean_up(key, concerned)
            return None
        if isinstance(collection, UnreadableCollection):
            await self._report_unreadable(collection)
            return None
        return await self._serve(collection, concerned)

    async def _serve(self, collection: DataCollection, concerned: Sequence[Matched]) -> float | None:
        served = [
            item
            for item in concerned
            if item.choice.collection is not None and item.choice.collection.key == collection.key and not item.pod.gone
        ]
        namespaces = frozenset({collection.key.namespace, *(item.pod.key.namespace for item in served)})
        minted = await self._credential(collection, namespaces)
        findings = self._compare(collection, served, rotation=minted.status.rotation)
        findings.problems += _conflicts(collection, concerned) + _misspelt(collection, concerned)
        pushed = await self._push(collection.key, findings.pushes)
        findings.current += pushed
        credential_finding, credential_ready = self._judge_credential(collection, minted)
        verdicts = rollout.verdicts(
            collection,
            findings.uninjected,
            credentials_ready=minted.ready,
            webhook_ready=self._inventory.webhook_ready,
        )
        again = await self._restart(collection, verdicts)
        observed = Observation(
            generation=collection.generation,
            enabled=collection.enabled,
            credential=minted.status,
            credential_finding=credential_finding,
            credential_ready=credential_ready,
            pods=PodCounts(findings.matched, findings.injected, findings.current),
            problems=findings.problems,
            verdicts=verdicts,
            notes=_notes(findings),
        )
        await self._report(collection, observed)
        return again

    def _compare(self, collection: DataCollection, served: Sequence[Matched], *, rotation: int) -> _Findings:
        """Compare every served pod with what it should carry."""
        found = _Findings(pushes=[], uninjected=[], problems=[], matched=len(served))
        refusals: dict[str, Finding] = {}
        for item in served:
            pod = item.pod
            plan = injection.plan(collection, pod)
            mine = pod.injection is not None and pod.injection.collection == collection.key
            current = mine
            if mine and pod.injection is not None:
                found.injected += 1
                found.outgrown += injection.outgrown(collection, pod)
                settings = document.settings(collection, pod, item.deployment, rotation=rotation)
                if pod.injection.settings_digest != workloads.digest(settings):
                    found.pushes.append((pod, settings))
                    current = False
            if isinstance(plan, injection.Refusal):
                workload = pod.workload_name(item.deployment)
                refusals.setdefault(workload, Finding(plan.reason, f"{workload}: {plan.message}"))
            elif not mine or (pod.injection is not None and pod.injection.hash != plan.hash):
                found.uninjected.append(Uninjected(pod.key, item.deployment, plan.hash))
                current = False
            found.current += current
        found.problems += [refusals[name] for name in sorted(refusals)]
        return found

    async def _credential(self, collection: DataCollection, namespaces: frozenset[str]) -> Minted:
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
            minted = await self._minter.ensure(collection, namespaces, remembered=remembered)
            gone = set(remembered.namespaces) - namespaces
            if gone and minted.source is not None:
                await self._minter.withdraw(collection.key, gone)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("credential collection=%s error=%s", collection.key, error)
            finding = Finding(
                Reason.CREDENTIALS_UNKNOWN, "the API server did not let the operator look: it tries again"
            )
            minted = Minted(known.minted.source if known else None, remembered, finding, ready=False)
        self._credentials[collection.key] = _Credential(minted, collection.storage, collection.uid, namespaces, look)
        return minted

    def _judge_credential(self, collection: DataCollection, minted: Minted) -> tuple[Finding, bool | None]:
        if not minted.ready or minted.source is None:
            return minted.finding, None if minted.finding.reason is Reason.CREDENTIALS_UNKNOWN else False
        look = self._containers.look(collection.key, minted.source, collection.storage)
        if look is None or look.reason is None:
            return minted.finding, True
        note = f"; {minted.source.note}" if minted.source.note else ""
        # The pods may well reach what the operator can't: unknown, and not wrong.
        ready = None if look.reason is Reason.STORAGE_UNREACHABLE else False
        return Finding(look.reason, look.message + note), ready

    async def _push(self, key: ObjectKey, pushes: Sequence[tuple[Pod, str]]) -> int:
        """Write settings to running pods, many at once; returns how many took them."""
        started = self._clock()
        taken = await self._all(self._pusher.push(pod, settings) for pod, settings in pushes)
        if pushes:
            seconds = self._clock() - started
            logger.info("pushed collection=%s pods=%d taken=%d seconds=%.3f", key, len(pushes), sum(taken), seconds)
        return sum(taken)

    async def _switch_off(self, key: ObjectKey, concerned: Sequence[Matched]) -> None:
        """Tell pods that carry this collection's injection and are not served by it any more to stop."""
        orphans = [
            item.pod
            for item in concerned
            if item.pod.injection is not None
            and item.pod.injection.collection == key
            and item.pod.injection.enabled
            and not item.pod.gone
            and (item.choice.collection is None or item.choice.collection.key != key)
        ]
        taken = await self._all(self._switch_off_pod(pod, key) for pod in orphans)
        if orphans:
            logger.info("switched off collection=%s pods=%d taken=%d", key, len(orphans), sum(taken))

    async def _switch_off_pod(self, pod: Pod, key: ObjectKey) -> bool:
        # Read first: what the client needs to deliver what it already took is only there, the collection may be gone.
        body = await self._cluster.get_pod(pod.key)
        if body is None or body["metadata"]["uid"] != pod.uid:
            return False
        present = (body["metadata"].get("annotations") or {}).get(names.SETTINGS_ANNOTATION, "")
        return await self._pusher.push(pod, document.switched_off(present, str(key)))

    async def _all(self, calls: Any) -> list[bool]:
        """Run calls side by side, within the bound. One failure fails the reconcile, after the others were tried."""

        async def bounded(call: Coroutine[Any, Any, bool]) -> bool:
            async with self._slots:
                return await call

        results = await asyncio.gather(*(bounded(call) for call in calls), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, bool)]

    async def _restart(self, collection: DataCollection, verdicts: Sequence[Verdict]) -> float | None:
        """Restart what the verdicts say, each after having been seen un-injected for a moment."""
        now, waiting = self._clock(), {}
        again: float | None = None
        for verdict in verdicts:
            if not verdict.restart or verdict.deployment is None:
                continue
            deployment = verdict.deployment
            since = self._uninjected_since.get((deployment.key, verdict.marker), now)
            if now - since < RESTART_AFTER:
                waiting[(deployment.key, verdict.marker)] = since
                again = RESTART_AFTER
                continue
            if await self._cluster.restart_deployment(deployment.key, deployment.uid, verdict.marker):
                logger.info("restarted deployment=%s for=%s", deployment.key, verdict.marker)
                message = f"restarted once, so that DataCollection {collection.key} can collect its pods"
                subject = events.about_deployment(deployment.key, deployment.uid)
                await self._recorder.record(subject, Reason.RESTARTED, message)
        self._uninjected_since = {
            seen: since
            for seen, since in self._uninjected_since.items()
            if not seen[1].startswith(f"{collection.key}/")
        } | waiting
        return again

    async def _report(self, collection: DataCollection, observed: Observation) -> None:
        wanted = status.from_observation(
            observed, previous=collection.status, now=resources.timestamp(datetime.now(UTC))
        )
        if wanted != collection.status:
            await self._cluster.set_status(collection.key, collection.uid, status.serialized(wanted))
        subject = events.about_collection(collection.key, collection.uid)
        for finding in observed.problems:
            await self._recorder.record(subject, finding.reason, finding.message, warning=True)
        if observed.credential_ready is False or observed.credential_finding.reason is Reason.SAS_EXPIRES_SOON:
            finding = observed.credential_finding
            await self._recorder.record(subject, finding.reason, finding.message, warning=True)
        for verdict in observed.verdicts:
            if verdict.deployment is not None and verdict.reason in (Reason.RESTARTED_IN_VAIN, Reason.ROLLOUT_PAUSED):
                about = events.about_deployment(verdict.deployment.key, verdict.deployment.uid)
                await self._recorder.record(about, verdict.reason, verdict.message, warning=True)

    async def _report_unreadable(self, collection: UnreadableCollection) -> None:
        wanted = status.unreadable(
            collection.problem,
            generation=collection.generation,
            previous=collection.status,
            now=resources.timestamp(datetime.now(UTC)),
        )
        if wanted != collection.status:
            await self._cluster.set_status(collection.key, collection.uid, status.serialized(wanted))
        subject = events.about_collection(collection.key, collection.uid)
        await self._recorder.record(subject, Reason.INVALID, collection.problem, warning=True)

    async def _clean_up(self, key: ObjectKey, concerned: Sequence[Matched]) -> None:
        """Take back what a deleted collection left where garbage collection does not reach."""
        known = self._credentials.pop(key, None)
        self._containers.forget(key)
        self._minter.forget(key)
        namespaces = {item.pod.key.namespace for item in concerned} | set(
            known.minted.status.namespaces if known else ()
        )
        await self._minter.withdraw(key, namespaces - {key.namespace})


def _conflicts(collection: DataCollection, concerned: Sequence[Matched]) -> list[Finding]:
    lost = [item for item in concerned if collection.key in item.choice.losers and item.choice.collection is not None]
    if not lost:
        return []
    winners = sorted({item.choice.collection.key.name for item in lost if item.choice.collection is not None})
    message = (
        f"{len(lost)} pods also match the selector of the older DataCollection {', '.join(winners)}, which serves them"
    )
    return [Finding(Reason.CONFLICT, message)]


def _misspelt(collection: DataCollection, concerned: Sequence[Matched]) -> list[Finding]:
    found = {
        f"{item.pod.workload_name(item.deployment)}: {item.choice.message}"
        for item in concerned
        if item.choice.reason is Reason.INVALID_ANNOTATION and item.choice.candidate == collection.key
    }
    return [Finding(Reason.INVALID_ANNOTATION, message) for message in sorted(found)]


def _notes(found: _Findings) -> list[str]:
    if not found.outgrown:
        return []
    return [f"{found.outgrown} of them have room for a smaller spool than spec.spool.size until they are restarted"]


def _later(stored: CredentialStatus, known: CredentialStatus | None) -> CredentialStatus:
    """Take the later of what the status says and what this process remembers: the rotation only ever grows."""
    return known if known is not None and known.rotation >= stored.rotation else stored
