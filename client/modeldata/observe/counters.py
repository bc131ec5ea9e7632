"""What this process collected, delivered and dropped, and why."""

from __future__ import annotations

import collections
import enum
import logging
import os
import time

from ..threads import forking

logger = logging.getLogger("modeldata")

REPEAT_SECONDS = 60.0
"""The same complaint is logged at most this often."""


class Drop(str, enum.Enum):
    """Why rows were not collected."""

    REFUSED = "refused"
    SPOOL_FULL = "spool_full"
    DISK = "disk"
    INTERNAL = "internal_error"
    ROW_TOO_LARGE = "row_too_large"
    CORRUPT = "corrupt"
    STORAGE = "storage_refused"

    @property
    def way_out(self) -> str:
        """What a person can do about it; part of the log line."""
        return _WAYS_OUT[self]


_WAYS_OUT = {
    Drop.REFUSED: "docs/client.md says what is collected",
    Drop.SPOOL_FULL: "mend what keeps storage away (python -m modeldata doctor), or give the spool more room",
    Drop.DISK: "free the disk, or mount the spool writable",
    Drop.INTERNAL: "please report it",
    Drop.ROW_TOO_LARGE: "collect less in a row",
    Drop.CORRUPT: "look after the node's disk",
    Drop.STORAGE: "end the lease, or change the policy or the path that it names",
}


class Counters:
    """Counters of one process."""

    def __init__(self) -> None:
        self._lock = forking.Lock()  # re-entrant: a signal handler may collect
        self.accepted = 0
        """Rows that are safe in the spool. Counted under the writer's lock only."""
        self.delivered = 0
        self.dropped: collections.Counter[str] = collections.Counter()
        self.sampled_out = 0
        """Requests that sampling left out."""
        self.refusals: collections.Counter[str] = collections.Counter()
        """Times that storage refused rows, or did not answer, by cause (see ``causes.Cause``)."""
        self.last_delivery = 0.0
        """Seconds since the epoch; 0 before the first."""
        self._said: dict[str, float] = {}
        self._open: set[str] = set()
        """Topics that were complained of and have not recovered."""

    def deliver(self, rows: int) -> None:
        """Count rows that this process's shipper brought to Blob Storage (other processes' rows among them)."""
        with self._lock.here():
            self.delivered += rows
            self.last_delivery = time.time()

    def drop(self, reason: Drop, detail: str, rows: int = 1) -> None:
        """Count rows that are lost, and say so."""
        with self._lock.here():
            self.dropped[reason.value] += rows
            total = self.dropped[reason.value]
        self.complain(reason.value, "%s; %d dropped so far (%s): %s", detail, total, reason.value, reason.way_out)

    def refuse(self, cause: str) -> None:
        """Count that storage refused rows: they wait."""
        with self._lock.here():
            self.refusals[cause] += 1

    def complain(self, topic: str, message: str, *args: object) -> None:
        """Log a warning, at most once a minute for each topic."""
        now = time.monotonic()
        with self._lock.here():
            if now - self._said.get(topic, -REPEAT_SECONDS) < REPEAT_SECONDS:
                return
            self._said[topic] = now
            self._open.add(topic)
        logger.warning("modeldata: " + message, *args)  # noqa: G003 (a constant prefix)

    def quiet(self, topic: str) -> bool:
        """Note that a topic has recovered, and those named after it; return whether that is to be said.

        What fails and recovers by turns is said once a minute too.
        """
        with self._lock.here():
            closed = {each for each in self._open if each.partition(" ")[0] == topic}
            self._open -= closed
            return bool(closed)


def place(error: Exception) -> str:
    """Return where an error was raised, for a log line without its text, which may hold rows."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" in {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 (no pathlib)


mine: Counters | None = None
"""This process's, once it has a pipeline."""
