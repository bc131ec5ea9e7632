"""Bringing one collection's pods, Secret and status to what its spec says: level-triggered, safe to repeat."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from ..access.minting import Minter
from ..access.probe import ContainerWatch
from ..api.endpoints import AllowedHost
from ..api.keys import ObjectKey
from ..api.observed import PodCounts
from ..api.reasons import Reason
from ..api.resources import DataCollection, UnreadableCollection
from ..api.resources import Rollout as Mode
from ..api.restartables import Restartable
from ..api.workloads import Pod
from ..configuration import Configuration
from ..decide import rollout, verification
from ..decide.selection import Matched
from ..decide.status import Finding, Observation
from ..decide.verification import Comparison, Verdict, WorkloadState
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..known.pods import PodInventory
from ..kube.cluster import ApiError, Cluster
from ..kube.events import Recorder
from .credential import Credentials, Judgement
from .pushing import Pusher
from .reporting import Reporter
from .restarting import Restarter

logger = logging.getLogger(__name__)

PATCHES_AT_ONCE = 32
"""Enough to use the API server well (300 patches a second were measured), few enough not to push others aside."""

UNTAKEN_AGAIN = 1.0
"""Seconds after which pods that did not take their settings are looked at again. Most are gone, and by then not known
any more; but an API server also says "conflict" where too many change one object at once."""


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
        grants: Grants,
        allowed_hosts: Sequence[AllowedHost],
        configuration: Configuration,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._inventory = inventory
        self._pods = pods
        self._pusher = pusher
        self._clock = clock
        self._credentials = Credentials(
            cluster=cluster,
            minter=minter,
            containers=containers,
            grants=grants,
            allowed_hosts=allowed_hosts,
            default=inventory.operator_default,
        )
        self._restarter = Restarter(
            cluster=cluster,
            inventory=inventory,
            recorder=recorder,
            webhook_configuration=configuration.webhook_configuration,
            at_once=configuration.restarts_at_once,
            clock=clock,
            now=now,
        )
        self._reporter = Reporter(cluster=cluster, recorder=recorder)
        self._restarts = configuration.restarts_at_once > 0
        self._slots = asyncio.Semaphore(PATCHES_AT_ONCE)

    def look_again(self) -> None:
        """Make the next reconcile of each collection look at its Secrets, which are not watched."""
        self._credentials.look_again()

    def credential_changed(self, key: ObjectKey) -> None:
        """Make the next reconcile of one collection look at its Secrets."""
        self._credentials.changed(key)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Bring one collection into line; returns the seconds after which it wants another look."""
        collection = self._inventory.collection(key)
        concerned = self._pods.concerning(key)
        failures: list[Exception] = []
        again = None if await self._switch_off(key, concerned, failures) else UNTAKEN_AGAIN
        if collection is None:
            await self._clean_up(key, concerned)
        elif isinstance(collection, UnreadableCollection):
            if not await self._reporter.report_unreadable(collection):
                again = UNTAKEN_AGAIN
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
        minted = await self._credentials.ensure(collection, namespaces, _without_token(collection.key, concerned))
        compared = verification.compare(collection, served, credential=minted.status)
        taken = await self._push(collection.key, compared.pushes, failures)
        compared.current += taken
        judged = self._credentials.judge(collection, minted)
        looking = self._credentials.looking(collection.key)
        decided, again = await self._roll_out(
            collection,
            compared.states,
            credentials_ready=minted.ready and judged.source_ready,
            unserved=frozenset(judged.unserved | looking),
        )
        verdicts = verification.unserved(collection, concerned) + decided
        unused = self._unused(collection)
        observed = Observation(
            generation=collection.generation,
            enabled=collection.enabled,
            credential=minted.status,
            credential_finding=judged.finding,
            credential_ready=judged.ready,
            credential_failures=_failures(collection, judged, compared.states),
            pods=PodCounts(compared.matched, compared.injected, compared.current),
            verdicts=verdicts,
            notes=_notes(compared, unused),
            unused=unused,
            refusal=_refusal(failures),
            by_choice=collection.rollout is Mode.MANUAL or not self._restarts,
        )
        told = await self._reporter.report(collection, observed, compared.states)
        return again if told and taken == len(compared.pushes) else _sooner(again, UNTAKEN_AGAIN)

    async def _roll_out(
        self,
        collection: DataCollection,
        states: Sequence[WorkloadState],
        *,
        credentials_ready: bool,
        unserved: frozenset[str],
    ) -> tuple[list[Verdict], float | None]:
        """Decide on restarts and make the one whose turn it is; what that taught is in what is told."""
        elsewhere = self._elsewhere(collection, states)
        given = await self._restarter.circumstances(
            collection, states, credentials_ready=credentials_ready, unserved=unserved
        )
        verdicts = rollout.decide(collection, states, elsewhere=elsewhere, given=given)
        step = await self._restarter.act(collection, verdicts, states)
        if step.learned:
            given = await self._restarter.circumstances(
                collection, states, credentials_ready=credentials_ready, unserved=unserved
            )
            verdicts = rollout.decide(collection, states, elsewhere=elsewhere, given=given)
        return verdicts, step.again

    def _elsewhere(self, collection: DataCollection, states: Sequence[WorkloadState]) -> list[Restartable]:
        """Find workloads without a pod at the moment that were restarted, and hold the rollout up."""
        seen = [state.workload.name for state in states if state.restartable is not None]
        # One that has pods, and none that is served, is not this collection's any more.
        return [
            known
            for known in self._restarter.restarted(collection, seen)
            if all(pod.gone for pod in self._pods.of_deployment(known))
        ]

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

    def _unused(self, collection: DataCollection) -> Finding | None:
        """Say so if a collection wants to serve other namespaces and can't."""
        default = self._inventory.operator_default
        if collection.namespace_selector is None or collection.key == default:
            return None
        message = f"spec.namespaceSelector has no effect: only the DataCollection {default} can serve other namespaces"
        return Finding(Reason.SELECTOR_UNUSED, message)

    async def _clean_up(self, key: ObjectKey, concerned: Sequence[Matched]) -> None:
        """Forget a deleted collection, and take back what it left."""
        self._restarter.forget(key)
        self._reporter.forget(key)
        await self._credentials.withdraw(key, {item.pod.key.namespace for item in concerned})


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _refusal(failures: Sequence[Exception]) -> Finding | None:
    """Say who does not let the operator write to pods, if that is what went wrong; nothing of it passes by itself."""
    for failure in failures:
        if isinstance(failure, ApiError) and failure.refused:
            return Finding(Reason.SETTINGS_REFUSED, f"the operator may not write the settings of some pods: {failure}")
    return None


def _notes(compared: Comparison, unused: Finding | None) -> list[str]:
    notes = [unused.message] if unused is not None else []
    if compared.outgrown:
        outgrown = f"{compared.outgrown} of them have room for a smaller spool than spec.spool.size"
        notes.append(f"{outgrown} until they are restarted")
    return notes


def _failures(collection: DataCollection, judged: Judgement, states: Sequence[WorkloadState]) -> Mapping[str, Finding]:
    """Name the namespaces whose pods get no valid SAS, and why."""
    if judged.source_ready:
        return judged.failed
    return dict.fromkeys((collection.key.namespace, *(state.workload.key.namespace for state in states)), judged.of_all)


def _without_token(key: ObjectKey, concerned: Sequence[Matched]) -> frozenset[str]:
    """Name the namespaces with pods that live by the collection's SAS; one that is ending may still be sending."""
    return frozenset(
        item.pod.key.namespace
        for item in concerned
        if item.pod.injection is not None and item.pod.injection.collection == key and not item.pod.has_token
    )
