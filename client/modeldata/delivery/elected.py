"""What the elected process does: rows out of the spool, into the journal, into Blob Storage; then their segments go."""

from __future__ import annotations

import os
import pathlib
import time
import typing

from .. import settings
from ..encoding import paths
from ..observe import counters
from ..spool import segments
from . import accounts, aside, batches, detour, journal, sending, supply, taking

JOURNAL_SHARE = 16
"""A batch's room on disk is at most one part in so many of the spool's bound: a pod that may use little disk is evicted
for what it uses beyond its limit, and the operator gives the volume twice the bound."""


class Delivery:
    """Delivery by the process that holds the shipper's lock."""

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        own: typing.Callable[[], str],
        sas_file: pathlib.Path,
        pod: str,
        spool_bytes: int,
        tally: counters.Counters,
        stopped: typing.Callable[[], bool] = lambda: False,
    ) -> None:
        room = min(journal.BATCH_BYTES, max(supply.SMALL_BATCH_BYTES // 4, spool_bytes // JOURNAL_SHARE))
        self._counters = tally
        self.journal = journal.Journal(directory / ".shipper", batch_bytes=room)
        # Where nobody names the pod, hosts may share a name, and two writers of one own file would lose rows.
        owner = paths.safe(pod or f"{os.uname().nodename}-{self.journal.pod}").replace(".", "-")
        taker = taking.Taker(
            directory, own=own, key_file=sas_file.with_name("hash-key"), owner=owner, tally=tally, stopped=stopped
        )
        self._supply = supply.Supply(taker, self.journal, room=room, aside=directory / ".shipper" / "kept", tally=tally)
        self._aside = aside.Aside(directory / ".shipper" / "aside")
        if self.journal.batch is not None and self.journal.intent is not None:
            # Set aside by a process that was killed before it had noted that it went on: the batch has it still.
            self._aside.take_back(f"{self.journal.batch.id}-{self.journal.intent.block}")
        self._detour = detour.Detour(directory / ".shipper" / detour.FILE)
        self._again_at = time.monotonic() + sending.AGAIN_SECONDS
        self._accounts = accounts.Accounts(sas_file, self.journal, stopped)
        self._sending = sending.Sending(
            self.journal,
            supplied=self._supply,
            reached=self._accounts,
            left=self._aside,
            around=self._detour,
            tally=tally,
        )

    @property
    def found(self) -> list[segments.Found]:
        """What was in the spool when the present batch was taken from it."""
        return self._supply.found

    @property
    def unreadable(self) -> set[str]:
        """Segments that could not be read."""
        return self._supply.unreadable

    @property
    def holds(self) -> bool:
        """Whether rows were left in the spool that are too young to be taken."""
        return self._supply.holds

    def close(self) -> None:
        """Close the connections."""
        self._accounts.close()

    def pace(self, now: float) -> float:
        """Return how many seconds to leave between two flushes, so that the files' blocks last the day.

        Args:
            now: seconds since the epoch.

        """
        return self._accounts.pace(now)

    def try_all_again(self, *, silent: bool = True) -> None:
        """Try what was set aside, and what could not be read, when there is nothing else to send.

        Args:
            silent: also what storage did not answer, though it may hold up the rest.

        """
        self._detour.hasten(silent=silent)
        self._again_at = time.monotonic() + sending.AGAIN_SECONDS
        self._supply.unreadable.clear()

    def ship(self, current: settings.Settings) -> bool:
        """Deliver the open batch or the next one; return False when there is none.

        Args:
            current: the settings in force; they have a storage.

        Raises:
            answers.NotDone: storage can't be reached, or refuses.
            OSError: the disk can't be read or written.

        """
        log = self.journal
        log.save()
        if time.monotonic() >= self._again_at:
            self.try_all_again()
        if log.batch is not None:
            self._supply.look()
        else:
            taken = self._supply.take(current)
            if taken is None:
                return False
            self._sending.begin()
            if taken.full:
                self._supply.take_ahead(current)
        try:
            self._sending.deliver(current)
        finally:
            self._supply.join()
        log.finish({found.key for found in self.found})
        return True

    def ship_aside(self, current: settings.Settings) -> bool:
        """Try the next block that was set aside and is due; return False when there is none, or it has to wait on.

        Raises:
            OSError: the disk can't be read or written.

        """
        name = self._aside.next(time.monotonic(), self._detour)
        if not name:
            return False
        try:
            found = self._aside.get(name)
        except batches.NewerError as error:
            self._aside.leave(name)
            self._counters.complain("format", "a block that was set aside waits for a newer version: %s", error)
            return True
        if found is None:
            self._counters.drop(counters.Drop.CORRUPT, "a block that was set aside can't be read")
            return True
        self.journal.begin(*found)
        self._sending.begin()
        self._sending.deliver(current)
        self.journal.finish(self.journal.consumed)
        return name not in self._aside.sizes

    def tries_again(self) -> bool:
        """Return whether a block that was set aside is due."""
        return bool(self._aside.next(time.monotonic(), self._detour))

    def clean(self) -> None:
        """Remove the segments that are delivered and complete.

        Raises:
            OSError: one can't be removed.

        """
        self._supply.clean()
