"""Bringing one collection's pods, Secret and status to what its spec says: level-triggered, safe to repeat."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ..access.minting import Minted, Minter
from ..access.probe import ContainerWatch
from ..api import resources
from ..api.endpoints import AllowedHost
from ..api.keys import ObjectKey
from ..api.observed import CredentialStatus, PodCounts
from ..api.reasons import Reason
from ..api.resources import DataCollection, UnreadableCollection
from ..api.resources import Rollout as Mode
from ..api.restartables import Restartable
from ..configuration import Configuration
from ..decide import rollout, verification
from ..decide.status import Finding, Observation
from ..decide.verification import Comparison, Concerned, Push, Verdict, WorkloadState
from ..known.grants import Grants
from ..known.inventory import Inventory
from ..known.pods import PodInventory
from ..kube import breathing, events, workqueue
from ..kube.cluster import Cluster
from ..kube.events import Recorder
from ..kube.failures import FAILURES, ApiError, said
from .closing import Closer
from .comparing import Comparer
from .credential import Credentials, Judgement
from .pushing import Pusher
from .refusals import Refusals
from .reporting import Reporter
from .restarting import Restarter

logger = logging.getLogger(__name__)

UNTAKEN_AGAIN = (1.0, 3.0, 10.0, 30.0)
"""Seconds after which settings that a pod did not take are tried again. Most such pods are gone, and by then not known
any more; but an API server also says "conflict" where too many change one object at once, and some refuse for long."""

CALLS_AT_ONCE = 64
"""Twice as many as one collection may have under way, so that there is always one ready; not all the thousands."""


CALLS_SECONDS = 60.0
"""After so long no further pod is written to in this reconcile. Ten thousand take half of that; where a namespace's
webhook hangs, each takes ten seconds, and meanwhile nobody would be told of it."""


class UnfinishedError(Exception):
    """Something of a collection was refused, and all else is done."""

    def __init__(self, why: str, again: float) -> None:
        super().__init__(why)
        self.again = again
        """The seconds after which it wants another look."""


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
        changed: Callable[[ObjectKey], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._inventory = inventory
        self._pods = pods
        self._pusher = pusher
        self._clock = clock
        self._recorder = recorder
        self._comparer = Comparer()
        self._credentials = Credentials(
            cluster=cluster,
            minter=minter,
            containers=containers,
            grants=grants,
            allowed_hosts=allowed_hosts,
            default=inventory.operator_default,
        )
        self.closer = Closer(
            cluster=cluster,
            inventory=inventory,
            credentials=self._credentials,
            grants=grants,
            configuration=configuration,
            changed=changed,
            clock=clock,
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
        self._reporter = Reporter(cluster=cluster, recorder=recorder, clock=clock)
        self._restarts = configuration.restarts_at_once > 0
        self._refusals: dict[ObjectKey, Refusals[tuple[str, str]]] = {}

    def look_again(self) -> None:
        """Make the next reconcile of each collection look at its Secrets, which are not watched."""
        self._credentials.look_again()

    def credential_changed(self, key: ObjectKey) -> None:
        """Make the next reconcile of one collection look at its Secrets."""
        self._credentials.changed(key)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Bring one collection into line; returns the seconds after which it wants another look.

        Raises:
            UnfinishedError: something was refused. It is tried again by itself, and what else there was to do is done.

        """
        await self._pods.filed(key)
        collection = self._inventory.collection(key)
        obeyed = collection if isinstance(collection, DataCollection) else None
        found = await breathing.in_breaths(verification.sort_out(key, obeyed, self._pods.concerning(key)))
        refusals = self._refusals.setdefault(key, Refusals(waits=UNTAKEN_AGAIN, clock=self._clock))
        work = _Work(key, refusals, until=self._clock() + CALLS_SECONDS, clock=self._clock)
        await self._switch_off(work, found)
        again = None
        if collection is None:
            await self._clean_up(key, found)
        elif isinstance(collection, UnreadableCollection):
            again = await self._reporter.report_unreadable(collection)
        else:
            again = await self._serve(collection, found, work)
        work.refusals.keep(work.wanted)
        again = workqueue.sooner(again, work.refusals.next_due)
        if work.left:
            again = workqueue.sooner(again, 0.0)
        if not work.refusals.known:
            self._refusals.pop(key, None)
        for failure in work.failures:
            # Only now: a pod that somebody does not let us write to must not keep the others' state from being told.
            if not isinstance(failure, FAILURES):
                raise failure
            raise UnfinishedError(said(failure), UNTAKEN_AGAIN[-1] if again is None else again)
        return again

    async def _serve(self, collection: DataCollection, found: Concerned, work: "_Work") -> float | None:
        namespaces = frozenset({collection.key.namespace, *(item.pod.key.namespace for item in found.served)})
        known = self._credentials.known(collection)
        compared = None
        if known is not None:
            # A look at Secrets may take its time: what is switched, or hidden, must not wait for that.
            compared = await self._compare_and_push(collection, found, known.status, work)
        minted = await self._credentials.ensure(collection, namespaces, found.without_token)
        if known is None and collection.closing is not None:
            self.closer.wake()
        if compared is None or known is None or _rotations(known) != _rotations(minted):
            compared = await self._compare_and_push(collection, found, minted.status, work)
        judged = self._credentials.judge(collection, minted)
        looking = self._credentials.looking(collection.key)
        decided, again = await self._roll_out(
            collection,
            compared.states,
            credentials_ready=minted.ready and judged.source_ready,
            unserved=frozenset(judged.unserved | looking),
        )
        verdicts = found.unserved + decided
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
            refusal=_refusal(work),
            by_choice=collection.rollout is Mode.MANUAL or not self._restarts,
            closes=collection.closing is not None,
            closing=self.closer.told(collection.key),
        )
        return workqueue.sooner(again, await self._reporter.report(collection, observed, compared.states))

    async def _compare_and_push(
        self, collection: DataCollection, found: Concerned, credential: CredentialStatus, work: "_Work"
    ) -> Comparison:
        compared = await self._comparer.compare(collection, found.served, credential=credential)
        compared.current += await self._push(collection, compared.pushes, work)
        return compared

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

    async def _push(self, collection: DataCollection, pushes: Sequence[Push], work: "_Work") -> int:
        """Write settings to running pods, many at once; returns how many took them."""

        def wanted() -> bool:
            """Tell whether nobody has changed the collection while many are written to: what follows is old then."""
            present = self._inventory.collection(collection.key)
            return present is not None and resources.alike(present, collection)

        started = self._clock()
        calls = {
            (push.pod.uid, push.settings): functools.partial(self._pusher.push, push, collection.key, wanted=wanted)
            for push in pushes
        }
        taken = await work.all(calls)
        if pushes:
            seconds = self._clock() - started
            logger.info(
                "pushed collection=%s pods=%d taken=%d seconds=%.3f", collection.key, len(pushes), taken, seconds
            )
        return taken

    async def _switch_off(self, work: "_Work", found: Concerned) -> None:
        """Tell pods that carry this collection's injection and are not served by it any more to stop."""
        calls = {
            (pod.uid, ""): functools.partial(self._pusher.switch_off, pod, work.collection) for pod in found.orphans
        }
        taken = await work.all(calls)
        if calls:
            logger.info("switched off collection=%s pods=%d taken=%d", work.collection, len(calls), taken)
        async for pod in breathing.each(found.orphans):
            refusal = work.refusals.known.get((pod.uid, ""))
            if refusal is not None and refusal.standing:
                # There may be no collection any more to tell it of.
                message = (
                    f"pod {pod.key.name} can't be told to stop collecting, which is tried again: {refusal.message}"
                )
                about = events.about_workload(pod.workload(None))
                await self._recorder.record(about, Reason.SETTINGS_REFUSED, message, warning=True)

    def _unused(self, collection: DataCollection) -> Finding | None:
        """Say so if a collection wants to serve other namespaces and can't."""
        default = self._inventory.operator_default
        if collection.namespace_selector is None or collection.key == default:
            return None
        message = f"spec.namespaceSelector has no effect: only the DataCollection {default} can serve other namespaces"
        return Finding(Reason.SELECTOR_UNUSED, message)

    async def _clean_up(self, key: ObjectKey, found: Concerned) -> None:
        """Forget a deleted collection, and take back what it left."""
        self._restarter.forget(key)
        self._reporter.forget(key)
        self._comparer.forget(key)
        await self._credentials.withdraw(key, found.namespaces)


