"""What the elected process does: rows out of the spool, into the journal, into Blob Storage; then their segments go."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
import time
import typing

from .. import settings
from ..encoding import paths
from ..observe import counters
from ..requests import ids
from ..spool import segments
from ..threads import turns
from . import aside, batches, journal, taking
from .azure import answers, blobs, credentials
from .files import append

logger = logging.getLogger("modeldata")

BATCH_BYTES = 3 * 1024 * 1024
"""CSV text taken from the spool at a time. Less where the spool is small. Delivery holds two such batches in memory:
the one that it sends, and, where there is more, the next."""

JOURNAL_SHARE = 16
"""A batch's room on disk is at most one part in so many of the spool's bound: a pod that may use little disk is evicted
for what it uses beyond its limit, and the operator gives the volume twice the bound."""

SMALL_BATCH_BYTES = 256 * 1024
"""After a batch for which the disk had no room: one that fits into what the journal has."""

REFUSED_SECONDS = 60.0
"""A block that is refused for so long is set aside."""

MOVED_SECONDS = 60.0
"""How long the old storage is asked whether it has a block whose answer got lost, before the new one gets the block."""

AGAIN_SECONDS = 3600.0
"""How often blocks that were set aside, and segments that could not be read, are tried again."""

ASIDE_SHARE = 4
"""Blocks set aside may take one part in so many of the spool's bound."""


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
    ) -> None:
        room = min(journal.BATCH_BYTES, max(SMALL_BATCH_BYTES // 4, spool_bytes // JOURNAL_SHARE))
        self._sas_file = sas_file
        self._counters = tally
        self.journal = journal.Journal(directory / ".shipper", batch_bytes=room)
        # Where nobody names the pod, hosts may share a name, and two writers of one own file would lose rows.
        owner = paths.safe(pod or f"{os.uname().nodename}-{self.journal.pod}").replace(".", "-")
        self._taker = taking.Taker(
            directory, own=own, key_file=sas_file.with_name("hash-key"), owner=owner, tally=tally
        )
        self._ahead: taking.Taken | None = None
        self._aside = aside.Aside(directory / ".shipper" / "aside")
        if self.journal.batch is not None and self.journal.intent is not None:
            # Set aside by a process that was killed before it had noted that it went on: the batch has it still.
            self._aside.remove(f"{self.journal.batch.id}-{self.journal.intent.block}")
        self._again: list[str] = list(self._aside.sizes)
        self._again_at = time.monotonic() + AGAIN_SECONDS
        self._blobs: blobs.Blobs | None = None
        self._appender: append.Appender | None = None
        self.found: list[segments.Found] = []
        """What was in the spool when the present batch was taken from it."""
        self._identity: settings.WorkloadIdentity | None = None
        self._block = 0
        self._failed: tuple[str, int] = ("", 0)
        self._failed_at = 0.0
        self._most_bytes = self._batch_bytes = min(BATCH_BYTES, room * 2 // 3)

    @property
    def unreadable(self) -> set[str]:
        """Segments that could not be read."""
        return self._taker.unreadable

    def close(self) -> None:
        """Close the connections."""
        if self._blobs is not None:
            self._blobs.close()
            self._blobs = None

    def pace(self, now: float) -> float:
        """Return how many seconds to leave between two flushes, so that the files' blocks last the day.

        Args:
            now: seconds since the epoch.

        """
        return self._appender.pace(now) if self._appender is not None else 0.0

    def try_all_again(self) -> None:
        """Try what was set aside, and what could not be read, when there is nothing else to send."""
        self._again = list(self._aside.sizes)
        self._again_at = time.monotonic() + AGAIN_SECONDS
        self._taker.unreadable.clear()

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
        more = False
        if log.batch is not None:
            self.found = self._taker.scan()
        else:
            taken = self._take(current)
            if taken is None:
                return False
            more = taken.full
        ahead = self._take_ahead(current) if more else None
        try:
            self._deliver(current)
        finally:
            if ahead is not None:
                self._ahead = ahead.result()
        log.finish({found.key for found in self.found})
        return True

    def ship_aside(self, current: settings.Settings) -> bool:
        """Try the next block that was set aside and is due; return False when there is none.

        Raises:
            answers.NotDone: storage can't be reached.
            OSError: the disk can't be read or written.

        """
        if not self.tries_again():
            return False
        if not self._again:
            self.try_all_again()
        name = self._again.pop(0)
        if name not in self._aside.sizes:  # delivered meanwhile
            return True
        found = self._aside.get(name)
        if found is None:
            self._counters.drop(counters.Drop.CORRUPT, "a block that was set aside can't be read")
            return True
        self.journal.begin(*found)
        self._block = 0
        self._deliver(current)
        self.journal.finish(self.journal.consumed)
        return True

    def tries_again(self) -> bool:
        """Return whether a block that was set aside is due."""
        return bool(self._again) or (bool(self._aside.sizes) and time.monotonic() >= self._again_at)

    def clean(self) -> None:
        """Remove the segments that are delivered and complete.

        Raises:
            OSError: one can't be removed.

        """
        self._taker.clean(self.journal.consumed)

    def _take(self, current: settings.Settings) -> taking.Taken | None:
        """Take the next rows from the spool into a batch; return them if there were any."""
        taken, self._ahead = self._ahead, None
        if taken is None or not self._holds(taken, current):
            taken = self._taker.take(current, self.journal.consumed, most=self._batch_bytes)
        if taken is None:
            return None
        turns.give_way()
        try:
            self.journal.begin(batches.Batch(ids.new_id(time.time_ns() // 1000), taken.blocks, taken.upto))
        except OSError:
            self._batch_bytes = min(SMALL_BATCH_BYTES, self._most_bytes)
            raise
        for drop in taken.drops:
            self._counters.drop(*drop)
        self.found = taken.found
        self._batch_bytes, self._block = self._most_bytes, 0
        return taken

    def _take_ahead(self, current: settings.Settings) -> taking.Ahead:
        assert self.journal.batch is not None
        consumed = {**self.journal.consumed, **self.journal.batch.upto}
        return taking.Ahead(self._taker, current, consumed, most=self._most_bytes)

    def _holds(self, taken: taking.Taken, current: settings.Settings) -> bool:
        """Return whether what was taken ahead is what would be taken now."""
        if self._batch_bytes < self._most_bytes or taken.circumstances != self._taker.circumstances(current):
            return False
        return all(self.journal.consumed.get(key, 0) == start for key, start in taken.since.items())

    def _deliver(self, current: settings.Settings) -> None:
        """Deliver the open batch from where it stands; what is refused for long is set aside."""
        log, taken = self.journal, self.journal.batch
        assert taken is not None
        assert current.storage is not None
        self._identity = current.storage.identity
        if log.intent is not None:
            self._block = max(self._block, log.intent.block)
        suspect: batches.Block | None = None
        while self._block < len(taken.blocks):
            block = taken.blocks[self._block]
            moved = (block.endpoint, block.container) != (current.storage.endpoint, current.storage.container)
            tried = log.intent is not None and log.intent.block == self._block and bool(log.intent.name)
            if moved and not tried:
                taken = self._move(taken, current.storage)
                continue
            turns.give_way()
            try:
                self._appender_for(block).deliver(taken, self._block)
            except answers.NotDone as undone:
                self._note_delivered(taken)
                answer = undone.reply.answer
                if moved:  # tried there before, perhaps applied: asked again, as far as the credential reaches
                    if answer is answers.Answer.AMBIGUOUS and self._failing_for(taken) < MOVED_SECONDS:
                        raise
                    taken = self._move(taken, current.storage)
                    continue
                if answer is answers.Answer.DENIED and self._blobs is not None and self._blobs.refresh_credential():
                    continue
                if answer is not answers.Answer.REFUSED:
                    raise
                if not taken.aside and suspect is not block:
                    if not self._alone_is_refused(taken):
                        raise
                    # Storage may have got well between the refusal and the question: then this block is well too.
                    suspect = block
                    continue
                self._set_aside(taken, undone, current)
            else:
                self._counters.deliver(block.rows)
                self._aside.remove(taken.aside)
            self._block += 1
        self._failed = ("", 0)

    def _alone_is_refused(self, taken: batches.Batch) -> bool:
        """Return whether the present block has been refused for long, while storage takes others."""
        if self._failing_for(taken) < REFUSED_SECONDS:
            return False
        return self._appender_for(taken.blocks[self._block]).takes_appends()

    def _set_aside(self, taken: batches.Batch, undone: answers.NotDone, current: settings.Settings) -> None:
        """Get a refused block out of the way of those behind it.

        A refusal is an answer to this block: a name that the service does not take, a file with somebody's lease.
        Waiting for it would keep every other file's rows waiting, until the spool is full and new rows are lost.
        Dropping it would lose rows that an hour or a setting later could be delivered. So it waits apart, and is
        dropped only where too much waits apart already. Where storage refuses everything, all wait in the spool.
        """
        block = taken.blocks[self._block]
        if taken.aside:
            self._aside.put(taken.aside, block, self._appender_for(block).set_aside(taken, self._block))
            return
        if self._aside.bytes + len(block.data) <= current.spool_bytes // ASIDE_SHARE:
            intent = self._appender_for(block).set_aside(taken, self._block)
            if intent is None:
                # A later process must find the batch open, or it would take its rows from the spool once more.
                self.journal.intend(journal.Intent(taken.id, self._block, "", 0))
            self._aside.put(f"{taken.id}-{self._block}", block, intent)
            logger.warning(
                "modeldata: storage refuses %s: %s; %d rows set aside, tried again within an hour",
                block.path,
                undone,
                block.rows,
            )
            return
        self._appender_for(block).set_aside(taken, self._block)
        self._counters.drop(counters.Drop.STORAGE, f"storage refuses {block.path}: {undone}", block.rows)

    def _note_delivered(self, taken: batches.Batch) -> None:
        """Write down which blocks are delivered, where no intent of the present one says it.

        The present one may wait for long. Who goes on then might find storage moved, and the old one, which alone
        could tell of the block before it, gone.
        """
        intent = self.journal.intent
        if intent is not None and intent.block < self._block:
            self.journal.intend(journal.Intent(taken.id, self._block, "", 0))

    def _failing_for(self, taken: batches.Batch) -> float:
        """Return for how many seconds the present block has been failing."""
        if self._failed != (taken.id, self._block):
            self._failed, self._failed_at = (taken.id, self._block), time.monotonic()
        return time.monotonic() - self._failed_at

    def _move(self, taken: batches.Batch, to: settings.Storage) -> batches.Batch:
        """Send the rest of a batch to another account: the credential for the old one is gone."""
        blocks = tuple(
            dataclasses.replace(block, endpoint=to.endpoint, container=to.container)
            for block in taken.blocks[self._block :]
        )
        logger.warning("modeldata: storage moved to %s/%s; what waits goes there", to.endpoint, to.container)
        moved = batches.Batch(ids.new_id(time.time_ns() // 1000), blocks, taken.upto, taken.aside)
        self.journal.begin(moved)
        self._block = 0
        return moved

    def _appender_for(self, block: batches.Block) -> append.Appender:
        account = credentials.Account(block.endpoint, block.container, self._sas_file, self._identity)
        if self._blobs is None or self._blobs.account != account or self._appender is None:
            self.close()
            self._blobs = blobs.Blobs(account, credentials.of(account))
            self._appender = append.Appender(self._blobs, self.journal)
        return self._appender
