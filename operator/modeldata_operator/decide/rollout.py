"""Which workloads are restarted so that their pods get injected: one at a time, once per injection, never on a doubt.

One at a time in each namespace: whoever has one may keep its workloads from ever becoming available, and nobody else's
restart waits for that.

All that is decided on is in the cluster: the mark on a workload says that it was restarted, its status what became of
that, and the collection's own status where a rollout stopped. So nothing is forgotten with the process, but for how
often something was tried in vain.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.owners import RestartMark, Workload, WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.resources import Rollout as Mode
from ..api.restartables import ROLLOUT, Deployment, Restartable
from . import commands
from .verification import Verdict, WorkloadState

MISSED = "were not injected when they were created: the webhook did not answer, or they were opted out then"

PROGRESS_SECONDS = 600
"""How long a restart may bring no new pod and not end, where no progress deadline is watched by its own controller: as
long as a Deployment's is by default."""

ROOM_SECONDS = 900
"""How long a restart counts for the cluster's budget: one that never ends must not keep others from theirs."""


@dataclass(frozen=True, slots=True)
class Setback:
    """What was found when a workload was to be restarted, or a pod of it evicted: it is tried again later."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What restarts depend on beside the workloads themselves."""

    credentials_ready: bool
    webhook_ready: bool
    now: float
    """Seconds since 1970."""
    unserved: frozenset[str] = frozenset()
    """Namespaces that have no valid SAS, or of which that is not known yet, though the credential is good."""
    restarts: bool = True
    """The operator may restart at all."""
    room: bool = True
    """Of the cluster's budget something is left."""
    setbacks: Mapping[WorkloadName, Setback] = field(default_factory=dict)
    replacing: frozenset[WorkloadName] = frozenset()
    """Workloads of which a pod was evicted, and its successor is not there yet."""


def decide(
    collection: DataCollection,
    states: Sequence[WorkloadState],
    *,
    elsewhere: Iterable[Restartable],
    given: Circumstances,
) -> list[Verdict]:
    """Say of every workload why it is not collected, and which one, if any, is to be restarted or healed now.

    Elsewhere are workloads that have no served pod at the moment but were restarted for this collection, or stopped its
    rollout: a Deployment of the Recreate strategy has no pods for a while.
    """
    stopped = stopped_at(collection)
    verdicts, running = [], list[Workload]()
    for state in states:
        verdict = _verdict(collection, state, stopped, given)
        if verdict is not None:
            verdicts.append(verdict)
        known = state.restartable
        if known is not None and (
            _restarting(collection, known, given.now, state.newest) or state.workload.name in given.replacing
        ):
            running.append(state.workload)
    for known in elsewhere:
        opted_out = isinstance(known, Deployment) and known.collect == "false"
        if opted_out or not known.replicas:
            continue
        problem = _stop(collection, known, stopped, given.now, trouble=None, missing=True, newest=0)
        if problem is not None:
            verdicts.append(Verdict(known.workload, Reason.ROLLOUT_STOPPED, problem))
        elif _restarting(collection, known, given.now, 0):
            verdicts.append(Verdict(known.workload, Reason.ROLLOUT_RUNNING, f"{known} is rolling out"))
            running.append(known.workload)
    # After a restart in vain the next one most likely would be too.
    failures = (Reason.ROLLOUT_STOPPED, Reason.RESTARTED_IN_VAIN)
    failed = [verdict.workload for verdict in verdicts if verdict.reason in failures]
    # The first of each namespace; what failed goes before what runs.
    holders = {workload.key.namespace: str(workload) for workload in reversed([*failed, *running])}
    return list(_in_turn(verdicts, holders, room=given.room))


def stopped_at(collection: DataCollection) -> set[WorkloadName]:
    """Name the workloads that a rollout stopped at, unless a person has changed the collection since."""
    if collection.status.observed_generation != collection.generation:
        return set()
    return {
        WorkloadName(workload.kind, workload.key)
        for workload in collection.status.workloads
        if workload.reason == Reason.ROLLOUT_STOPPED
    }


def mark(collection: DataCollection, restartable: Restartable, injection_hash: str) -> RestartMark:
    """Make what a workload carries once it is restarted. Each change of a template makes the next revision."""
    known = None if restartable.kind == ROLLOUT else restartable.revision
    return RestartMark(collection.key, injection_hash, None if known is None else known + 1)


def stamped(wanted: RestartMark, restartable: Restartable, at: int) -> RestartMark:
    """Complete a mark with the time of the restart, which is also what an Argo Rollout is restarted by."""
    return dataclasses.replace(wanted, at=at, revision=at if restartable.kind == ROLLOUT else wanted.revision)


