"""Records what a model sees and says: ``ModelDataCollector(...).collect(data)``.

Rows go to a spool on the pod's disk and from there, exactly once, to CSV files in Azure Blob Storage. Importing this
package loads none of azure, pandas and numpy.
"""

from __future__ import annotations

import dataclasses

from . import lifecycle, pipeline
from .collector import ModelDataCollector

__all__ = ["ModelDataCollector", "Statistics", "close", "flush", "stats"]


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What this process did, in rows; what waits, in bytes of the whole pod's spool."""

    accepted: int
    delivered: int
    dropped: dict[str, int]
    """By reason, see ``modeldata.counters.Drop``."""
    waiting_bytes: int
    last_delivery: float
    """Seconds since the epoch; 0 before the first."""


def flush(timeout: float = lifecycle.EXIT_SECONDS) -> bool:
    """Wait, at most ``timeout`` seconds, until what this process collected is in Blob Storage; return whether it is."""
    ours = pipeline.existing()
    return ours.flush(timeout) if ours is not None else True


def close(timeout: float = lifecycle.EXIT_SECONDS) -> bool:
    """Send what is left and stop; for a server's shutdown hook. Return whether all is in Blob Storage."""
    ours = pipeline.existing()
    return ours.close(timeout) if ours is not None else True


def stats() -> Statistics:
    """Return the counters of this process."""
    ours = pipeline.existing()
    if ours is None:
        return Statistics(0, 0, {}, 0, 0.0)
    counters = ours.counters
    return Statistics(
        counters.accepted,
        counters.delivered,
        dict(counters.dropped),
        ours.shipper.waiting_bytes,
        counters.last_delivery,
    )
