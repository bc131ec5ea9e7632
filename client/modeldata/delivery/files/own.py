"""``data.<pod>.csv``, which one pod alone appends to. The credential need not read (a SAS ``ac``).

Where the file ends stands in the journal, so nobody need be asked. As nobody else writes it, a position that has
passed was passed by us. Both hold only for a file whose beginning the journal knows: one that stands there already,
from a life of this pod whose journal is gone, is left as it is, and the next number taken.
"""

from __future__ import annotations

import logging

from .. import batches, journal, ownfiles
from ..azure import answers, blobs, refusal
from . import header, pacing, shared

logger = logging.getLogger("modeldata")

MOST_BLOCKS = pacing.MOST_BLOCKS - 1000
"""At the service's own limit, its refusal would not tell whether the block before it had been applied."""


class PodFiles:
    """The files of this pod."""

    def __init__(self, blobs: blobs.Requests, log: journal.Journal) -> None:
        self._blobs = blobs
        self._journal = log

    def open(self, block: batches.Block) -> tuple[str, int]:  # noqa: D102 (see append.Files, as all of these)
        digest = shared.digest(block.header)
        plain, other = f"data.{block.owner}", f"data.{block.owner}.{digest}"
        family, number = plain, 0
        asked = 0
        while True:
            name = shared.name(block.path, family, number)
            known = self._journal.files.get(_address(block, name))
            if known is not None and known.header != digest and family == plain:
                family, number = other, 0
            elif known is not None and (known.header != digest or known.closed or known.blocks >= MOST_BLOCKS):
                number += 1
            elif known is not None and known.end:
                return name, known.end
            elif asked >= shared.MOST_NAMES:  # the journal knows how far it has come
                raise answers.NotDone(refusal.no_name(asked))
            else:
                asked += 1
                self._claim(block, name, digest)

    def _claim(self, block: batches.Block, name: str, digest: str) -> None:
        """Make the file and write its header, or find that an earlier life of this pod did."""
        address = _address(block, name)

        def missing() -> None:
            # Noted before its first header is tried: so one that has come to be since is ours.
            if address not in self._journal.files:
                self._journal.remember(address, ownfiles.OwnFile(digest, 0))
                self._journal.save()

        reply = header.ensure(self._blobs, name, block.header, missing=missing)
        ours = address in self._journal.files
        if ours and reply.answer is answers.Answer.IMMUTABLE:
            raise answers.NotDone(reply)  # we made it, and it is empty: so would be the next
        if reply.answer is answers.Answer.DONE or (ours and reply.answer is answers.Answer.POSITION):
            self._journal.remember(address, ownfiles.OwnFile(digest, len(block.header), 1))
            return
        logger.info("modeldata: %s is there already, so rows go to the next file", name)
        self._journal.remember(address, ownfiles.OwnFile(digest, 0, closed=True))

    def is_ours(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> bool:  # noqa: D102
        if reply.answer is answers.Answer.IMMUTABLE:
            raise answers.NotDone(reply)  # a policy may go, and then the position tells
        if reply.answer in answers.ENDED:
            # Replaced by a block blob, or sealed, between a try whose answer got lost and the next: without the right
            # to read, nothing tells. Rows twice, with the same request ids, do less harm than rows lost.
            logger.warning(
                "modeldata: %s was closed in the middle of an append: its rows may be there twice", intent.name
            )
        return reply.answer is answers.Answer.POSITION

    def appended(self, intent: journal.Intent, block: batches.Block, blocks: int) -> None:  # noqa: D102
        known = self._journal.files.get(_address(block, intent.name))
        count = known.blocks + 1 if known is not None else 1
        end = intent.position + len(block.data)
        digest = shared.digest(block.header)
        # One that was left stays closed: the next may have been made, and would stay empty.
        closed = known is not None and known.closed
        self._journal.remember(_address(block, intent.name), ownfiles.OwnFile(digest, end, max(count, blocks), closed))

    def lost(self, reply: answers.Reply, intent: journal.Intent, block: batches.Block) -> None:  # noqa: D102
        if reply.answer is answers.Answer.POSITION:
            logger.warning("modeldata: somebody else wrote to %s: rows go to the next file", intent.name)
        # One that was deleted is missing, so it is made anew.
        self._leave(intent, block, closed=reply.answer is not answers.Answer.NO_BLOB)

    def set_aside(self, intent: journal.Intent, block: batches.Block) -> None:  # noqa: D102
        # Rows appended behind a block that may be there would hide for good whether it is.
        self._leave(intent, block, closed=True)

    def _leave(self, intent: journal.Intent, block: batches.Block, *, closed: bool) -> None:
        digest = shared.digest(block.header)
        self._journal.remember(_address(block, intent.name), ownfiles.OwnFile(digest, 0, closed=closed))


def _address(block: batches.Block, name: str) -> str:
    return f"{block.endpoint}/{block.container}/{name}"
