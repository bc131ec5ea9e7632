"""Batches out of the spool, each taken while the one before it is sent, and written into the journal."""

from __future__ import annotations

import pathlib
import time

from .. import settings
from ..observe import counters
from ..requests import ids
from ..spool import segments
from ..threads import turns
from . import batches, journal, kept, taking

BATCH_BYTES = 3 * 1024 * 1024
"""CSV text taken from the spool at a time. Less where the spool is small. Delivery holds two such batches in memory:
the one that it sends, and, where there is more, the next."""

SMALL_BATCH_BYTES = 256 * 1024
"""After a batch for which the disk had no room: one that fits into what the journal has."""


class Supply:
    """The batches that there are to send.

    Args:
        taker: takes rows from the spool.
        log: the journal.
        room: what a batch may take of it, in bytes.
        aside: where rows are kept that our own encoder can't encode.
        tally: counts what can't be delivered.

    """

    def __init__(
        self, taker: taking.Taker, log: journal.Journal, *, room: int, aside: pathlib.Path, tally: counters.Counters
    ) -> None:
        self._taker = taker
        self._journal = log
        self._kept = aside
        self._counters = tally
        self._most_bytes = self._batch_bytes = min(BATCH_BYTES, room * 2 // 3)
        self._taking: taking.Ahead | None = None
        self._ahead: taking.Taken | None = None
        self.found: list[segments.Found] = []
        """What was in the spool when the present batch was taken from it."""

    @property
    def unreadable(self) -> set[str]:
        """Segments that could not be read."""
        return self._taker.unreadable

    @property
    def holds(self) -> bool:
        """Whether rows were left in the spool that are too young to be taken."""
        return self._taker.holds

    def look(self) -> None:
        """Look what is in the spool, where the present batch was taken by a process before."""
        self.found = self._taker.scan()

    def take(self, current: settings.Settings) -> taking.Taken | None:
        """Take the next rows from the spool into a batch; return them if there were any.

        Raises:
            OSError: the disk can't be read, or has no room for them.

        """
        taken, self._ahead = self._ahead, None
        if taken is None or not self._is_the_next(taken, current):
            taken = self._taker.take(current, self._journal.consumed, most=self._batch_bytes)
        if taken is None:
            return None
        turns.give_way()
        try:
            self._journal.begin(batches.Batch(ids.new_id(time.time_ns() // 1000), taken.blocks, taken.upto))
        except OSError:
            self._batch_bytes = min(SMALL_BATCH_BYTES, self._most_bytes)
            raise
        self._give_up(taken)
        self.found = taken.found
        self._batch_bytes = self._most_bytes
        return taken

    def take_ahead(self, current: settings.Settings) -> None:
        """Begin to take what is behind the present batch, in a thread of its own."""
        assert self._journal.batch is not None
        consumed = {**self._journal.consumed, **self._journal.batch.upto}
        self._taking = taking.Ahead(self._taker, current, consumed, most=self._most_bytes)

    def join(self) -> None:
        """Wait for what is being taken ahead."""
        if self._taking is not None:
            self._ahead, self._taking = self._taking.result(), None

    def behind(self, taken: batches.Batch, current: settings.Settings) -> taking.Taken | None:
        """Return the rows behind a batch, if there are any."""
        self.join()
        consumed = {**self._journal.consumed, **taken.upto}
        ahead = self._ahead
        if (
            ahead is None
            or ahead.circumstances != self._taker.circumstances(current)
            or any(consumed.get(key, 0) != start for key, start in ahead.since.items())
        ):
            self._ahead = self._taker.take(current, consumed, most=self._most_bytes)
        return self._ahead

    def use_up(self) -> None:
        """Take in that what was taken ahead is in the present batch."""
        if self._ahead is not None:
            self._give_up(self._ahead)
        self._ahead = None

    def clean(self) -> None:
        """Remove the segments that are delivered and complete.

        Raises:
            OSError: one can't be removed.

        """
        self._taker.clean(self._journal.consumed)

    def _give_up(self, taken: taking.Taken) -> None:
        """Count what of it can't be delivered, and keep what may be mended."""
        kept.put(self._kept, taken.kept)
        for drop in taken.drops:
            self._counters.drop(*drop)

    def _is_the_next(self, taken: taking.Taken, current: settings.Settings) -> bool:
        """Return whether what was taken ahead is what would be taken now."""
        if self._batch_bytes < self._most_bytes or taken.circumstances != self._taker.circumstances(current):
            return False
        return all(self._journal.consumed.get(key, 0) == start for key, start in taken.since.items())
