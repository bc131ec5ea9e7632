"""A batch on its way into storage, block by block; what fails for long, while others arrive, is set aside."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time

from .. import settings
from ..observe import counters
from ..requests import ids
from ..threads import turns
from . import accounts, aside, batches, detour, journal, supply
from .azure import answers, refusal

logger = logging.getLogger("modeldata")

REFUSED_SECONDS = 5.0
"""A block that fails for so long, while storage takes others, is set aside: so long may one file hold up the others."""

MOVED_SECONDS = 60.0
"""How long the old storage is asked whether it has a block whose answer got lost, before the new one gets the block."""

AGAIN_SECONDS = 3600.0
"""How often segments that could not be read are tried again, and files after a refusal at the latest."""

ASIDE_SHARE = 4
"""Blocks set aside may take one part in so many of the spool's bound."""

_MOST_FOLDERS = 3
"""Where rows arrived last: who may write in one folder need not be allowed to elsewhere."""


@dataclasses.dataclass
class _Course:
    """What is known while one batch is being delivered."""

    current: settings.Settings
    storage: settings.Storage
    suspect: batches.Block | None = None
    """It was refused while storage takes others, and is tried once more."""
    proven: batches.Block | None = None
    """Storage takes others, as was asked before this one was tried."""
    postponed: set[detour.Place] = dataclasses.field(default_factory=set)
    """Whose blocks were put last: once, or those that can't be delivered take turns for ever."""


