"""What this process has of the way from ``collect()`` to Blob Storage: settings, a writer, a shipper.

Made at the first collector, and made anew in a forked child: threads, locks and connections do not survive a fork.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import time

from .. import settings
from ..delivery import election, loop
from ..encoding import paths
from ..observe import counters, metrics, statistics
from ..requests import sampling
from ..spool import segments, writer
from ..threads import forking

logger = logging.getLogger("modeldata")

_POLL_SECONDS = 0.02
_STOP_SECONDS = 0.5
"""What ``close`` waits at least for a thread that has nothing to do any more."""


class Pipeline:
    """One process's pipeline."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.pid = os.getpid()
        self.counters = counters.Counters()
        # Which process this is, is asked with each look: what a worker inherits from its master it must not use once.
        every = 0 if forking.is_master() else settings.LOOK_MICROSECONDS
        self.live = settings.LiveSettings(directory / "settings" / "settings.json", every=every)
        self.sampler = sampling.Sampler(directory / "credential" / "hash-key")
        self._spool = directory / "spool"
        self.writer = writer.Writer(
            self._spool, name=self._name_directory, full_at=self.live.latest.spool_bytes, tally=self.counters
        )
        self.shipper = loop.Shipper(directory, own="", live=self.live, tally=self.counters)
        self.shipper.written = lambda: self.writer.written
        self.shipper.ticked = self._ticked
        self.shipper.looked = self._bound
        self._closed = 0
        """How often: what waits in another thread then waits no longer."""

    def flush(self, timeout: float) -> bool:
        """Wait until all that this process has collected so far is in Blob Storage; return whether it is.

        Rows that were set aside, as storage refuses them, are not; those that were dropped are not waited for.
        """
        position = self.writer.position()  # segments before the present one are delivered before it
        if position is None:
            return True
        deadline = time.monotonic() + timeout
        closed = self._closed
        self.shipper.request_flush()
        while not self.shipper.is_delivered(*position) or self.shipper.has_rows_aside():
            # Nobody waits beyond close(), nor for a time that is no number.
            if not time.monotonic() < deadline or closed != self._closed or not self.shipper.start():
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self, timeout: float) -> bool:
        """Send what is left and stop; return whether all of it is in Blob Storage.

        Rows collected later are written all the same, and start the shipper anew. The spool's directory stays this
        process's until it ends: nobody else may take it for a dead one's.
        """
        deadline = time.monotonic() + timeout
        self.shipper.start()
        delivered = self.drain(timeout)
        self._closed += 1
        self.shipper.stop = True
        self.shipper.wake()
        # Where a thread is left when a subinterpreter is ended, CPython aborts the process.
        self.shipper.join(max(_STOP_SECONDS, deadline - time.monotonic()))
        if not delivered:
            self.say_what_waits()
        return delivered

    def drain(self, timeout: float) -> bool:
        """Send what is left; return whether all of this process's rows are in Blob Storage.

        Where the shipper runs, only re-entrant locks are taken: signal handlers call it.
        """
        deadline = time.monotonic() + timeout
        seen = self.shipper.ticks
        self.shipper.hurry(timeout)
        delivered = self.flush(timeout)
        # Rows of other processes too, dead ones among them, if it is this one that ships: what is there now, as those
        # that serve on may always have more.
        others = self._ends()
        closed = self._closed
        while self.shipper.running and time.monotonic() < deadline and closed == self._closed:
            if self.shipper.ships:
                others = [(key, end) for key, end in others if not self.shipper.is_delivered(key, end)]
                if not others:
                    break
            # One whole look from now on tells whether it ships, and what of the rest can be delivered.
            if self.shipper.ticks >= seen + 2 and not self.shipper.owes:
                break
            time.sleep(_POLL_SECONDS)
        return delivered

    def _ends(self) -> list[tuple[str, int]]:
        """Return the key of each segment in the spool, and where it ends."""
        found = []
        with contextlib.suppress(OSError):  # no spool yet
            for directory in self._spool.iterdir():
                if directory.name.startswith("."):
                    continue
                with contextlib.suppress(OSError):  # removed meanwhile, as what is delivered is
                    for path in directory.iterdir():
                        if segments.format_of(path.name) not in segments.READS:
                            continue
                        with contextlib.suppress(OSError):
                            found.append((f"{directory.name}/{path.name}", path.stat().st_size))
        return found

    def say_what_waits(self) -> None:
        """Log what a process leaves in the spool at its end."""
        logger.warning(
            "modeldata: %d bytes wait in the spool at the end; the next process of this pod sends them",
            self.shipper.waiting_bytes,
        )

    def statistics(self, now: float) -> statistics.Statistics:
        """Return what this process did, and what waits.

        Args:
            now: seconds since the epoch. Where the clock was set back, an age is 0 and never negative.

        """
        tally, oldest = self.counters, self.shipper.oldest_waiting
        return statistics.Statistics(
            accepted=tally.accepted,
            delivered=tally.delivered,
            dropped=dict(tally.dropped),
            sampled_out=tally.sampled_out,
            waiting_bytes=self.shipper.waiting_bytes,
            oldest_waiting_age=max(0.0, now - oldest) if oldest else 0.0,
            refusals=dict(tally.refusals),
            set_aside_bytes=self.shipper.seen.aside_bytes,
            unmatched_redactions=self._unmatched(),
            since_delivery=max(0.0, now - tally.last_delivery) if tally.last_delivery else None,
        )

    def _unmatched(self) -> dict[str, tuple[str, ...]]:
        redactions = self.live.latest.redactions
        if not redactions:
            return {}
        with forking.gate.here():
            from ..delivery import matching  # where nothing is to be redacted, it is not needed
        return matching.read(self._spool / ".shipper" / matching.FILE).unmatched(redactions)

    def _name_directory(self) -> str:
        pod = os.environ.get(election.POD_VARIABLE) or os.uname().nodename
        # A new name each time: what the journal knows of a directory must never be taken for another's.
        self.shipper.own = f"{paths.safe(pod)}-{self.pid}-{os.urandom(4).hex()}"
        return self.shipper.own

    def _bound(self, written: int) -> None:
        room = self.live.latest.spool_bytes - self.shipper.seen.used_bytes
        if self.shipper.ships and self.shipper.seen.shared:
            # Whoever ships does not look while storage lets it wait, 20 s for each answer, and the others fill what it
            # takes for room: together they may exceed the bound by half, where an emptyDir is twice as large.
            room //= 2
        self.writer.full_at = written + room

    def _ticked(self) -> None:
        with contextlib.suppress(OSError):  # it can't be told at this time: the next look is a quarter of a second away
            self.writer.leave_if_removed()
        metrics.follow(self)
