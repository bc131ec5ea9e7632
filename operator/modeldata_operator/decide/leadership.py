"""Who may lead, decided by what one has seen oneself: no two machines' clocks are ever compared.

A holder counts from the moment when it SENT the last renewal that was taken, and acts for less time than another waits
from the moment when it SAW that renewal. Sending comes before seeing, so the one has stopped when the other begins, as
long as their clocks run equally fast. docs/decisions/0013-leader.md has the numbers.
"""

from dataclasses import dataclass, replace

from ..api.lease import Lease

LEASE_SECONDS = 10
"""How long a Lease must be seen unchanged before somebody else takes it."""

ACTS_SECONDS = 7.0
"""How long a holder acts after it sent its last renewal that was taken: three renewals may fail, and three seconds are
left for what is on its way to the API server, and for clocks that run unequally."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease as somebody who would lead saw it last."""

    lease: Lease | None
    since: float
    """When it was first seen just so, by the clock of who looks."""
    there: bool


def sighted(before: Sighting | None, found: Lease | None, *, now: float) -> Sighting:
    """Take in what was found; the time counts from the first look that found it so."""
    if found is None:
        if before is None or before.lease is None:
            return Sighting(None, now, there=False)
        # Whoever deleted it: that its holder has stopped is not said by that.
        return replace(before, there=False)
    known = before.lease if before is not None and before.there else None
    if before is not None and known is not None and known.resource_version == found.resource_version:
        return before
    return Sighting(found, now, there=True)


def free_in(sighting: Sighting, *, me: str, now: float) -> float:
    """Return the seconds after which the Lease may be taken if nothing changes; 0: at once."""
    lease = sighting.lease
    if lease is None or lease.holder in ("", me):
        return 0.0
    return max(0.0, sighting.since + (lease.seconds or LEASE_SECONDS) - now)


def stopped(sighting: Sighting, *, me: str, now: float) -> bool:
    """Tell whether another holder has stopped by its own count, though the Lease can't be taken yet."""
    lease = sighting.lease
    # Of a holder that counts otherwise it is not known when it stops.
    if lease is None or lease.holder in ("", me) or lease.seconds != LEASE_SECONDS:
        return False
    return now >= sighting.since + ACTS_SECONDS


def acts_until(sent: float) -> float:
    """Return how long somebody acts whose renewal, sent at this time, was taken."""
    return sent + ACTS_SECONDS