class Sending:
    """Delivers the journal's open batch."""

    def __init__(
        self,
        log: journal.Journal,
        *,
        supplied: supply.Supply,
        reached: accounts.Accounts,
        left: aside.Aside,
        around: detour.Detour,
        tally: counters.Counters,
    ) -> None:
        self._journal = log
        self._supply = supplied
        self._accounts = reached
        self._aside = left
        self._detour = around
        self._counters = tally
        self._arrived: dict[detour.Place, float] = {}
        """Where rows arrived last, and when (monotonic)."""
        self._block = 0

    def begin(self) -> None:
        """Take in that another batch is open, of which nothing is delivered."""
        self._block = 0

    def deliver(self, current: settings.Settings) -> None:
        """Deliver the open batch from where it stands.

        Args:
            current: the settings in force; they have a storage.

        Raises:
            answers.NotDone: storage can't be reached, or refuses.
            OSError: the disk can't be read or written.

        """
        log = self._journal
        assert current.storage is not None
        if log.intent is not None:
            self._block = max(self._block, log.intent.block)
        course = _Course(current, current.storage)
        while True:
            taken = log.batch  # another one, where the rest of it moves or is put last
            assert taken is not None
            if self._block >= len(taken.blocks):
                return
            self._step(taken, course)

    def _step(self, taken: batches.Batch, course: _Course) -> None:
        """Deliver the present block, or go around it; return for the next step."""
        block = taken.blocks[self._block]
        place = detour.place(block)
        moved = (block.endpoint, block.container) != (course.storage.endpoint, course.storage.container)
        tried = self._is_in_doubt()
        if moved and not tried:
            self._move(taken, course.storage)
            return
        trouble = None if tried or taken.aside else self._detour.around(place, time.monotonic())
        if trouble is not None and self._set_aside(taken, trouble, course):
            self._block += 1
            return
        turns.give_way()
        if not (moved or taken.aside or course.proven is block):
            self._ask_first(taken, course)
        began = time.monotonic()
        try:
            patience = self._detour.patience(place)
            self._accounts.of(block, course.storage, read_seconds=patience).deliver(taken, self._block)
        except answers.NotDone as undone:
            self._note_delivered(taken)
            if not self._goes_on(taken, undone.reply, course, began=began, moved=moved):
                raise
            return
        self._counters.deliver(block.rows)
        self._aside.remove(taken.aside)
        self._detour.recovered(place, spent=time.monotonic() - began)
        self._arrived.pop(place, None)
        self._arrived[place] = time.monotonic()
        if len(self._arrived) > _MOST_FOLDERS:
            del self._arrived[next(iter(self._arrived))]
        self._block += 1

    def _ask_first(self, taken: batches.Batch, course: _Course) -> None:
        """Ask whether others arrive, where storage has asked for long that the present block's file be left alone.

        Raises:
            answers.NotDone: they don't.

        """
        block = taken.blocks[self._block]
        throttled = self._detour.throttled(detour.place(block), time.monotonic(), seconds=REFUSED_SECONDS)
        if throttled is None:
            return
        # Asked only now: with the refusal, storage asked to be left alone.
        throttled.asked = True
        if not self._others_arrive(taken, course):
            self._note_delivered(taken)
            raise answers.NotDone(throttled.reply)
        course.proven = block

    def _goes_on(
        self, taken: batches.Batch, reply: answers.Reply, course: _Course, *, began: float, moved: bool
    ) -> bool:
        """Find a way on after the present block was not delivered; return whether there is one."""
        block = taken.blocks[self._block]
        place = detour.place(block)
        if not moved and reply.answer is answers.Answer.DENIED and self._accounts.refresh(course.storage):
            return True
        now = time.monotonic()
        most = MOVED_SECONDS if moved else AGAIN_SECONDS
        trouble = self._detour.failed(place, reply, now, spent=now - began, most=most)
        self._counters.refuse(refusal.cause(reply).value)
        # Perhaps applied there: the old storage is asked for so long, and answers nothing where it is gone.
        trouble.left_at = (trouble.left_at or now) if moved else 0.0
        if moved and (now - trouble.left_at >= MOVED_SECONDS or reply.answer is answers.Answer.NO_CONTAINER):
            self._detour.recovered(place)
            self._move(taken, course.storage)
            return True
        if not moved and not taken.aside and course.proven is not block:
            known = self._detour.is_known(trouble)
            soon = (trouble.lasted(now) < REFUSED_SECONDS or reply.retry_after > 0) and not known
            if soon or not self._others_arrive(taken, course):
                return False
            if course.suspect is not block and not known and not trouble.silences:
                # Storage may have got well between the refusal and the question: then this block is well too.
                course.suspect = block
                return True
        if self._set_aside(taken, trouble, course):
            self._block += 1
            return True
        if place in course.postponed or not self._put_last(taken, course):
            return False
        course.postponed.add(place)
        return True

    def _others_arrive(self, taken: batches.Batch, course: _Course) -> bool:
        """Return whether storage takes appends elsewhere: at the container's root, or where other rows go to."""
        block = taken.blocks[self._block]
        ours = self._accounts.of(block, course.storage, read_seconds=detour.PATIENCE_SECONDS)
        answer = ours.ask()
        if answer not in (answers.Answer.DENIED, answers.Answer.REFUSED):
            return answer is answers.Answer.NO_BLOB
        ahead = self._supply.behind(taken, course.current)
        behind = [*taken.blocks[self._block + 1 :], *(ahead.blocks if ahead is not None else ())]
        places = dict.fromkeys([*reversed(self._arrived), *map(detour.place, behind)])
        place = detour.place(block)
        others = [each for each in places if each[:2] == place[:2] and self._is_open(each, place)]
        return any(ours.ask(each.path) is answers.Answer.NO_BLOB for each in others[:_MOST_FOLDERS])

    def _is_open(self, place: detour.Place, than: detour.Place) -> bool:
        """Return whether a file is another than one in trouble, and in none itself that is known."""
        return place != than and not self._detour.waits(place, time.monotonic())

    def _set_aside(self, taken: batches.Batch, trouble: detour.Trouble, course: _Course) -> bool:
        """Get a block out of the way of those behind it; return False where there is no room for it.

        Waiting for it would keep every other file's rows waiting, until the spool is full and new rows are lost.
        Dropping it would lose rows that a minute or a setting later could be delivered. So it waits apart, and is
        dropped only where too much waits apart already, and rows of other files have arrived since.
        """
        block = taken.blocks[self._block]
        room = course.current.spool_bytes // ASIDE_SHARE
        over = self._aside.bytes + len(block.data) - room
        if not taken.aside and over > 0 and not self._is_the_only_one(trouble):
            # One in doubt can't be put last instead: only this batch tells where it may be.
            if not self._is_in_doubt() or over > room:
                return False
        elif not taken.aside and over > 0:
            self._leave(taken, block, course.storage)
            detail = f"storage refuses {block.path}: {trouble.reply.answer.value} ({trouble.reply.detail})"
            self._counters.drop(counters.Drop.STORAGE, detail, block.rows)
            return True
        trouble.apart = True
        intent = self._leave(taken, block, course.storage)
        if not taken.aside and intent is None:
            # A later process must find the batch open, or it would take its rows from the spool once more.
            self._journal.intend(journal.Intent(taken.id, self._block, "", 0))
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
        intent = self._journal.intent
        if not self._is_in_doubt():
            return None
        with contextlib.suppress(answers.NotDone):  # what was left without its credential has no own files either
            self._accounts.of(block, to, read_seconds=detour.PATIENCE_SECONDS).set_aside(taken, self._block)
        return intent

    def _is_in_doubt(self) -> bool:
        """Return whether the present block may have been appended."""
        intent = self._journal.intent
        return intent is not None and intent.block == self._block and bool(intent.name)

    def _is_the_only_one(self, trouble: detour.Trouble) -> bool:
        """Return whether it is certain that storage takes rows of other files."""
        if not refusal.concerns_all(trouble.reply):
            return True
        return any(arrived >= trouble.since for arrived in self._arrived.values())

    def _put_last(self, taken: batches.Batch, course: _Course) -> bool:
        """Deliver a block after all the others there are; return False where that changes nothing."""
        block, rest = taken.blocks[self._block], taken.blocks[self._block + 1 :]
        if self._is_in_doubt():
            return False
        ahead = self._supply.behind(taken, course.current)
        behind, upto = (ahead.blocks, {**taken.upto, **ahead.upto}) if ahead is not None else ((), taken.upto)
        place = detour.place(block)
        if not any(self._is_open(detour.place(each), place) for each in (*rest, *behind)):
            return False
        self._journal.begin(batches.Batch(ids.new_id(time.time_ns() // 1000), (*rest, *behind, block), upto))
        self._supply.use_up()
        self._block = 0
        return True

    def _note_delivered(self, taken: batches.Batch) -> None:
        """Write down which blocks are delivered, where no intent of the present one says it.

        The present one may wait for long. Who goes on then might find storage moved, and the old one, which alone
        could tell of the block before it, gone.
        """
        intent = self._journal.intent
        if intent is not None and intent.block < self._block:
            self._journal.intend(journal.Intent(taken.id, self._block, "", 0))

    def _move(self, taken: batches.Batch, to: settings.Storage) -> None:
        """Send the rest of a batch to another account."""
        blocks = tuple(
            dataclasses.replace(block, endpoint=to.endpoint, container=to.container)
            for block in taken.blocks[self._block :]
        )
        logger.warning("modeldata: storage moved to %s/%s; what waits goes there", to.endpoint, to.container)
        self._journal.begin(batches.Batch(ids.new_id(time.time_ns() // 1000), blocks, taken.upto, taken.aside))
        self._block = 0
