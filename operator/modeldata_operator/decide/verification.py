"""Wanted compared with found: what a collection's pods carry and lack, summed up by workload.

What goes through all pods of a collection comes in steps of one pod each: of 10,000 it takes long, and whoever decides
something else meanwhile is to have a turn in between.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, TypeVar

from ..api import workloads
from ..api.keys import ObjectKey
from ..api.owners import RestartMark, Workload
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import ROLLOUT, Restartable
from ..api.workloads import Pod
from . import document, injection
from .selection import Matched

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
"""A decision that is made step by step."""

WEBHOOK_GRACE = 10
"""Seconds by which a pod must be younger than what should have had it injected, before the webhook is said to have
missed it: its replicas learn of a new collection or annotation a moment after it is made."""

LEFT_ALONE = (Reason.VIRTUAL_NODE, Reason.WINDOWS_NODE)
"""Why pods are none of a collection's at all: nothing on their nodes could ever collect."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one workload is not collected, or not wholly. With a mark it is one to restart; with a pod, that one is to be
    evicted.
    """

    workload: Workload
    reason: Reason
    message: str
    pods: int = 0
    injected: int = 0
    mark: RestartMark | None = None
    evict: Pod | None = None


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """The pods of one workload that a collection serves.

    Missing are those that a restart would get injected, and missed those of them that the webhook should have injected
    already; those come first. The hash is that of the injection they lack. The newest is when the youngest pod that a
    restart made was created, 0 without one.
    """

    workload: Workload
    restartable: Restartable | None
    pods: int
    injected: int
    missing: tuple[Pod, ...]
    missed: int
    hash: str
    newest: int
    trouble: str | None
    refusal: injection.Refusal | None


@dataclass(frozen=True, slots=True)
class Push:
    """Settings that a pod should have and doesn't. Urgent: whether it collects changes, or what of it is hidden."""

    pod: Pod
    settings: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class PodState:
    """What one pod carries and lacks: nothing of it changes while pod, Deployment's name, spec and rotation don't."""

    injected: str | None
    """The hash of this collection's injection, if it carries that."""
    current: bool
    """Whether it obeys the present settings and has all it should have."""
    outgrown: bool
    """Whether a restart would make its spool larger."""
    push: Push | None
    lacking: str | None
    """The hash of the injection that it would have after a restart, and has not."""
    refusal: injection.Refusal | None


@dataclass(slots=True)
class Comparison:
    """What comparing found. Outgrown are pods whose spool a restart would make larger."""

    matched: int = 0
    injected: int = 0
    current: int = 0
    outgrown: int = 0
    pushes: list[Push] = field(default_factory=list)
    states: list[WorkloadState] = field(default_factory=list)


@dataclass(slots=True)
class Concerned:
    """Pods that a collection has to do with, by what that is."""

    served: list[Matched] = field(default_factory=list)
    orphans: list[Pod] = field(default_factory=list)
    """They carry its injection, collect, and are not served by it any more."""
    without_token: set[str] = field(default_factory=set)
    """The namespaces with pods that live by its SAS; one that is ending may still be sending."""
    namespaces: set[str] = field(default_factory=set)
    """Where the pods are, or end."""
    unserved: list[Verdict] = field(default_factory=list)
    """The workloads that it would serve, had not somebody written or created otherwise."""


@dataclass(slots=True)
class _Group:
    """One workload's pods while they are looked at."""

    workload: Workload
    restartable: Restartable | None
    pods: int = 0
    injected: int = 0
    newest: int = 0
    first_injected: dict[str, int] = field(default_factory=dict)
    missing: list[tuple[Matched, str]] = field(default_factory=list)
    trouble: str | None = None
    refusal: injection.Refusal | None = None


def sort_out(key: ObjectKey, collection: DataCollection | None, concerned: Iterable[Matched]) -> Steps[Concerned]:
    """Sort the pods that a collection has to do with; there may be none of that name any more."""
    found, others = Concerned(), dict[tuple[str, str, str], tuple[Workload, Reason, str, int]]()
    for item in concerned:
        yield
        pod, carried, chosen = item.pod, item.pod.injection, item.choice.collection
        found.namespaces.add(pod.key.namespace)
        ours = carried is not None and carried.collection == key
        if ours and not pod.has_token:
            found.without_token.add(pod.key.namespace)
        if pod.gone:
            continue
        if chosen is not None and chosen.key == key:
            found.served.append(item)
        elif carried is not None and ours and carried.enabled:
            found.orphans.append(pod)
        told = None if collection is None else _why_not(collection, item)
        if told is not None:
            workload = pod.workload(item.restartable)
            name = (workload.kind, str(workload.key), told[0])
            before = others.get(name)
            others[name] = (workload, *told, before[3] + 1 if before else 1)
    found.unserved = [
        Verdict(workload, reason, f"{workload}: {message}", pods)
        for _, (workload, reason, message, pods) in sorted(others.items())
    ]
    return found


