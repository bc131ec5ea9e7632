"""Restarting the one workload of a collection whose turn it is, or replacing the one pod, and never on a doubt."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..api import restartables
from ..api.keys import ObjectKey
from ..api.owners import WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import Restartable
from ..api.workloads import Pod
from ..decide import rollout
from ..decide.rollout import Circumstances, Setback
from ..decide.verification import Verdict, WorkloadState
from ..known import restarts
from ..known.inventory import Inventory
from ..kube import events, workqueue
from ..kube.cluster import Cluster
from ..kube.events import Recorder
from ..kube.failures import FAILURES, UNREADABLE, ApiError, said
from ..observe import metrics
from .proving import Prover
from .replacing import Replacements
from .setbacks import Setbacks

logger = logging.getLogger(__name__)

RESTART_AFTER = 1.0
"""Seconds a workload has to be found un-injected before it is restarted. The webhook's replicas learn of a new
annotation or collection a moment after this process; pods made before that would be restarted in vain."""

SEEN_WITHIN = 30.0
"""Seconds to wait for the watch to bring back a restart of ours, before the next one is thought of."""

SEEN_AFTER = 3.0
"""Seconds within which the watch has mostly brought back a restart of ours."""

ROOM_AGAIN = 3.0
"""Seconds until one that waits for the cluster's budget is looked at again."""

TROUBLE_AGAIN = 5.0
"""Seconds until the API server is asked again, where it was away or had no time."""

TROUBLES, CHANGES = 3, 10
"""Tries in succession that got no answer, or met a workload that had changed, before others have their turn and people
are told: a webhook that hangs, or whoever writes a workload all the time, would hold up the rest for ever."""

PARSERS: Mapping[str, Callable[[Mapping[str, Any]], Restartable]] = {
    restartables.DEPLOYMENT: restartables.deployment,
    restartables.STATEFUL_SET: restartables.stateful_set,
    restartables.DAEMON_SET: restartables.daemon_set,
    restartables.ROLLOUT: restartables.rollout,
}