def over(restartable: Restartable) -> bool:
    """Tell whether nothing that comes to pass will be a restart's doing any more."""
    return restartable.complete and (restartable.was_available or restartable.available)


def holds_room(collection: DataCollection, restartable: Restartable, *, now: float) -> bool:
    """Tell whether a restart counts for the cluster's budget."""
    done = restartable.restarted_for
    lasts = done is not None and 0 <= now - done.at <= ROOM_SECONDS
    return lasts and _restarting(collection, restartable, now, 0)


def room_for(namespace: str, taken: Iterable[WorkloadName], *, at_once: int) -> bool:
    """Tell whether the cluster's budget leaves room for one more workload of a namespace.

    None has all of it to itself: whoever may write workloads there can make it look as if many were being restarted.
    """
    most = max(at_once - 1, 1)
    counts = Counter(name.key.namespace for name in taken)
    return counts[namespace] < most and sum(min(count, most) for count in counts.values()) < at_once


def blocked(
    collection: DataCollection, restartable: Restartable, *, now: float, newest: int = 0
) -> tuple[Reason, str] | None:
    """Say why this workload must not be restarted now, whatever its pods lack."""
    if restartable.paused:
        return Reason.ROLLOUT_PAUSED, f"{restartable} is paused: {commands.resume(restartable)}"
    if _restarting(collection, restartable, now, newest):
        return Reason.ROLLOUT_RUNNING, f"{restartable} is rolling out"
    if restartable.deadline_exceeded:
        message = f"{restartable} did not finish its last rollout: it is restarted once that is mended"
        return Reason.WORKLOAD_UNAVAILABLE, message
    if not restartable.observed or not restartable.rolled_out:
        # Old pods may still be leaving: what they lack says nothing about the present template.
        return Reason.ROLLOUT_RUNNING, f"{restartable} is rolling out"
    if not restartable.available:
        # Restarted now, it would look as if that had broken it.
        return Reason.WORKLOAD_UNAVAILABLE, f"{restartable} is restarted once all its pods are available"
    return None


def _in_turn(verdicts: Iterable[Verdict], holders: Mapping[str, str], *, room: bool) -> Iterable[Verdict]:
    """Let one workload of each namespace be restarted, none while another one there holds the rollout up, and none at
    all while there are too many in the cluster.
    """
    waited_for = dict(holders)
    for verdict in verdicts:
        namespace = verdict.workload.key.namespace
        holder = waited_for.get(namespace)
        if verdict.reason is Reason.WAITING_FOR_RESTART and (holder is not None or not room):
            why = holder or "restarts of other collections (the chart's controller.restartsAtOnce)"
            message = f"{verdict.workload} waits for {why}"
            yield dataclasses.replace(verdict, reason=Reason.WAITING_FOR_TURN, message=message, mark=None, evict=None)
            continue
        if verdict.reason is Reason.WAITING_FOR_RESTART:
            waited_for[namespace] = str(verdict.workload)
        yield verdict


def _verdict(
    collection: DataCollection, state: WorkloadState, stopped: set[WorkloadName], given: Circumstances
) -> Verdict | None:
    known, workload = state.restartable, state.workload
    problem = None
    if known is not None:
        problem = _stop(
            collection,
            known,
            stopped,
            given.now,
            trouble=state.trouble,
            missing=bool(state.missing),
            newest=state.newest,
        )
    if problem is not None:
        reason, message = Reason.ROLLOUT_STOPPED, problem
    elif state.refusal is not None:
        reason, message = state.refusal.reason, f"{workload}: {state.refusal.message}"
    elif state.workload.name in given.replacing:
        message = f"a pod of {workload} was evicted, and the one in its place is not there yet"
        reason = Reason.REPLACING_PODS
    elif not state.missing:
        return None
    elif not collection.enabled:
        reason, message = Reason.SWITCHED_OFF, f"{workload} is not injected; nothing is restarted while switched off"
    elif known is not None and known.controller is None and not known.by_hand:
        reason, message = _of_restartable(collection, state, known, given)
    elif not given.webhook_ready:
        reason, message = Reason.WEBHOOK_UNAVAILABLE, f"{workload} can be restarted once the webhook is ready"
    else:
        reason, message = Reason.RESTART_NEEDED, _please_restart(state)
    verdict = Verdict(workload, reason, message, state.pods, state.injected)
    if reason is not Reason.WAITING_FOR_RESTART or known is None:
        return verdict
    if _heals(collection, state, known):
        return dataclasses.replace(verdict, evict=state.missing[0])
    return dataclasses.replace(verdict, mark=mark(collection, known, state.hash))


