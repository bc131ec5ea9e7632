"""One block into one file, exactly once.

The rules, each measured (fault proxy, SIGKILL at random, several writers on one blob):

1. The header is the first append, at position 0; a blob that is not there is created empty, only if missing, before.
   Rows come after it. "Create, then header" or "rows, then header" leave files without header, or lose rows.
2. Each append says the position it expects the blob to end at. An append whose answer got lost is repeated, the same
   bytes at the same position, until the answer is definite, by whichever process has the journal.
3. When the service then says that the blob ends elsewhere, the bytes at that position tell: equal to ours, it was
   applied; else another writer was faster, and the new end is the next position. A request still on its way can't be
   applied later, as its position has passed.
4. The SDK's ``upload_blob`` is never used: it creates without a condition, which truncates, and cuts rows at 4 MiB.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import random
import time
import typing

from . import journal, storage

logger = logging.getLogger("modeldata")


_MOST_FILES = 1000
"""Files whose end is remembered; more come to be where a model's columns keep changing."""

_jitter = random.Random()  # not the module's generator, which is the model's


class Later(Exception):  # noqa: N818 (not an error: the rows are safe and will be tried again)
    """The block could not be delivered now; try the same block again later."""

    def __init__(self, reply: storage.Reply) -> None:
        super().__init__(f"{reply.answer.value} ({reply.detail})")
        self.reply = reply


class Blobs(typing.Protocol):
    """The requests that an appender makes (see ``storage.Blobs``)."""

    def append(self, name: str, data: bytes, position: int) -> storage.Reply: ...  # noqa: D102

    def create(self, name: str) -> storage.Reply: ...  # noqa: D102

    def size(self, name: str) -> tuple[storage.Reply, int]: ...  # noqa: D102

    def read(self, name: str, start: int, length: int) -> tuple[storage.Reply, bytes]: ...  # noqa: D102


@dataclasses.dataclass
class _File:
    """The file that a path's rows go to at present, and where it ends as far as we know."""

    family: str = "data"
    number: int = 0
    ready: bool = False
    position: int = 0

    def name(self, path: str) -> str:
        suffix = f".{self.number}" if self.number else ""
        return path.replace("{file}", f"{self.family}{suffix}.csv")


class Appender:
    """Appends blocks; remembers the files it has open. One container, one thread."""

    def __init__(self, blobs: Blobs, log: journal.Journal) -> None:
        self._blobs = blobs
        self._journal = log
        self._files: dict[tuple[str, bytes], _File] = {}

    def deliver(self, batch: journal.Batch, index: int) -> None:
        """Append block ``index`` of the batch; return when it is in Blob Storage, once.

        Raises:
            Later: storage could not be reached, or refuses; call again with the same block.

        """
        block = batch.blocks[index]
        intent = self._journal.intent
        if intent is not None and intent.block != index:
            intent = None
        doubtful = intent is not None  # tried before, perhaps by a process that was killed
        lost_races = 0
        while True:
            if intent is None:
                file = self._open(block)
                intent = journal.Intent(batch.id, index, file.name(block.path), file.position)
                self._journal.intend(intent)
            reply = self._blobs.append(intent.name, block.data, intent.position)
            if reply.answer is storage.Answer.DONE or (doubtful and self._is_ours(reply, intent, block)):
                self._moved(block, intent)
                return
            if reply.answer is storage.Answer.CLOSED:
                self._next(block, intent)
            elif reply.answer is storage.Answer.POSITION:
                # Others write this file too; who always comes second waits a little, at random.
                self._forget(block)
                lost_races += 1
                time.sleep(_jitter.uniform(0, min(0.02 * 2 ** min(lost_races, 6), 1.0)))
            elif reply.answer is storage.Answer.NO_BLOB:
                self._forget(block)
            else:
                raise Later(reply)
            intent, doubtful = None, False

    def _is_ours(self, reply: storage.Reply, intent: journal.Intent, block: journal.Block) -> bool:
        if reply.answer not in (storage.Answer.POSITION, storage.Answer.CLOSED):
            return False
        there, data = self._blobs.read(intent.name, intent.position, len(block.data))
        if there.answer is storage.Answer.NO_BLOB:
            return False
        if there.answer is not storage.Answer.DONE:
            raise Later(there)
        return data == block.data

    def _open(self, block: journal.Block) -> _File:
        """Return the file for these rows: its header is there, and equal to the block's."""
        if len(self._files) > _MOST_FILES:
            self._files.clear()
        file = self._files.setdefault((block.path, block.header), _File())
        while not file.ready:
            name = file.name(block.path)
            if self._ensure_header(name, block.header):
                file.position = len(block.header)
                file.ready = True
                break
            reply, first = self._blobs.read(name, 0, len(block.header))
            if reply.answer is storage.Answer.NO_BLOB:
                continue
            if reply.answer is not storage.Answer.DONE:
                raise Later(reply)
            if first != block.header:
                if file.family == "data":
                    file.family, file.number = f"data.{hashlib.sha256(block.header).hexdigest()[:8]}", 0
                else:
                    file.number += 1
                logger.info("modeldata: %s has other columns, so rows go to %s", name, file.name(block.path))
                continue
            reply, file.position = self._blobs.size(name)
            if reply.answer is storage.Answer.NO_BLOB:
                continue
            if reply.answer is not storage.Answer.DONE:
                raise Later(reply)
            file.ready = True
        return file

    def _ensure_header(self, name: str, header: bytes) -> bool:
        """Write the header if the blob is empty or missing; return False where something stands there already."""
        refused: storage.Reply | None = None
        for _ in range(5):
            reply = self._blobs.append(name, header, 0)
            if reply.answer is storage.Answer.DONE:
                return True
            if reply.answer in (storage.Answer.POSITION, storage.Answer.CLOSED):
                return False
            if reply.answer is not storage.Answer.NO_BLOB:
                raise Later(reply)
            reply = self._blobs.create(name)
            # A SAS that may create but not write answers 403 where the blob has just come to be.
            if reply.answer is storage.Answer.DENIED:
                refused = reply
            elif reply.answer not in (storage.Answer.DONE, storage.Answer.EXISTS, storage.Answer.POSITION):
                raise Later(reply)
        raise Later(refused or reply)

    def _moved(self, block: journal.Block, intent: journal.Intent) -> None:
        file = self._files.get((block.path, block.header))
        if file is not None and file.name(block.path) == intent.name:
            file.position = intent.position + len(block.data)

    def _next(self, block: journal.Block, intent: journal.Intent) -> None:
        file = self._files.setdefault((block.path, block.header), _File())
        if file.name(block.path) == intent.name:
            file.number += 1
        file.ready = False

    def _forget(self, block: journal.Block) -> None:
        file = self._files.get((block.path, block.header))
        if file is not None:
            file.ready = False
