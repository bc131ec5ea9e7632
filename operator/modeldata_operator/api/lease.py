"""A Lease as a typed record: who leads, and since which write that is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease of coordination.k8s.io/v1."""

    resource_version: str
    """Changes with each write, so also with each renewal."""

    holder: str
    """Empty: it was given back."""

    seconds: float
    """How long after a renewal it may be taken by another; 0 if it does not say."""

    transitions: int
    """How often it changed hands."""

    acquired: str
    """When its holder took it, by that one's clock."""


def lease(body: Mapping[str, Any]) -> Lease:
    """Read a Lease; what is missing or makes no sense counts as nothing."""
    spec = body.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    return Lease(
        resource_version=str(body["metadata"]["resourceVersion"]),
        holder=str(spec.get("holderIdentity") or ""),
        seconds=float(seconds) if isinstance(seconds, int) else 0.0,
        transitions=transitions if isinstance(transitions, int) else 0,
        acquired=str(spec.get("acquireTime") or ""),
    )


def held(holder: str, *, seconds: int, transitions: int, acquired: str, now: datetime) -> dict[str, Any]:
    """Write the spec of a Lease that is taken or renewed. Its times are for people: nobody compares clocks."""
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "leaseTransitions": transitions,
        "acquireTime": acquired or moment(now),
        "renewTime": moment(now),
    }


def given_back(now: datetime) -> dict[str, Any]:
    """Write the change of a Lease that anyone may take at once."""
    return {"holderIdentity": "", "renewTime": moment(now)}


def moment(now: datetime) -> str:
    """Write a time as Leases have it, a MicroTime."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
