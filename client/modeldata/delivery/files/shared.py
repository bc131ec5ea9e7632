"""``data.csv``, which all pods of a model append to. The credential may read (a SAS ``rac``)."""

from __future__ import annotations

import dataclasses
import logging
import time

from .. import batches, journal
from ..azure import answers, blobs, refusal
from . import header, pacing

logger = logging.getLogger("modeldata")

_MOST_BYTES = 4 * 1024 * 1024
"""Memory for the files whose end is remembered, some 5,000; one that is forgotten is looked at again."""

_FILE_BYTES = 640
"""What one takes, beside its path (measured)."""

MOST_NAMES = 20
"""Names that a search asks storage about before it ends, to be gone on with after a pause."""

_PACED_SECONDS = 2 * pacing.MOST_SECONDS
"""A file that was not written for so long (yesterday's) sets no pace."""


@dataclasses.dataclass
class _File:
    """The file that a path's rows go to at present, and where it ends as far as we know."""

    family: str = "data"
    number: int = 0
    ready: bool = False
    position: int = 0
    written: float = 0.0
    """When we last appended to it, in seconds since the epoch."""
    pace: pacing.Pace = dataclasses.field(default_factory=pacing.Pace)

    def name(self, path: str) -> str:
        return name(path, self.family, self.number)

    def next(self) -> None:
        self.number += 1
        self.ready, self.pace = False, pacing.Pace()


class SharedFiles:
    """The shared files that this pod writes."""

    def __init__(self, blobs: blobs.Requests) -> None:
        self._blobs = blobs
        self._files: dict[tuple[str, str], _File] = {}
        """By path and digest of the header; the one opened last comes last."""
        self._bytes = 0

    def open(self, block: batches.Block) -> tuple[str, int]:  # noqa: D102 (see append.Files, as all of these)
        key = (block.path, digest(block.header))
        file = self._files.pop(key, None)
        if file is None:
            file = _File()
            self._bytes += len(block.path) + _FILE_BYTES
        self._files[key] = file
        while self._bytes > _MOST_BYTES and len(self._files) > 1:
            oldest = next(iter(self._files))
            del self._files[oldest]
            self._bytes -= len(oldest[0]) + _FILE_BYTES
        for _ in range(MOST_NAMES):
            if file.ready:
                break
            self._look(file, block)
        else:  # where it has come to is remembered, so the next search goes on there
            raise answers.NotDone(refusal.no_name(MOST_NAMES))
        return file.name(block.path), file.position

    def _look(self, file: _File, block: batches.Block) -> None:
        address = file.name(block.path)
        written = header.ensure(self._blobs, address, block.header)
        if written.answer is answers.Answer.DONE:
            file.position, file.ready = len(block.header), True
            return
        reply, first = self._blobs.read(address, 0, len(block.header))
        if reply.answer is answers.Answer.NO_BLOB:
            return
        if reply.answer in answers.ENDED:  # it can't even be read: archived, or of somebody's key
            file.next()
            return
        if reply.answer is not answers.Answer.DONE:
            raise answers.NotDone(reply)
        if not first and written.answer is answers.Answer.IMMUTABLE:
            raise answers.NotDone(written)  # the policy is not this file's: the next one would stay empty too
        if first != block.header:
            if file.family == "data":
                file.family, file.number = f"data.{digest(block.header)}", 0
            else:
                file.next()
            logger.info("modeldata: %s has other columns, so rows go to %s", address, file.name(block.path))
            return
        reply, file.position = self._blobs.size(address)
        if reply.answer is answers.Answer.NO_BLOB:
            return
        if reply.answer is not answers.Answer.DONE:
            raise answers.NotDone(reply)
        file.ready = True

    def is_ours(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> bool:  # noqa: D102
        # Rows are unique (request ids), so equal bytes at the position are ours.
        if reply.answer is answers.Answer.NO_BLOB:
            return False
        there, data = self._blobs.read(intent.name, intent.position, len(block.data))
        if there.answer is answers.Answer.NO_BLOB:
            return False
        if there.answer is not answers.Answer.DONE:
            raise answers.NotDone(there)
        return data == block.data

    def appended(self, intent: journal.Intent, block: batches.Block, blocks: int) -> None:  # noqa: D102
        file = self._current(intent, block)
        if file is not None:
            file.position = intent.position + len(block.data)
            file.pace.appended(blocks or file.pace.used + 1)
            file.written = time.time()

    def lost(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> None:  # noqa: D102
        file = self._current(intent, block)
        if file is not None and reply.answer in answers.ENDED:
            file.next()
        elif file is not None:
            file.ready = False

    def set_aside(self, intent: journal.Intent, block: batches.Block) -> None:  # noqa: D102
        file = self._current(intent, block)
        if file is not None:
            file.ready = False

    def pace(self, now: float) -> float:
        """Return how many seconds to leave between two flushes, so that each file's blocks last the day.

        Args:
            now: seconds since the epoch.

        """
        written = [file for file in self._files.values() if abs(now - file.written) < _PACED_SECONDS]
        return max((file.pace.seconds(now) for file in written), default=0.0)

    def _current(self, intent: journal.Intent, block: batches.Block) -> _File | None:
        file = self._files.get((block.path, digest(block.header)))
        return file if file is not None and file.name(block.path) == intent.name else None


def name(path: str, family: str, number: int) -> str:
    """Return a file's name: ``data.csv``, ``data.1.csv`` and so on in its folder."""
    suffix = f".{number}" if number else ""
    return path.replace("{file}", f"{family}{suffix}.csv")


def digest(header: bytes) -> str:
    """Return what names a header in the name of a file."""
    import hashlib  # with OpenSSL behind it: 8 ms and 3 MB that the import of this package need not cost

    return hashlib.sha256(header).hexdigest()[:8]
