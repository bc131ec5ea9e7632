"""What ``modeldata.stats()`` returns, and the metrics show."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What this process did, in rows; what waits, in the spool of the whole pod."""

    accepted: int = 0
    """Rows that ``collect()`` put into the spool."""
    delivered: int = 0
    """Rows that this process brought to Blob Storage. One process of a pod does it for all, dead ones included."""
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    """Rows lost, by reason: see ``modeldata.observe.counters.Drop``."""
    sampled_out: int = 0
    """Requests that sampling left out."""
    waiting_bytes: int = 0
    """Bytes in the pod's spool that are not delivered, as of this process's last look (some seconds ago at most)."""
    oldest_waiting_age: float = 0.0
    """Seconds since the oldest row that waits was collected; 0 where none waits."""
    refusals: dict[str, int] = dataclasses.field(default_factory=dict)
    """How often storage refused rows of this process's shipping, or did not answer, by cause: they wait, and are tried
    again. See ``modeldata.observe.causes.Cause``."""
    set_aside_bytes: int = 0
    """Bytes of the pod's spool that were set aside, as storage refuses them and takes others."""
    unmatched_redactions: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Features that are to be redacted and that no row in this pod had so far, each with the models whose rows were
    looked at: names that are misspelt, most likely."""
    since_delivery: float | None = None
    """Seconds since this process last delivered; None before the first time, and in processes that do not ship."""