def _of_restartable(
    collection: DataCollection, state: WorkloadState, known: Restartable, given: Circumstances
) -> tuple[Reason, str]:
    done = _done(collection, state, known)
    heals = _heals(collection, state, known)
    if done and not heals and known.complete and known.rolled_out:
        command = commands.restart(state.workload, known, "")
        message = f"{state.workload} was restarted once and its pods are still not injected, so no other is restarted; "
        return Reason.RESTARTED_IN_VAIN, f"{message}{command} tries again"
    if not given.restarts or collection.rollout is Mode.MANUAL:
        if _restarting(collection, known, given.now, state.newest):
            return Reason.ROLLOUT_RUNNING, f"{known} is rolling out"
        if not given.webhook_ready:
            return Reason.WEBHOOK_UNAVAILABLE, f"{state.workload} can be restarted once the webhook is ready"
        return Reason.RESTART_NEEDED, _please_restart(state)
    held_up = blocked(collection, known, now=given.now, newest=state.newest)
    if held_up is not None:
        return held_up
    if done and not heals:
        return Reason.ROLLOUT_RUNNING, f"{state.workload} is rolling out"
    if not given.webhook_ready:
        return Reason.WEBHOOK_UNAVAILABLE, f"{state.workload} can be restarted once the webhook is ready"
    if not given.credentials_ready or known.key.namespace in given.unserved:
        return Reason.CREDENTIALS_UNKNOWN, f"{state.workload} is restarted once the credential is known to be good"
    setback = given.setbacks.get(state.workload.name)
    if setback is not None:
        return setback.reason, setback.message
    if heals:
        return Reason.WAITING_FOR_RESTART, f"{_missed(state)}; they are evicted one by one"
    return Reason.WAITING_FOR_RESTART, f"{state.workload} is being restarted"


def _done(collection: DataCollection, state: WorkloadState, known: Restartable) -> bool:
    return known.restarted_for is not None and known.restarted_for.same_reason(collection.key, state.hash)


def _heals(collection: DataCollection, state: WorkloadState, known: Restartable) -> bool:
    """Tell whether only the pods that lack something are replaced, and not the whole workload restarted.

    So if the webhook missed them, and others of the workload are injected or were restarted for it already; and where a
    change of the template would reach a part of the pods only.
    """
    if known.partitioned:
        return True
    if _done(collection, state, known):
        return state.missed > 0
    return state.missed == len(state.missing) < state.pods


def _please_restart(state: WorkloadState) -> str:
    command = commands.restart(state.workload, state.restartable, state.missing[0].key.name)
    if state.missed:
        return f"{_missed(state)}: {command}"
    return f"{state.workload} runs without what collecting needs until it is restarted: {command}"


def _missed(state: WorkloadState) -> str:
    if not state.missed:
        return f"{len(state.missing)} of the {state.pods} pods of {state.workload} are not injected"
    return f"{state.missed} of the {state.pods} pods of {state.workload} {MISSED}"


def _restarting(collection: DataCollection, restartable: Restartable, now: float, newest: int) -> bool:
    """Tell whether this collection's restart of a workload is still under way."""
    if not _made_present_template(collection, restartable) or over(restartable):
        return False
    # What says no more than that the last pod was replaced is waited for a while, until that pod is available.
    return not restartable.complete or not _late(restartable, now, newest)


def _late(restartable: Restartable, now: float, newest: int) -> bool:
    """Tell whether a restart has brought no new pod for too long."""
    at = restartable.restarted_for.at if restartable.restarted_for is not None else 0
    return 0 < max(at, newest) < now - PROGRESS_SECONDS


def _made_present_template(collection: DataCollection, restartable: Restartable) -> bool:
    done = restartable.restarted_for
    if done is None or done.collection != collection.key:
        return False
    return (
        not restartable.observed
        or None in (done.revision, restartable.revision)
        or done.revision == restartable.revision
    )


def _stop(
    collection: DataCollection,
    restartable: Restartable,
    stopped: set[WorkloadName],
    now: float,
    *,
    trouble: str | None,
    missing: bool,
    newest: int,
) -> str | None:
    """Say what stops the rollout at this workload, or stopped it before and is not mended."""
    if _restarting(collection, restartable, now, newest):
        found = trouble
        if found is None and restartable.deadline_exceeded:
            found = "its progress deadline is over"
        if found is None and not restartable.deadline and _late(restartable, now, newest):
            found = f"no new pod for {PROGRESS_SECONDS // 60} minutes"
        if found is not None:
            undo = commands.undo(restartable)
            return f"{restartable} was restarted and does not become available ({found}); no other is restarted; {undo}"
    if restartable.name in stopped and (missing or not over(restartable)):
        again = commands.restart(restartable.workload, restartable, "")
        return (
            f"{restartable} did not become available after its restart; no other is restarted until its pods are "
            f'injected and available ({again}), or its annotation collect_model_data is "false"'
        )
    return None