def state(collection: DataCollection, item: Matched, *, rotation: int) -> PodState:
    """Compare one served pod with what it should carry."""
    pod, plan = item.pod, injection.plan(collection, item.pod)
    carried = pod.injection if pod.injection and pod.injection.collection == collection.key else None
    refusal = plan if isinstance(plan, injection.Refusal) else None
    lacking = None if isinstance(plan, injection.Refusal) or (carried and plan.accepts(carried.hash)) else plan.hash
    if carried is None:
        return PodState(None, False, False, None, lacking, refusal)
    settings = document.settings(collection, pod, item.deployment, rotation=rotation)
    push = None
    if carried.settings_digest != workloads.digest(settings):
        push = Push(pod, settings, workloads.obeyed(settings) != (carried.enabled, carried.privacy))
    current = push is None and lacking is None
    return PodState(carried.hash, current, injection.outgrown(collection, pod), push, lacking, refusal)


def compare(
    collection: DataCollection, served: Iterable[Matched], look: Callable[[Matched], PodState]
) -> Steps[Comparison]:
    """Sum up what every served pod carries and lacks."""
    found, groups = Comparison(), dict[tuple[str, str, str], _Group]()
    for item in served:
        yield
        seen, group = look(item), _group(groups, item)
        _take(item, seen, group)
        left_alone = seen.injected is None and seen.refusal is not None and seen.refusal.reason in LEFT_ALONE
        found.matched += not left_alone
        found.current += seen.current
        found.outgrown += seen.outgrown
        if seen.push is not None:
            found.pushes.append(seen.push)
    created = datetime.fromisoformat(collection.created).timestamp() if collection.created else 0
    for name in sorted(groups):
        yield
        found.injected += groups[name].injected
        found.states.append((yield from _state(collection, groups[name], created)))
    return found


def _why_not(collection: DataCollection, item: Matched) -> tuple[Reason, str] | None:
    choice = item.choice
    if choice.collection is not None and collection.key in choice.losers:
        winner = choice.collection.key.name
        return Reason.CONFLICT, f"the selector of the older DataCollection {winner} matches too, and that one serves it"
    if choice.candidate == collection.key and choice.reason in (Reason.OPTED_OUT, Reason.INVALID_ANNOTATION):
        return choice.reason, choice.message
    return None


def _group(groups: dict[tuple[str, str, str], _Group], item: Matched) -> _Group:
    known = item.restartable
    if known is not None:
        # What most pods have: named without making anything.
        group = groups.get((known.kind, known.key.namespace, known.key.name))
        if group is not None:
            return group
    workload = item.pod.workload(known)
    name = (workload.kind, workload.key.namespace, workload.key.name)
    if name not in groups:
        groups[name] = _Group(workload, known)
    return groups[name]


def _take(item: Matched, seen: PodState, group: _Group) -> None:
    """Take one pod into its workload's account."""
    pod = item.pod
    group.pods += 1
    if seen.injected is not None:
        group.injected += 1
        first = group.first_injected.get(seen.injected, pod.created)
        group.first_injected[seen.injected] = min(first, pod.created)
    if _made_by_the_restart(pod, group.restartable):
        group.trouble = group.trouble or pod.trouble
        group.newest = max(group.newest, pod.created)
    group.refusal = group.refusal or seen.refusal
    if seen.lacking is not None:
        group.missing.append((item, seen.lacking))


def _state(collection: DataCollection, group: _Group, created: float) -> Steps[WorkloadState]:
    missing = []
    for item, wanted in group.missing:
        yield
        missing.append((not _missed(collection, created, group, item, wanted), item.pod.key.name, item.pod))
    missing.sort(key=lambda each: each[:2])
    return WorkloadState(
        workload=group.workload,
        restartable=group.restartable,
        pods=group.pods,
        injected=group.injected,
        missing=tuple(pod for _, _, pod in missing),
        missed=sum(not there_before for there_before, _, _ in missing),
        hash=min((wanted for _, wanted in group.missing), default=""),
        newest=group.newest,
        trouble=group.trouble,
        refusal=group.refusal,
    )


def _made_by_the_restart(pod: Pod, restartable: Restartable | None) -> bool:
    """Tell whether the present restart of its workload brought a pod."""
    mark = restartable.restarted_for if restartable is not None else None
    if restartable is None or mark is None:
        return False
    if restartable.kind == ROLLOUT:
        # The template is as it was. Its controller takes a pod of that very second for a new one, too.
        return pod.created >= mark.at
    return pod.restarted_for == mark


def _missed(collection: DataCollection, created: float, group: _Group, item: Matched, wanted: str) -> bool:
    """Tell whether the webhook was to inject this pod: it came by a restart that was made for that, an older sibling is
    injected, or its labels were selected all along.
    """
    if item.pod.injection is not None:
        return False
    mark = group.restartable.restarted_for if group.restartable is not None else None
    if (
        mark is not None
        and mark.same_reason(collection.key, wanted)
        and _made_by_the_restart(item.pod, group.restartable)
    ):
        return True
    sibling = group.first_injected.get(wanted)
    if sibling is not None and item.pod.created > sibling + WEBHOOK_GRACE:
        return True
    all_along = item.choice.reason is Reason.SELECTED and collection.generation == 1
    return all_along and item.pod.created > created + WEBHOOK_GRACE
