"""What ``modeldata.stats()`` returns, and the metrics show."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from . import pipeline


class Statistics(typing.NamedTuple):
    """What this process did, in rows; what waits, in the spool of the whole pod."""

    accepted: int
    """Rows that ``collect()`` put into the spool."""
    delivered: int
    """Rows that this process brought to Blob Storage. One process of a pod does it for all, dead ones included."""
    dropped: dict[str, int]
    """Rows lost, by reason: see ``modeldata.counters.Drop``."""
    sampled_out: int
    """Requests that sampling left out."""
    waiting_bytes: int
    """Bytes in the pod's spool that are not delivered, as of this process's last look (some seconds ago at most)."""
    oldest_waiting_age: float
    """Seconds since the oldest row that waits was collected; 0 where none waits."""
    since_delivery: float | None
    """Seconds since this process last delivered; None before the first time, and in processes that do not ship."""


def take(ours: pipeline.Pipeline | None, now: float) -> Statistics:
    """Return the statistics of a pipeline; of none, where nothing is collected.

    Args:
        ours: this process's pipeline.
        now: seconds since the epoch. Where the clock was set back, an age is 0 and never negative.

    """
    if ours is None:
        return Statistics(0, 0, {}, 0, 0, 0.0, None)
    counters, shipper = ours.counters, ours.shipper
    return Statistics(
        accepted=counters.accepted,
        delivered=counters.delivered,
        dropped=dict(counters.dropped),
        sampled_out=counters.sampled_out,
        waiting_bytes=shipper.waiting_bytes,
        oldest_waiting_age=max(0.0, now - shipper.oldest_waiting) if shipper.oldest_waiting else 0.0,
        since_delivery=max(0.0, now - counters.last_delivery) if counters.last_delivery else None,
    )
