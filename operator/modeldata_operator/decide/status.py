"""The status of a DataCollection, computed from what was observed: conditions of kstatus meaning, no phase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..api.keys import ObjectKey
from ..api.observed import ClosingStatus, Condition, CredentialStatus, PodCounts, Status, WorkloadStatus
from ..api.reasons import Reason
from . import verification
from .verification import Verdict

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
CREDENTIALS_READY, PODS_INJECTED = "CredentialsReady", "PodsInjected"
DAYS_CLOSED = "DaysClosed"
MESSAGE_LIMIT = 1024
WORKLOAD_MESSAGE_LIMIT = 512
WORKLOADS_LIMIT = 50
"""So that the status of a collection of thousands stays some ten kilobytes."""

# What time alone will change; everything else of PodsInjected waits for a person.
_PASSING = (
    Reason.WAITING_FOR_RESTART,
    Reason.WAITING_FOR_TURN,
    Reason.ROLLOUT_RUNNING,
    Reason.WORKLOAD_UNAVAILABLE,
    Reason.WEBHOOK_UNAVAILABLE,
    Reason.CREDENTIALS_UNKNOWN,
    Reason.REPLACING_PODS,
    Reason.EVICTION_WAITS,
)
# From what holds up the rest to what somebody wanted so.
_URGENCY = {
    Reason.ROLLOUT_STOPPED: 0,
    **dict.fromkeys(_PASSING, 2),
    Reason.SWITCHED_OFF: 3,
    **dict.fromkeys(verification.LEFT_ALONE, 4),
    Reason.OPTED_OUT: 5,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell the user, with its reason."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of closed days."""

    ready: bool | None
    """Whether days are closed as they come due. None: nobody knows yet."""
    finding: Finding
    status: ClosingStatus


@dataclass(frozen=True, slots=True)
class Observation:
    """What one reconcile saw of one collection."""

    generation: int
    enabled: bool
    credential: CredentialStatus
    credential_finding: Finding
    credential_ready: bool | None
    pods: PodCounts
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = ()
    """What is worth knowing about the pods, and nothing to worry about."""
    credential_failures: Mapping[str, Finding] = field(default_factory=dict)
    """Namespaces whose pods get no valid SAS, and why."""
    unused: Finding | None = None
    """What somebody wrote that has no effect."""
    refusal: Finding | None = None
    """Who does not let settings be written to pods."""
    by_choice: bool = False
    """That a person restarts the pods is what spec.rollout asks for, and no fault."""
    closes: bool = False
    """Whether days are to be closed."""
    closing: Told | None = None
    """What is known of that; None: nobody has looked yet, and what was told before stays."""


def from_observation(observed: Observation, *, previous: Status, now: str) -> Status:
    """Summarize an observation."""
    injected = _pods_injected(observed)
    facts = [_ready(observed, injected), _reconciling(observed, injected), _stalled(observed, injected)]
    facts += [
        (
            CREDENTIALS_READY,
            _written(observed.credential_ready),
            observed.credential_finding,
        ),
        injected,
    ]
    closing, before = (previous.closing, _days_closed(previous)) if observed.closes else (None, ())
    if observed.closes and observed.closing is not None:
        # No part of Ready: rows are collected, and nothing is lost while a day waits to be closed.
        closing, before = observed.closing.status, ()
        facts.append((DAYS_CLOSED, _written(observed.closing.ready), observed.closing.finding))
    return Status(
        observed_generation=observed.generation,
        conditions=(*_conditions(facts, observed.generation, previous, now), *before),
        pods=observed.pods,
        workloads=tuple(_workload(verdict) for verdict in most_urgent_first(observed)[:WORKLOADS_LIMIT]),
        credential=observed.credential,
        closing=closing,
    )


def most_urgent_first(observed: Observation) -> list[Verdict]:
    """Order verdicts by how much a person should look at them; what is alike stays in its order."""
    return sorted(observed.verdicts, key=lambda verdict: 3 if chosen(observed, verdict) else _urgency(verdict))


def chosen(observed: Observation, verdict: Verdict) -> bool:
    """Tell whether a person restarts a workload because spec.rollout leaves that to one: no fault of anybody's."""
    return observed.by_choice and verdict.reason is Reason.RESTART_NEEDED


