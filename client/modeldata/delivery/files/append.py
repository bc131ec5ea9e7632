"""One block into one file, exactly once.

The rules, each measured (fault proxy, SIGKILL at random, several writers on one blob):

1. The header is the first append (``header``). Rows come after it.
2. Each append says the position it expects the blob to end at. An append whose answer got lost is repeated, the same
   bytes at the same position, until the answer is definite, by whichever process has the journal.
3. When the service then says that the blob ends elsewhere, somebody has written there. Whether that was us tells the
   file's kind: ``shared`` or ``own``. A request still on its way can't be applied later, as its position has
   passed.
4. The SDK's ``upload_blob`` is never used: it creates without a condition, which truncates, and cuts rows at 4 MiB.
"""

from __future__ import annotations

import random
import time
import typing

from .. import batches, journal
from ..azure import answers, blobs
from . import own, shared

NOBODYS = "modeldata-is-this-storage-well"

MOST_PLACES = 50
"""Places that one block is tried at in a row: somebody who deletes or writes the file all the time has no end."""

_jitter = random.Random()  # not the module's generator, which is the model's


class Files(typing.Protocol):
    """Which file a block's rows go to at present, and where it ends as far as we know."""

    def open(self, block: batches.Block) -> tuple[str, int]:
        """Return a file's name and end; its header is there, and is the block's."""

    def is_ours(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> bool:
        """Return whether a block that may have been appended was, where nothing can be appended there any more."""

    def appended(self, intent: journal.Intent, block: batches.Block, blocks: int) -> None:
        """Take in that a block is there, and how many there are now (0: unknown)."""

    def lost(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> None:
        """Take in that nothing could be appended there, and why; ``open`` then finds another place."""

    def set_aside(self, intent: journal.Intent, block: batches.Block) -> None:
        """Take in that it stays open for now whether the block is there."""


class Appender:
    """Appends blocks; remembers the files it has open. One container, one thread."""

    def __init__(self, blobs: blobs.Requests, log: journal.Journal) -> None:
        self._blobs = blobs
        self._journal = log
        self._shared = shared.SharedFiles(blobs)
        self._own = own.PodFiles(blobs, log)

    def deliver(self, batch: batches.Batch, index: int) -> None:
        """Append block ``index`` of the batch; return when it is in Blob Storage, once.

        Raises:
            answers.NotDone: storage could not be reached, or refuses; call again with the same block.
            OSError: the journal can't be written; as above.

        """
        block = batch.blocks[index]
        files = self._files(block)
        intent = self._journal.intent
        if intent is not None and (intent.block != index or not intent.name):
            intent = None
        doubtful = intent is not None  # tried before, perhaps by a process that was killed
        for lost_races in range(MOST_PLACES):
            if intent is None:
                name, position = files.open(block)
                intent = journal.Intent(batch.id, index, name, position)
                self._journal.intend(intent)
            reply = self._blobs.append(intent.name, block.data, intent.position)
            if reply.answer is answers.Answer.DONE:
                files.appended(intent, block, reply.blocks)
                return
            if reply.answer not in (answers.Answer.POSITION, answers.Answer.NO_BLOB, *answers.ENDED):
                if not doubtful and reply.answer is not answers.Answer.AMBIGUOUS:
                    self._journal.settle()  # a definite no to the only try: it is not there
                raise answers.NotDone(reply)
            if doubtful and files.is_ours(reply, intent, block):
                files.appended(intent, block, 0)
                return
            # On disk before anything else is tried: a later process must not take up what is settled.
            self._journal.settle()
            files.lost(reply, intent, block)
            self._journal.save()
            if reply.answer is answers.Answer.POSITION:
                # Others write this file too; who always comes second waits a little, at random.
                time.sleep(_jitter.uniform(0, min(0.02 * 2 ** min(lost_races + 1, 6), 1.0)))
            intent, doubtful = None, False
        raise answers.NotDone(answers.Reply(reply.answer, f"{reply.detail}, {MOST_PLACES} times in a row".lstrip(", ")))

    def set_aside(self, batch: batches.Batch, index: int) -> journal.Intent | None:
        """Give a block up for now; return the append of it that may have been applied."""
        intent = self._journal.intent
        if intent is None or intent.block != index or not intent.name:
            return None
        self._files(batch.blocks[index]).set_aside(intent, batch.blocks[index])
        return intent

    def ask(self, path: str = "{file}") -> answers.Answer:
        """Return what storage answers an append that can't do anything: to a blob that nobody makes.

        ``NO_BLOB`` is as it should be; a refusal of something else then concerns only that.

        Args:
            path: as ``Block.path``: who may write in one folder need not be allowed to elsewhere.

        """
        return self._blobs.append(path.replace("{file}", NOBODYS), b"-", 0).answer

    def pace(self, now: float) -> float:
        """Return how many seconds to leave between two flushes.

        Args:
            now: seconds since the epoch.

        """
        return self._shared.pace(now)

    def _files(self, block: batches.Block) -> Files:
        return self._own if block.owner else self._shared