class Outcome(Enum):
    """What became of an act, if nobody said no."""

    DONE = "done"
    CHANGED = "changed"
    """It is not any more what was decided on."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an act leaves: when to look again, and whether to decide anew as something was learned."""

    again: float | None = None
    learned: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is about to be done, or was done and is not yet seen so."""

    verdict: Verdict
    since: float


class Restarter:
    """Does what was decided on, one at a time for each collection and namespace, within the budget of the cluster."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        inventory: Inventory,
        recorder: Recorder,
        webhook_configuration: str,
        at_once: int,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._recorder = recorder
        self._at_once = at_once
        self._clock = clock
        self._now = now
        self._prover = Prover(cluster, configuration=webhook_configuration, clock=clock)
        self._setbacks = Setbacks(clock)
        self._replacements = Replacements(self._setbacks, clock)
        self._made = restarts.Made(now())
        # By collection and namespace.
        self._about_to_restart: dict[ObjectKey, dict[str, _Waiting]] = {}
        self._restarted: dict[ObjectKey, dict[str, _Waiting]] = {}
        # What is being done at this moment, by other workers too: it counts before the cluster shows it.
        self._acting: dict[ObjectKey, WorkloadName] = {}
        self._tries: dict[tuple[ObjectKey, WorkloadName], int] = {}
        self._webhook = inventory.deployment(inventory.webhook)

    def forget(self, collection: ObjectKey) -> None:
        """Drop what is remembered of a collection that is gone."""
        self._about_to_restart.pop(collection, None)
        self._restarted.pop(collection, None)
        for tried in [tried for tried in self._tries if tried[0] == collection]:
            del self._tries[tried]
        self._setbacks.forget(collection)
        self._replacements.forget(collection)

    async def circumstances(
        self,
        collection: DataCollection,
        states: Sequence[WorkloadState],
        *,
        credentials_ready: bool,
        unserved: frozenset[str],
    ) -> Circumstances:
        """Say what a decision depends on beside the workloads."""
        lacking = [state.workload.name for state in states if state.missing]
        self._setbacks.recall(collection)
        await self._look_at_the_webhook(collection.key)
        replacing = self._replacements.under_way(collection, states)
        self._setbacks.keep(collection.key, (*lacking, *replacing))
        for tried in [tried for tried in self._tries if tried[0] == collection.key and tried[1] not in lacking]:
            del self._tries[tried]
        return Circumstances(
            credentials_ready=credentials_ready,
            unserved=unserved,
            webhook_ready=self._inventory.webhook_ready,
            now=self._now(),
            restarts=self._at_once > 0,
            room=not lacking or self._room({name.key.namespace for name in lacking}),
            setbacks=self._setbacks.current(collection),
            replacing=replacing,
        )

    def restarted(self, collection: DataCollection, seen: Iterable[WorkloadName]) -> list[Restartable]:
        """List workloads beside those seen that were restarted for a collection, or stopped its rollout."""
        found = {known.name: known for known in restarts.of(self._inventory, collection.key)}
        for name in rollout.stopped_at(collection):
            known = self._inventory.restartable(name)
            # Whoever may write a status must not be told of others' workloads, nor have them told of.
            if known is not None and self._inventory.may_serve(collection.key, known.key.namespace):
                found[name] = known
        for name in seen:
            found.pop(name, None)
        return sorted(found.values(), key=lambda known: (known.kind, known.key))

    async def act(
        self, collection: DataCollection, verdicts: Sequence[Verdict], states: Sequence[WorkloadState]
    ) -> Step:
        """Restart the one workload of each namespace that is to be, or evict the one pod, after it was seen un-injected
        for a moment.
        """
        waiting, self._about_to_restart[collection.key] = self._about_to_restart.get(collection.key, {}), {}
        waits = any(verdict.reason is Reason.WAITING_FOR_TURN for verdict in verdicts)
        again = workqueue.sooner(self._setbacks.soonest(collection), ROOM_AGAIN if waits else None)
        learned = False
        for verdict in verdicts:
            if verdict.mark is None and verdict.evict is None:
                continue
            state = next(state for state in states if state.workload == verdict.workload)
            step = await self._act_on(collection, verdict, state, waiting.get(verdict.workload.key.namespace))
            again, learned = workqueue.sooner(again, step.again), learned or step.learned
        return Step(again, learned)

    async def _act_on(
        self, collection: DataCollection, verdict: Verdict, state: WorkloadState, waiting: _Waiting | None
    ) -> Step:
        key, name, now = collection.key, verdict.workload.name, self._clock()
        namespace = name.key.namespace
        if self._unseen(key, namespace, now):
            return Step(RESTART_AFTER)
        if not self._setbacks.has(key, name):
            if waiting is None or not _same(waiting.verdict, verdict):
                waiting = _Waiting(verdict, now)
            if now - waiting.since < RESTART_AFTER:
                self._about_to_restart[key][namespace] = waiting
                return Step(RESTART_AFTER)
        if not self._room({namespace}, but=name):
            return Step(ROOM_AGAIN)
        self._acting[key] = name
        try:
            outcome = await self._do(collection, verdict, state)
        except FAILURES as error:
            # The rest of the collection is told of all the same.
            logger.warning("not restarted workload=%s again=%.0fs error=%s", name.key, TROUBLE_AGAIN, said(error))
            if self._tried(key, name) < TROUBLES:
                return Step(TROUBLE_AGAIN)
            outcome = Setback(Reason.RESTART_REFUSED, f"{verdict.workload} can't be restarted: {said(error)}")
        finally:
            del self._acting[key]
        if outcome is Outcome.CHANGED:
            if self._tried(key, name) < CHANGES:
                return Step(RESTART_AFTER)
            message = f"{verdict.workload} can't be restarted: somebody else changes it all the time"
            outcome = Setback(Reason.RESTART_REFUSED, message)
        self._tries.pop((key, name), None)
        if isinstance(outcome, Setback):
            again = self._setbacks.add(collection, name, outcome)
            message = "not restarted workload=%s kind=%s again=%.0fs reason=%s: %s"
            logger.warning(message, name.key, name.kind, again, outcome.reason, outcome.message)
            # The next one need not wait for this.
            return Step(RESTART_AFTER, learned=True)
        return Step(learned=True)

    def _tried(self, collection: ObjectKey, name: WorkloadName) -> int:
        """Count how often something was tried that may pass by itself; the turn goes on when it does not."""
        self._tries[collection, name] = self._tries.get((collection, name), 0) + 1
        return self._tries[collection, name]

    async def _do(self, collection: DataCollection, verdict: Verdict, state: WorkloadState) -> Outcome | Setback:
        """Restart a workload, or evict a pod of it, if it is still what was decided on and injection works for it."""
        name = verdict.workload.name
        try:
            body = await self._cluster.get_workload(name)
        except ApiError as error:
            return _refused(verdict, error)
        if body is None:
            return Outcome.CHANGED
        namespace = self._inventory.namespaces.get(ObjectKey("", name.key.namespace))
        try:
            known = PARSERS[name.kind](body)
            # Nobody paused, changed or replaced it meanwhile.
            if known != self._inventory.restartable(name):
                return Outcome.CHANGED
            setback = await self._prover.prove(
                collection,
                known,
                body,
                example=verdict.evict or state.missing[0],
                mark=verdict.mark,
                namespace_labels=namespace.labels if namespace is not None else None,
            )
        except ApiError as error:
            if error.conflict or error.absent:
                return Outcome.CHANGED
            raise
        except UNREADABLE as error:
            # An Argo Rollout holds whatever its definition lets through.
            return Setback(Reason.RESTART_NOT_PROVEN, f"{verdict.workload} is not restarted: it can't be read: {error}")
        if setback is not None:
            return setback
        if verdict.evict is not None:
            return await self._evict(collection, verdict, state, verdict.evict)
        return await self._restart(collection, verdict, state, known, body)

    async def _restart(
        self,
        collection: DataCollection,
        verdict: Verdict,
        state: WorkloadState,
        known: Restartable,
        body: Mapping[str, Any],
    ) -> Outcome | Setback:
        assert verdict.mark is not None
        # By the API server's clock, where this one is behind: an Argo Rollout replaces what is older.
        at = max(int(self._now()), *(pod.created + 1 for pod in state.missing))
        mark = rollout.stamped(verdict.mark, known, at)
        self._made.note(known.name, mark)
        version = body["metadata"]["resourceVersion"]
        try:
            if not await self._cluster.restart(known.name, known.uid, mark, resource_version=version):
                return Outcome.CHANGED
        except ApiError as error:
            return _refused(verdict, error)
        self._setbacks.clear(collection.key, known.name)
        done = _Waiting(replace(verdict, mark=mark), self._clock())
        self._restarted.setdefault(collection.key, {})[known.key.namespace] = done
        metrics.RESTARTS.inc()
        logger.info("restarted %s=%s for=%s", known.kind.lower(), known.key, mark)
        message = f"restarted once, so that DataCollection {collection.key} can collect its pods"
        await self._recorder.record(events.about_workload(verdict.workload), Reason.RESTARTED, message)
        return Outcome.DONE

    async def _evict(
        self, collection: DataCollection, verdict: Verdict, state: WorkloadState, pod: Pod
    ) -> Outcome | Setback:
        try:
            if not await self._cluster.evict_pod(pod.key, pod.uid, resource_version=pod.resource_version):
                return Outcome.CHANGED
        except ApiError as error:
            if error.status == 429:
                message = (
                    f"pod {pod.key.name} of {verdict.workload} can't be evicted yet, which is tried again: {error}"
                )
                return Setback(Reason.EVICTION_WAITS, message)
            return _refused(verdict, error)
        self._replacements.add(collection.key, state, pod.uid)
        metrics.EVICTIONS.inc()
        logger.info("evicted pod=%s collection=%s", pod.key, collection.key)
        message = (
            f"evicted pod {pod.key.name}, so that DataCollection {collection.key} can collect the one in its place"
        )
        await self._recorder.record(events.about_workload(verdict.workload), Reason.POD_EVICTED, message)
        return Outcome.DONE

    def _room(self, namespaces: Iterable[str], *, but: WorkloadName | None = None) -> bool:
        """Tell whether the cluster's budget leaves room for one more in any of these namespaces."""
        taken = (
            restarts.under_way(self._inventory, self._made, now=self._now())
            | set(self._acting.values())
            | self._replacements.names()
        )
        for made in self._restarted.values():
            # The watch has brought back all but the latest; those are over, or among what is under way.
            taken |= {last.verdict.workload.name for last in made.values() if self._clock() - last.since < SEEN_AFTER}
        return any(rollout.room_for(each, taken - {but}, at_once=self._at_once) for each in namespaces)

    async def _look_at_the_webhook(self, collection: ObjectKey) -> None:
        """Have what was in vain tried again at once where the webhook, or who is led to it, has changed."""
        webhook = self._inventory.deployment(self._inventory.webhook)
        if webhook != self._webhook:
            self._webhook = webhook
            self._setbacks.hasten(Reason.WEBHOOK_UNREACHABLE, Reason.WEBHOOK_MISSED)
        if not self._setbacks.holds(collection, Reason.WEBHOOK_UNREACHABLE):
            return
        try:
            if await self._prover.changed():
                self._setbacks.hasten(Reason.WEBHOOK_UNREACHABLE)
        except FAILURES as error:
            logger.debug("webhook configuration not looked at: %s", error)

    def _unseen(self, key: ObjectKey, namespace: str, now: float) -> bool:
        """Tell whether the last restart is still on its way back: decided without it, there would be two at once."""
        last = self._restarted.get(key, {}).get(namespace)
        if last is None:
            return False
        known = self._inventory.restartable(last.verdict.workload.name)
        seen = known is None or known.restarted_for == last.verdict.mark
        if seen or now - last.since > SEEN_WITHIN:
            del self._restarted[key][namespace]
            return False
        return True


def _refused(verdict: Verdict, error: ApiError) -> Setback:
    """Tell in the API server's words what is not to be done; raise what passes by itself."""
    if not error.judged:
        raise error
    return Setback(Reason.RESTART_REFUSED, f"{verdict.workload} can't be restarted: {error}")


def _same(one: Verdict, other: Verdict) -> bool:
    return (one.workload, one.mark, one.evict and one.evict.uid) == (
        other.workload,
        other.mark,
        other.evict and other.evict.uid,
    )