def told_in(namespace: str, collection: ObjectKey, failure: Finding) -> Finding:
    """Say in a namespace why its pods get no valid SAS.

    Where a collection of another one serves it, that is the operator's default. Its Secrets, its endpoints and what
    Azure says of its identity are none of that namespace's business; what stands in the way there is.
    """
    if namespace == collection.namespace or failure.reason in (Reason.SECRET_NOT_OURS, Reason.SECRET_REFUSED):
        return Finding(failure.reason, f"DataCollection {collection}: {failure.message}")
    message = (
        f"DataCollection {collection} can't give this namespace access to its storage now: ask who runs the operator"
    )
    return Finding(Reason.DEFAULT_UNAVAILABLE, message)


def unreadable(problem: str, *, generation: int, previous: Status, now: str) -> Status:
    """Summarize a collection that makes no sense."""
    finding = Finding(Reason.INVALID, problem)
    facts: list[tuple[str, str, Finding]] = [
        (READY, "False", finding),
        (RECONCILING, "False", finding),
        (STALLED, "True", finding),
        (CREDENTIALS_READY, "Unknown", finding),
        (PODS_INJECTED, "Unknown", finding),
        *([(DAYS_CLOSED, "Unknown", finding)] if previous.closing is not None else []),
    ]
    return Status(
        observed_generation=generation,
        conditions=_conditions(facts, generation, previous, now),
        pods=PodCounts(),
        credential=previous.credential,
        closing=previous.closing,
    )


def why(status: Status) -> str:
    """Say in a log line's words how a collection is doing."""
    ready = next((condition for condition in status.conditions if condition.type == READY), None)
    return f"ready={ready.status} reason={ready.reason}" if ready is not None else ""


def serialized(status: Status) -> dict[str, Any]:
    """Write a status as the API server stores it."""
    # Nothing is left out: in a merge patch that would stay.
    credential: dict[str, Any] = {
        "rotation": status.credential.rotation,
        "expiresAt": status.credential.expires_at,
        "namespaces": list(status.credential.namespaces),
        "rotations": [
            {"namespace": namespace, "rotation": rotation}
            for namespace, rotation in sorted(status.credential.rotations.items())
        ],
    }
    pods = status.pods or PodCounts()
    return {
        "observedGeneration": status.observed_generation,
        "conditions": [
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
                "observedGeneration": condition.observed_generation,
                "lastTransitionTime": condition.last_transition_time,
            }
            for condition in status.conditions
        ],
        "pods": {"matched": pods.matched, "injected": pods.injected, "current": pods.current},
        "workloads": [
            {
                "kind": workload.kind,
                "namespace": workload.key.namespace,
                "name": workload.key.name,
                "pods": workload.pods,
                "injected": workload.injected,
                "reason": workload.reason,
                "message": workload.message,
            }
            for workload in status.workloads
        ],
        "credential": credential,
        # Null takes it away.
        "closing": _closing(status.closing) if status.closing is not None else None,
    }


def _closing(status: ClosingStatus) -> dict[str, Any]:
    return {
        "job": status.job,
        "through": status.through,
        "lastRun": status.last_run,
        "days": sum(run.days for run in status.runs),
        "rows": sum(run.rows for run in status.runs),
        "lateRows": sum(run.late_rows for run in status.runs),
        "pendingDays": sum(run.pending_days for run in status.runs),
        "failed": [{"day": each.day, "reason": each.reason, "message": each.message} for each in status.failed],
        "streams": [{"stream": each.stream, "through": each.through, "rows": each.rows} for each in status.streams],
        "runs": [
            {
                "namespace": run.namespace,
                "finished": run.finished,
                **({"through": run.through} if run.through is not None else {}),
                "days": run.days,
                "rows": run.rows,
                "lateDays": run.late_days,
                "lateRows": run.late_rows,
                "pendingDays": run.pending_days,
            }
            for run in status.runs
        ],
    }


def _days_closed(status: Status) -> tuple[Condition, ...]:
    return tuple(condition for condition in status.conditions if condition.type == DAYS_CLOSED)


def _written(value: bool | None) -> str:
    return {True: "True", False: "False", None: "Unknown"}[value]


def _urgency(verdict: Verdict) -> int:
    return _URGENCY.get(verdict.reason, 1)


def _workload(verdict: Verdict) -> WorkloadStatus:
    return WorkloadStatus(
        kind=verdict.workload.kind,
        key=verdict.workload.key,
        pods=verdict.pods,
        injected=verdict.injected,
        reason=verdict.reason.value,
        message=verdict.message[:WORKLOAD_MESSAGE_LIMIT],
    )


