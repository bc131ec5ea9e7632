"""What a person is told of closed days: the condition DaysClosed, and status.closing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..api import closing, observed
from ..api.closing import Report
from ..api.jobs import Job, JobPod
from ..api.observed import ClosingRun, ClosingStatus
from ..api.reasons import Reason
from ..api.resources import Storage
from . import closing_job
from .closing import Place, again_at
from .status import Finding, Told

MOST_RUNS = 100
"""Of the operator's default, in how many namespaces' containers: the status must stay small."""

# What passes by itself.
_PASSING = (Reason.CREDENTIALS_UNKNOWN, Reason.STORAGE_UNREACHABLE, Reason.SAS_EXPIRES_SOON)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one place."""

    place: Place
    job: Job | None = None
    pod: JobPod | None = None
    """The latest of its pods, where it was looked for."""
    blocked: Finding | None = None
    """Why no Job can be made: a credential, a grant, a host."""
    refused: Finding | None = None
    """Who does not let the Job be made."""
    waits: bool = False
    """Whether it is due, and others are before it."""


def suspended(previous: ClosingStatus | None) -> Told:
    """Say that somebody wants no day closed now."""
    message = "spec.closing.suspend is true: no further day is closed"
    return Told(False, Finding(Reason.CLOSING_SUSPENDED, message), previous or ClosingStatus())


def unavailable() -> Finding:
    """Say that the operator makes no Jobs."""
    message = (
        "the operator is installed without closing (the chart's value closing.enabled): ask who runs it, or close days "
        "by hand: modeldata close"
    )
    return Finding(Reason.CLOSING_UNAVAILABLE, message)


def without_credential(storage: Storage) -> Finding:
    """Say that the operator can't sign anything for a container."""
    message = (
        f"the pods sign in themselves, so the operator has no credential for {storage.endpoint}/{storage.container}: "
        "close days by hand or by a CronJob of your own with an identity that may list, read and write there "
        "(modeldata close), or use operatorIdentity"
    )
    return Finding(Reason.NO_CREDENTIAL, message)


def not_allowed(storage: Storage) -> Finding:
    """Say that no Job is sent to an address, as the operator itself would not connect to it."""
    message = (
        f"no Job connects to {storage.endpoint}: only to Azure Blob Storage and to what the operator's administrator "
        "allows, by the chart's value storage.allowedHosts"
    )
    return Finding(Reason.STORAGE_NOT_ALLOWED, message)


def told(seen: Sequence[Seen], *, previous: ClosingStatus | None, namespace: str) -> Told:
    """Sum up what was seen of a collection's places, in their order.

    Args:
        seen: one each.
        previous: what was told before.
        namespace: the operator's, where the Jobs are.

    """
    before = {run.namespace: run for run in previous.runs} if previous is not None else {}
    reports = {each.place: _report(each) for each in seen}
    runs = {}
    for each in seen:
        run = _run(each, reports[each.place], before.get(each.place.namespace))
        if run is not None:
            runs[each.place.namespace] = run
    judged = [(_judge(each, runs.get(each.place.namespace), namespace), each) for each in seen]
    # False before None before True; and a Job that runs before one that is over.
    judged.sort(key=lambda item: ({False: 0, None: 1, True: 2}[item[0][0]], item[0][1].reason is Reason.CLOSED))
    if not judged:
        nothing = Finding(Reason.CLOSED, "no namespace is served, so there is no day to close")
        return Told(True, nothing, ClosingStatus())
    (ready, finding), first = judged[0]
    if len(seen) > 1:
        finding = Finding(finding.reason, f"of namespace {first.place.namespace}: {finding.message}")
    if len(seen) > 1 and finding.reason is Reason.CLOSED:
        finding = Finding(finding.reason, f"in {len(seen)} namespaces {_closed(list(runs.values()))}")
    found = [reports[each.place] or _nothing() for each in seen]
    kept = previous or ClosingStatus()
    known = any(reports[each.place] is not None for each in seen)
    status = ClosingStatus(
        job=next((each.job.name for each in (first, *seen) if each.job is not None), kept.job),
        runs=tuple(runs.values())[:MOST_RUNS],
        failed=tuple(day for report in found for day in report.failed)[: closing.MOST_FAILED]
        if known or ready is True
        else kept.failed,
        streams=tuple(stream for report in found for stream in report.streams)[: closing.MOST_STREAMS]
        if any(report.streams for report in found)
        else kept.streams,
    )
    return Told(ready, finding, status)


def _report(seen: Seen) -> Report | None:
    if seen.job is None or seen.job.finished is None or seen.pod is None:
        return None
    return closing.report(seen.pod.message)


