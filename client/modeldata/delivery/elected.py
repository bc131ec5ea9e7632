"""What the elected process does: rows out of the spool, into the journal, into Blob Storage; then their segments go."""

from __future__ import annotations

import contextlib
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
from . import accounts, aside, batches, detour, journal, kept, taking
from .azure import answers, refusal

logger = logging.getLogger("modeldata")

BATCH_BYTES = 3 * 1024 * 1024
"""CSV text taken from the spool at a time. Less where the spool is small. Delivery holds two such batches in memory:
the one that it sends, and, where there is more, the next."""

JOURNAL_SHARE = 16
"""A batch's room on disk is at most one part in so many of the spool's bound: a pod that may use little disk is evicted
for what it uses beyond its limit, and the operator gives the volume twice the bound."""

SMALL_BATCH_BYTES = 256 * 1024
"""After a batch for which the disk had no room: one that fits into what the journal has."""

REFUSED_SECONDS = 5.0
"""A block that fails for so long, while storage takes others, is set aside: so long may one file hold up the others."""

MOVED_SECONDS = 60.0
"""How long the old storage is asked whether it has a block whose answer got lost, before the new one gets the block."""

AGAIN_SECONDS = 3600.0
"""How often segments that could not be read are tried again."""

_MOST_FOLDERS = 3
"""Where rows arrived last: who may write in one folder need not be allowed to elsewhere."""

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
        stopped: typing.Callable[[], bool] = lambda: False,
    ) -> None:
        room = min(journal.BATCH_BYTES, max(SMALL_BATCH_BYTES // 4, spool_bytes // JOURNAL_SHARE))
        self._counters = tally
        self.journal = journal.Journal(directory / ".shipper", batch_bytes=room)
        # Where nobody names the pod, hosts may share a name, and two writers of one own file would lose rows.
        owner = paths.safe(pod or f"{os.uname().nodename}-{self.journal.pod}").replace(".", "-")
        self._taker = taking.Taker(
            directory, own=own, key_file=sas_file.with_name("hash-key"), owner=owner, tally=tally, stopped=stopped
        )
        self._kept = directory / ".shipper" / "kept"
        self._taking: taking.Ahead | None = None
        self._ahead: taking.Taken | None = None
        self._aside = aside.Aside(directory / ".shipper" / "aside")
        if self.journal.batch is not None and self.journal.intent is not None:
            # Set aside by a process that was killed before it had noted that it went on: the batch has it still.
            self._aside.take_back(f"{self.journal.batch.id}-{self.journal.intent.block}")
        self._detour = detour.Detour(directory / ".shipper" / detour.FILE)
        self._again_at = time.monotonic() + AGAIN_SECONDS
        self._accounts = accounts.Accounts(sas_file, self.journal, stopped)
        self._arrived: dict[detour.Place, float] = {}
        """Where rows arrived last, and when (monotonic)."""
        self.found: list[segments.Found] = []
        """What was in the spool when the present batch was taken from it."""
        self._block = 0
        self._most_bytes = self._batch_bytes = min(BATCH_BYTES, room * 2 // 3)

    @property
    def unreadable(self) -> set[str]:
        """Segments that could not be read."""
        return self._taker.unreadable

    @property
    def holds(self) -> bool:
        """Whether rows were left in the spool that are too young to be taken."""
        return self._taker.holds

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
        if more:
            self._taking = self._take_ahead(current)
        try:
            self._deliver(current)
        finally:
            self._join()
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
        self._block = 0
        self._deliver(current)
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
        self._give_up(taken)
        self.found = taken.found
        self._batch_bytes, self._block = self._most_bytes, 0
        return taken

    def _give_up(self, taken: taking.Taken) -> None:
        """Count what of it can't be delivered, and keep what may be mended."""
        kept.put(self._kept, taken.kept)
        for drop in taken.drops:
            self._counters.drop(*drop)

    def _take_ahead(self, current: settings.Settings) -> taking.Ahead:
        assert self.journal.batch is not None
        consumed = {**self.journal.consumed, **self.journal.batch.upto}
        return taking.Ahead(self._taker, current, consumed, most=self._most_bytes)

    def _join(self) -> None:
        """Wait for what is being taken ahead."""
        if self._taking is not None:
            self._ahead, self._taking = self._taking.result(), None

    def _see_ahead(self, taken: batches.Batch, current: settings.Settings) -> taking.Taken | None:
        """Return the rows behind a batch, if there are any."""
        self._join()
        consumed = {**self.journal.consumed, **taken.upto}
        ahead = self._ahead
        if (
            ahead is None
            or ahead.circumstances != self._taker.circumstances(current)
            or any(consumed.get(key, 0) != start for key, start in ahead.since.items())
        ):
            self._ahead = self._taker.take(current, consumed, most=self._most_bytes)
        return self._ahead

    def _holds(self, taken: taking.Taken, current: settings.Settings) -> bool:
        """Return whether what was taken ahead is what would be taken now."""
        if self._batch_bytes < self._most_bytes or taken.circumstances != self._taker.circumstances(current):
            return False
        return all(self.journal.consumed.get(key, 0) == start for key, start in taken.since.items())

    def _deliver(self, current: settings.Settings) -> None:
        """Deliver the open batch from where it stands; what fails for long, while others arrive, is set aside."""
        log, taken = self.journal, self.journal.batch
        assert taken is not None
        assert current.storage is not None
        if log.intent is not None:
            self._block = max(self._block, log.intent.block)
        suspect: batches.Block | None = None
        proven: batches.Block | None = None  # storage takes others, as was asked before it was tried
        postponed: set[detour.Place] = set()
        while self._block < len(taken.blocks):
            block = taken.blocks[self._block]
            place = detour.place(block)
            moved = (block.endpoint, block.container) != (current.storage.endpoint, current.storage.container)
            tried = self._is_in_doubt()
            if moved and not tried:
                taken = self._move(taken, current.storage)
                continue
            trouble = None if tried or taken.aside else self._detour.around(place, time.monotonic())
            if trouble is not None and self._set_aside(taken, trouble, current):
                self._block += 1
                continue
            turns.give_way()
            began = time.monotonic()
            throttled = None
            if not (moved or taken.aside or proven is block):
                throttled = self._detour.throttled(place, began, seconds=REFUSED_SECONDS)
            if throttled is not None:
                # Asked only now: with the refusal, storage asked to be left alone.
                throttled.asked = True
                if not self._others_arrive(taken, current):
                    self._note_delivered(taken)
                    raise answers.NotDone(throttled.reply)
                proven, began = block, time.monotonic()
            try:
                patience = self._detour.patience(place)
                self._accounts.of(block, current.storage, read_seconds=patience).deliver(taken, self._block)
            except answers.NotDone as undone:
                self._note_delivered(taken)
                reply = undone.reply
                if not moved and reply.answer is answers.Answer.DENIED and self._accounts.refresh(current.storage):
                    continue
                now = time.monotonic()
                most = MOVED_SECONDS if moved else AGAIN_SECONDS
                trouble = self._detour.failed(place, reply, now, spent=now - began, most=most)
                self._counters.refuse(refusal.cause(reply).value)
                # Perhaps applied there: the old storage is asked for so long, and answers nothing where it is gone.
                trouble.left_at = (trouble.left_at or now) if moved else 0.0
                if moved and (now - trouble.left_at >= MOVED_SECONDS or reply.answer is answers.Answer.NO_CONTAINER):
                    self._detour.recovered(place)
                    taken = self._move(taken, current.storage)
                    continue
                if not moved and not taken.aside and proven is not block:
                    known = self._detour.is_known(trouble)
                    soon = (trouble.lasted(now) < REFUSED_SECONDS or reply.retry_after > 0) and not known
                    if soon or not self._others_arrive(taken, current):
                        raise
                    if suspect is not block and not known and not trouble.silences:
                        # Storage may have got well between the refusal and the question: then this block is well too.
                        suspect = block
                        continue
                if not self._set_aside(taken, trouble, current):
                    later = self._put_last(taken, current) if place not in postponed else None
                    if later is None:
                        raise
                    postponed.add(place)  # once, or those that can't be delivered take turns for ever
                    taken = later
                    continue
            else:
                self._counters.deliver(block.rows)
                self._aside.remove(taken.aside)
                self._detour.recovered(place, spent=time.monotonic() - began)
                self._arrived.pop(place, None)
                self._arrived[place] = time.monotonic()
                if len(self._arrived) > _MOST_FOLDERS:
                    del self._arrived[next(iter(self._arrived))]
            self._block += 1

    def _others_arrive(self, taken: batches.Batch, current: settings.Settings) -> bool:
        """Return whether storage takes appends elsewhere: at the container's root, or where other rows go to."""
        assert current.storage is not None
        block = taken.blocks[self._block]
        ours = self._accounts.of(block, current.storage, read_seconds=detour.PATIENCE_SECONDS)
        answer = ours.ask()
        if answer not in (answers.Answer.DENIED, answers.Answer.REFUSED):
            return answer is answers.Answer.NO_BLOB
        ahead = self._see_ahead(taken, current)
        behind = [*taken.blocks[self._block + 1 :], *(ahead.blocks if ahead is not None else ())]
        places = dict.fromkeys([*reversed(self._arrived), *map(detour.place, behind)])
        here = detour.place(block)
        others = [each for each in places if each[:2] == here[:2] and self._is_open(each, here)]
        return any(ours.ask(each.path) is answers.Answer.NO_BLOB for each in others[:_MOST_FOLDERS])

    def _is_open(self, place: detour.Place, than: detour.Place) -> bool:
        """Return whether a file is another than one in trouble, and in none itself that is known."""
        return place != than and not self._detour.waits(place, time.monotonic())

    def _set_aside(self, taken: batches.Batch, trouble: detour.Trouble, current: settings.Settings) -> bool:
        """Get a block out of the way of those behind it; return False where there is no room for it.

        Waiting for it would keep every other file's rows waiting, until the spool is full and new rows are lost.
        Dropping it would lose rows that a minute or a setting later could be delivered. So it waits apart, and is
        dropped only where too much waits apart already, and rows of other files have arrived since.
        """
        assert current.storage is not None
        block = taken.blocks[self._block]
        room = current.spool_bytes // ASIDE_SHARE
        over = self._aside.bytes + len(block.data) - room
        if not taken.aside and over > 0 and not self._is_the_only_one(trouble):
            # One in doubt can't be put last instead: only this batch tells where it may be.
            if not self._is_in_doubt() or over > room:
                return False
        elif not taken.aside and over > 0:
            self._leave(taken, block, current.storage)
            detail = f"storage refuses {block.path}: {trouble.reply.answer.value} ({trouble.reply.detail})"
            self._counters.drop(counters.Drop.STORAGE, detail, block.rows)
            return True
        trouble.apart = True
        intent = self._leave(taken, block, current.storage)
        if not taken.aside and intent is None:
            # A later process must find the batch open, or it would take its rows from the spool once more.
            self.journal.intend(journal.Intent(taken.id, self._block, "", 0))
        self._aside.put(taken.aside or f"{taken.id}-{self._block}", block, intent)
        if not taken.aside:
            cause = refusal.cause(trouble.reply)
            self._counters.complain(
                f"aside {cause.value}",
                "storage refuses %s: %s (%s); %d rows set aside, tried again within ten minutes: %s",
                block.path,
                trouble.reply.answer.value,
                trouble.reply.detail,
                block.rows,
                cause.way_out,
            )
        return True

    def _leave(self, taken: batches.Batch, block: batches.Block, to: settings.Storage) -> journal.Intent | None:
        """Give a block up for now; return the append of it that may have been applied."""
        intent = self.journal.intent
        if not self._is_in_doubt():
            return None
        with contextlib.suppress(answers.NotDone):  # what was left without its credential has no own files either
            self._accounts.of(block, to, read_seconds=detour.PATIENCE_SECONDS).set_aside(taken, self._block)
        return intent

    def _is_in_doubt(self) -> bool:
        """Return whether the present block may have been appended."""
        intent = self.journal.intent
        return intent is not None and intent.block == self._block and bool(intent.name)

    def _is_the_only_one(self, trouble: detour.Trouble) -> bool:
        """Return whether it is certain that storage takes rows of other files."""
        if not refusal.concerns_all(trouble.reply):
            return True
        return any(arrived >= trouble.since for arrived in self._arrived.values())

    def _put_last(self, taken: batches.Batch, current: settings.Settings) -> batches.Batch | None:
        """Deliver a block after all the others there are; return the batch then, None where that changes nothing."""
        block, rest = taken.blocks[self._block], taken.blocks[self._block + 1 :]
        if self._is_in_doubt():
            return None
        ahead = self._see_ahead(taken, current)
        behind, upto = (ahead.blocks, {**taken.upto, **ahead.upto}) if ahead is not None else ((), taken.upto)
        here = detour.place(block)
        if not any(self._is_open(detour.place(each), here) for each in (*rest, *behind)):
            return None
        later = batches.Batch(ids.new_id(time.time_ns() // 1000), (*rest, *behind, block), upto)
        self.journal.begin(later)
        if ahead is not None:
            self._give_up(ahead)
        self._ahead, self._block = None, 0
        return later

    def _note_delivered(self, taken: batches.Batch) -> None:
        """Write down which blocks are delivered, where no intent of the present one says it.

        The present one may wait for long. Who goes on then might find storage moved, and the old one, which alone
        could tell of the block before it, gone.
        """
        intent = self.journal.intent
        if intent is not None and intent.block < self._block:
            self.journal.intend(journal.Intent(taken.id, self._block, "", 0))

    def _move(self, taken: batches.Batch, to: settings.Storage) -> batches.Batch:
        """Send the rest of a batch to another account."""
        blocks = tuple(
            dataclasses.replace(block, endpoint=to.endpoint, container=to.container)
            for block in taken.blocks[self._block :]
        )
        logger.warning("modeldata: storage moved to %s/%s; what waits goes there", to.endpoint, to.container)
        moved = batches.Batch(ids.new_id(time.time_ns() // 1000), blocks, taken.upto, taken.aside)
        self.journal.begin(moved)
        self._block = 0
        return moved