def _pods_injected(observed: Observation) -> tuple[str, str, Finding]:
    missing = observed.pods.matched - observed.pods.injected
    # Who opted out is in the list of workloads, and nobody's trouble. Nor are pods that can't be collected, beside some
    # that can: somebody chose their nodes for a reason. Alone they are trouble: then nothing at all is collected.
    quiet = (Reason.OPTED_OUT, *(verification.LEFT_ALONE if observed.pods.matched else ()))
    findings = [verdict for verdict in most_urgent_first(observed) if verdict.reason not in quiet]
    if findings:
        message = f"{missing} of {observed.pods.matched} pods are not injected: " if missing else ""
        return PODS_INJECTED, "False", Finding(findings[0].reason, _joined(message, findings))
    if not observed.pods.matched:
        return PODS_INJECTED, "True", Finding(Reason.NO_PODS, "no running pod is selected or annotated")
    message = "; ".join((f"all {observed.pods.matched} pods are injected", *observed.notes))
    return PODS_INJECTED, "True", Finding(Reason.ALL_INJECTED, message)


def _joined(message: str, findings: Sequence[Verdict]) -> str:
    """Say as many as there is room for, and how many more there are."""
    for number, finding in enumerate(findings):
        rest = f"; and {len(findings) - number} more, see status.workloads"
        addition = f"; {finding.message}" if number else finding.message
        if len(message) + len(addition) + len(rest) > MESSAGE_LIMIT and number:
            return message + rest
        message += addition
    return message


def _ready(observed: Observation, injected: tuple[str, str, Finding]) -> tuple[str, str, Finding]:
    stalled = _stalled(observed, injected)
    if stalled[1] == "True":
        return READY, "False", stalled[2]
    if not observed.credential_ready:
        return READY, "False", observed.credential_finding
    if injected[1] != "True" and not _as_wanted(observed, injected):
        return READY, "False", injected[2]
    behind = observed.pods.injected - observed.pods.current
    if behind:
        return READY, "False", Finding(Reason.PUSHING_SETTINGS, f"{behind} pods do not have the present settings yet")
    if not observed.enabled:
        return READY, "True", Finding(Reason.SWITCHED_OFF, "spec.enabled is false: nothing is collected")
    if not observed.pods.matched or injected[1] != "True":
        return READY, "True", injected[2]
    return READY, "True", Finding(Reason.COLLECTING, f"{observed.pods.current} pods are collected")


def _as_wanted(observed: Observation, injected: tuple[str, str, Finding]) -> bool:
    """Tell whether pods are not injected only because the spec says so: it is off, or a person restarts them."""
    reason = injected[2].reason
    return reason is Reason.SWITCHED_OFF or (observed.by_choice and reason is Reason.RESTART_NEEDED)


def _reconciling(observed: Observation, injected: tuple[str, str, Finding]) -> tuple[str, str, Finding]:
    stalled = _stalled(observed, injected)
    if stalled[1] == "True":
        return RECONCILING, "False", stalled[2]
    passing = [verdict for verdict in observed.verdicts if verdict.reason in _PASSING]
    if passing:
        return RECONCILING, "True", Finding(passing[0].reason, passing[0].message)
    if observed.credential_ready is None:
        return RECONCILING, "True", observed.credential_finding
    if observed.pods.current < observed.pods.injected:
        return RECONCILING, "True", Finding(Reason.PUSHING_SETTINGS, "settings are on their way to the pods")
    return RECONCILING, "False", Finding(Reason.SETTLED, "nothing is left to do")


def _stalled(observed: Observation, injected: tuple[str, str, Finding]) -> tuple[str, str, Finding]:
    """Stalled: it will stay so until a person does something."""
    if observed.credential_ready is False:
        return STALLED, "True", observed.credential_finding
    if observed.refusal is not None:
        return STALLED, "True", observed.refusal
    if injected[1] == "False" and injected[2].reason not in _PASSING and not _as_wanted(observed, injected):
        return STALLED, "True", injected[2]
    return STALLED, "False", Finding(Reason.SETTLED, "nothing waits for a person")


def _conditions(
    facts: Sequence[tuple[str, str, Finding]], generation: int, previous: Status, now: str
) -> tuple[Condition, ...]:
    before = {condition.type: condition for condition in previous.conditions}
    conditions = []
    for kind, value, finding in facts:
        known = before.get(kind)
        unchanged = known is not None and known.status == value and known.last_transition_time
        conditions.append(
            Condition(
                type=kind,
                status=value,
                reason=finding.reason.value,
                message=finding.message[:MESSAGE_LIMIT],
                observed_generation=generation,
                last_transition_time=known.last_transition_time if known and unchanged else now,
            )
        )
    return tuple(conditions)