def _nothing() -> Report:
    return Report(None, 0, 0, 0, 0, 0, 0, (), ())


def _run(seen: Seen, report: Report | None, before: ClosingRun | None) -> ClosingRun | None:
    """Say what the last good run of a place found."""
    job = seen.job
    if job is None or not job.succeeded or job.finished is None:
        return before
    finished = observed.timestamp(job.finished)
    if report is None:
        # Its pod is gone, with its node perhaps: that it went well is known all the same.
        kept = before or ClosingRun(seen.place.namespace, finished, None, 0, 0, 0, 0, 0)
        return replace(kept, finished=finished)
    return ClosingRun(
        namespace=seen.place.namespace,
        finished=finished,
        through=report.through,
        days=report.days,
        rows=report.rows,
        late_days=report.late_days,
        late_rows=report.late_rows,
        pending_days=report.pending_days,
    )


def _judge(seen: Seen, run: ClosingRun | None, namespace: str) -> tuple[bool | None, Finding]:
    job, ran = seen.job, True if run is not None else None
    if seen.blocked is not None:
        return None if seen.blocked.reason in _PASSING else False, seen.blocked
    if seen.refused is not None:
        return False, seen.refused
    if job is not None and job.finished is None:
        waiting = f"; its pod waits: {seen.pod.waiting}" if seen.pod is not None and seen.pod.waiting else ""
        message = f"Job {namespace}/{job.name} closes what is due{waiting}"
        return False if job.tries else ran, Finding(Reason.CLOSING, message)
    if job is not None and not job.succeeded:
        return False, _failure(job, seen.pod, namespace, waits=seen.waits)
    if seen.waits:
        message = (
            "it is due, and waits for its turn: the operator runs as many Jobs as the value closing.jobsAtOnce says"
        )
        return ran, Finding(Reason.WAITING_TO_CLOSE, message)
    return ran, Finding(Reason.CLOSED, _closed([run]) if run is not None else "nothing has been closed yet")


def _closed(runs: Iterable[ClosingRun]) -> str:
    runs = list(runs)
    days, rows = sum(run.days for run in runs), sum(run.rows for run in runs)
    through = min((run.through for run in runs if run.through), default=None)
    parts = ["no day is closed yet"]
    if through is not None:
        parts = [f"days through {through} are closed: {_counted(days, 'day')}, {_counted(rows, 'row')}"]
    late_rows, pending = sum(run.late_rows for run in runs), sum(run.pending_days for run in runs)
    if late_rows:
        parts.append(f"{_counted(late_rows, 'row')} came late, taken in by the last run")
    if pending:
        parts.append(f"{_counted(pending, 'day')} not due yet")
    return "; ".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _failure(job: Job, pod: JobPod | None, namespace: str, *, waits: bool) -> Finding:
    """Say why a Job failed, and what a person does about it."""
    again = "as soon as it is its turn" if waits else f"at {observed.timestamp(again_at(job))}"
    logs = f"it is tried again {again}; kubectl -n {namespace} logs job/{job.name}"
    report = closing.report(pod.message) if pod is not None else None
    code = pod.exit_code if pod is not None else None
    day = report.failed[0] if report is not None and report.failed else None
    what = f"{day.day}: {day.reason}: {day.message}" if day is not None else ""
    if job.too_late:
        message = "it was not done in its time (the chart's value closing.deadlineSeconds)"
        return Finding(Reason.CLOSING_FAILED, f"{message}: what it had closed stays closed; {logs}")
    if code == closing_job.STORAGE_REFUSED:
        return Finding(
            Reason.STORAGE_REFUSED, f"storage refuses to let days be closed{': ' * bool(what)}{what}; {logs}"
        )
    if code == closing_job.DAYS_FAILED and report is not None:
        count = _counted(len(report.failed), "day")
        return Finding(Reason.CLOSING_FAILED, f"{count} can't be closed, all others are: {what}; {logs}")
    if code == closing_job.WRONG_USAGE:
        message = "closing.image is of another version than the operator: it does not know how it was called"
        return Finding(Reason.CLOSING_FAILED, f"{message}; {logs}")
    if pod is not None and pod.reason == "OOMKilled":
        message = "it had too little memory (the chart's values closing.memory and closing.resources)"
        return Finding(Reason.CLOSING_FAILED, f"{message}; {logs}")
    if pod is not None and pod.reason == "Evicted":
        message = f"its pod was evicted (the chart's value closing.scratch): {closing.cleaned(pod.message)}"
        return Finding(Reason.CLOSING_FAILED, f"{message}; {logs}")
    return Finding(Reason.CLOSING_FAILED, f"Job {namespace}/{job.name} failed: {job.why}; {logs}")