class _Work:
    """What one reconcile has its pods told, and what became of that."""

    def __init__(
        self,
        collection: ObjectKey,
        refusals: Refusals[tuple[str, str]],
        *,
        until: float,
        clock: Callable[[], float],
    ) -> None:
        self.collection = collection
        self.refusals = refusals
        self.left = 0
        """How many calls are left for the next reconcile."""
        self._until = until
        self._clock = clock
        self.failures: list[Exception] = []
        """What went wrong in this reconcile."""
        self.wanted: set[tuple[str, str]] = set()
        """The pods, by uid, and the settings that each is to have."""

    async def all(self, calls: Mapping[tuple[str, str], Callable[[], Coroutine[Any, Any, bool]]]) -> int:
        """Make calls side by side, but those that were refused lately; returns how many succeeded.

        How many are under way is for the way to the API server to say, where other collections take their turns.
        """
        self.wanted.update(calls)
        results = dict[tuple[str, str], bool | Exception]()
        due = {key: call for key, call in calls.items() if not self.refusals.resting(key)}
        waiting = iter(due.items())

        async def call_some() -> None:
            for key, call in waiting:
                if self._clock() > self._until:
                    return
                try:
                    results[key] = await call()
                except Exception as error:  # one pod's is no other's
                    results[key] = error

        await asyncio.gather(*(call_some() for _ in range(min(len(calls), CALLS_AT_ONCE))))
        self.left += len(due) - len(results)
        for key, result in results.items():
            if result is True:
                self.refusals.succeeded(key)
                continue
            if isinstance(result, Exception):
                self.failures.append(result)
            untaken = ApiError(409, "the pod is gone, or somebody else changes it all the time")
            self.refusals.failed(key, result if isinstance(result, Exception) else untaken)
        return sum(result is True for result in results.values())


def _refusal(work: _Work) -> Finding | None:
    """Say who does not let the operator write to pods, if that is what goes wrong; nothing of it passes by itself."""
    for refusal in work.refusals.known.values():
        if refusal.standing:
            return Finding(
                Reason.SETTINGS_REFUSED, f"the operator may not write the settings of some pods: {refusal.message}"
            )
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


def _rotations(minted: Minted) -> tuple[int, Mapping[str, int]]:
    return minted.status.rotation, minted.status.rotations
