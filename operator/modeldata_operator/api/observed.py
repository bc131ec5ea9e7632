"""The status of a DataCollection as a typed, frozen record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from . import closing, fields
from .closing import FailedDay, StreamReport
from .keys import ObjectKey

MOST_ROTATIONS = 2**31
"""At one each three hours, a number of many hundred thousand years: what is more was not written by the operator."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a status."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What the operator remembers of a minted SAS; nothing of it is secret."""

    rotation: int = 0
    """How many have been minted for its own namespace."""
    expires_at: str | None = None
    namespaces: tuple[str, ...] = ()
    """The others that have one."""
    rotations: Mapping[str, int] = field(default_factory=dict)
    """Of the others, how many each. What one of them does to its Secret must not become a change for all."""

    def rotation_in(self, namespace: str) -> int:
        """Say how many have been minted for a namespace, as far as it is known."""
        return self.rotations.get(namespace, self.rotation)


@dataclass(frozen=True, slots=True)
class PodCounts:
    """Pods this collection should serve, pods that carry its injection, pods that obey its present settings."""

    matched: int = 0
    injected: int = 0
    current: int = 0


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """Why a workload is not collected, or not wholly."""

    kind: str
    key: ObjectKey
    pods: int
    injected: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClosingRun:
    """What the last good run found in one namespace's container: all that is closed there, and what is not yet."""

    namespace: str
    finished: str
    through: str | None
    days: int
    rows: int
    late_days: int
    late_rows: int
    pending_days: int


@dataclass(frozen=True, slots=True)
class ClosingStatus:
    """Which days of a collection are closed."""

    job: str | None = None
    """The present Job, or the last one, in the operator's namespace."""
    runs: tuple[ClosingRun, ...] = ()
    failed: tuple[FailedDay, ...] = ()
    streams: tuple[StreamReport, ...] = ()

    @property
    def through(self) -> str | None:
        """Name the last day through which everything is closed in every container that has a closed day."""
        return min((run.through for run in self.runs if run.through), default=None)

    @property
    def last_run(self) -> str | None:
        """Say when everything that was due had been closed, in every container."""
        return min((run.finished for run in self.runs), default=None)


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a DataCollection."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    pods: PodCounts | None = None
    workloads: tuple[WorkloadStatus, ...] = ()
    credential: CredentialStatus = CredentialStatus()
    closing: ClosingStatus | None = None


def timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rotation(value: object) -> int:
    """Read how many SAS were minted; what makes no sense counts as none, for it goes into the pods' settings."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < 11 else 0
    return value if isinstance(value, int) and 0 <= value < MOST_ROTATIONS else 0


def status(value: object) -> Status:
    """Read back what this operator wrote; anything else counts as never written."""
    if not isinstance(value, Mapping):
        return Status()
    try:
        pods, credential = value.get("pods"), value.get("credential") or {}
        return Status(
            observed_generation=value.get("observedGeneration"),
            conditions=tuple(
                Condition(
                    type=item["type"],
                    status=item["status"],
                    reason=item.get("reason", ""),
                    message=item.get("message", ""),
                    observed_generation=item.get("observedGeneration", 0),
                    last_transition_time=item.get("lastTransitionTime", ""),
                )
                for item in value.get("conditions") or ()
            ),
            pods=PodCounts(pods.get("matched", 0), pods.get("injected", 0), pods.get("current", 0)) if pods else None,
            workloads=tuple(
                WorkloadStatus(
                    kind=item["kind"],
                    key=ObjectKey(item["namespace"], item["name"]),
                    pods=item.get("pods", 0),
                    injected=item.get("injected", 0),
                    reason=item.get("reason", ""),
                    message=item.get("message", ""),
                )
                for item in value.get("workloads") or ()
            ),
            credential=CredentialStatus(
                rotation=rotation(credential.get("rotation")),
                expires_at=credential.get("expiresAt"),
                namespaces=tuple(credential.get("namespaces") or ()),
                rotations={
                    str(item["namespace"]): rotation(item.get("rotation")) for item in credential.get("rotations") or ()
                },
            ),
            closing=_closing(value.get("closing")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return Status()


def _closing(value: object) -> ClosingStatus | None:
    if value is None:
        return None
    status = fields.mapping(value, "closing")
    return ClosingStatus(
        job=status.get("job"),
        runs=tuple(
            ClosingRun(
                namespace=str(each["namespace"]),
                # Must be a time: it is compared with the present.
                finished=timestamp(datetime.fromisoformat(each["finished"])),
                through=each.get("through"),
                days=int(each.get("days", 0)),
                rows=int(each.get("rows", 0)),
                late_days=int(each.get("lateDays", 0)),
                late_rows=int(each.get("lateRows", 0)),
                pending_days=int(each.get("pendingDays", 0)),
            )
            for _, each in fields.items(status.get("runs"), "runs")
        ),
        failed=tuple(
            FailedDay(str(each["day"]), str(each["reason"]), str(each["message"]))
            for _, each in fields.items(status.get("failed"), "failed")[: closing.MOST_FAILED]
        ),
        streams=tuple(
            StreamReport(str(each["stream"]), str(each["through"]), int(each.get("rows", 0)))
            for _, each in fields.items(status.get("streams"), "streams")[: closing.MOST_STREAMS]
        ),
    )
