"""Wanted compared with found: what a collection's pods carry and lack, summed up by workload."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ..api import workloads
from ..api.observed import CredentialStatus
from ..api.owners import RestartMark, Workload
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import ROLLOUT, Restartable
from ..api.workloads import Pod
from . import document, injection
from .selection import Matched

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


@dataclass(slots=True)
class Comparison:
    """What comparing found. Pushes are pods with the settings that they should have and don't; outgrown are pods whose
    spool a restart would make larger.
    """

    matched: int = 0
    injected: int = 0
    current: int = 0
    outgrown: int = 0
    pushes: list[tuple[Pod, str]] = field(default_factory=list)
    states: list[WorkloadState] = field(default_factory=list)


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


def compare(collection: DataCollection, served: Iterable[Matched], *, credential: CredentialStatus) -> Comparison:
    """Compare every served pod with what it should carry."""
    found, groups = Comparison(), dict[tuple[str, str, str], _Group]()
    for item in served:
        group = _group(groups, item)
        rotation = credential.rotation_in(item.pod.key.namespace)
        current = _look_at(collection, item, group, found, rotation=rotation)
        group.pods += 1
        found.current += current
    found.injected = sum(group.injected for group in groups.values())
    found.states = [_state(collection, groups[name]) for name in sorted(groups)]
    return found


def unserved(collection: DataCollection, concerned: Iterable[Matched]) -> list[Verdict]:
    """Name the workloads that this collection would serve, had not somebody written or created otherwise."""
    found: dict[tuple[str, str, str], tuple[Workload, Reason, str, int]] = {}
    for item in concerned:
        told = None if item.pod.gone else _why_not(collection, item)
        if told is not None:
            workload = item.pod.workload(item.restartable)
            name = (workload.kind, str(workload.key), told[0])
            before = found.get(name)
            found[name] = (workload, *told, before[3] + 1 if before else 1)
    return [
        Verdict(workload, reason, f"{workload}: {message}", pods)
        for _, (workload, reason, message, pods) in sorted(found.items())
    ]


def _why_not(collection: DataCollection, item: Matched) -> tuple[Reason, str] | None:
    choice = item.choice
    if choice.collection is not None and collection.key in choice.losers:
        winner = choice.collection.key.name
        return Reason.CONFLICT, f"the selector of the older DataCollection {winner} matches too, and that one serves it"
    if choice.candidate == collection.key and choice.reason in (Reason.OPTED_OUT, Reason.INVALID_ANNOTATION):
        return choice.reason, choice.message
    return None


def _group(groups: dict[tuple[str, str, str], _Group], item: Matched) -> _Group:
    workload = item.pod.workload(item.restartable)
    name = (workload.kind, workload.key.namespace, workload.key.name)
    if name not in groups:
        groups[name] = _Group(workload, item.restartable)
    return groups[name]


def _look_at(collection: DataCollection, item: Matched, group: _Group, found: Comparison, *, rotation: int) -> bool:
    """Take one pod into account; True if it obeys the present settings and has all it should have."""
    pod, plan = item.pod, injection.plan(collection, item.pod)
    current, carried = False, pod.injection if pod.injection and pod.injection.collection == collection.key else None
    if carried is not None:
        group.injected += 1
        found.outgrown += injection.outgrown(collection, pod)
        settings = document.settings(collection, pod, item.deployment, rotation=rotation)
        current = carried.settings_digest == workloads.digest(settings)
        if not current:
            found.pushes.append((pod, settings))
        first = group.first_injected.get(carried.hash, pod.created)
        group.first_injected[carried.hash] = min(first, pod.created)
    left_alone = carried is None and isinstance(plan, injection.Refusal) and plan.reason in LEFT_ALONE
    found.matched += not left_alone
    if _made_by_the_restart(pod, group.restartable):
        group.trouble = group.trouble or pod.trouble
        group.newest = max(group.newest, pod.created)
    if isinstance(plan, injection.Refusal):
        group.refusal = group.refusal or plan
    elif carried is None or not plan.accepts(carried.hash):
        group.missing.append((item, plan.hash))
        return False
    return current


def _state(collection: DataCollection, group: _Group) -> WorkloadState:
    created = datetime.fromisoformat(collection.created).timestamp() if collection.created else 0
    missing = sorted(
        (not _missed(collection, created, group, item, wanted), item.pod.key.name, item.pod)
        for item, wanted in group.missing
    )
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
