"""A file's first line: its header, once, before any row.

The first append, at position 0; a blob that is not there is created empty, only if missing, before. "Create, then
header" or "rows, then header" leave files without header, or lose rows.
"""

from __future__ import annotations

import typing

from ..azure import answers, blobs

_TRIES = 5
"""A blob that was just created, or just deleted, by somebody else takes two rounds."""


def ensure(
    blobs: blobs.Requests, name: str, header: bytes, *, missing: typing.Callable[[], None] = lambda: None
) -> answers.Reply:
    """Write the header if the blob is empty or missing.

    Args:
        blobs: the container.
        name: the blob.
        header: the first line.
        missing: called each time the blob is found missing, before it is created.

    Returns:
        ``DONE``, or ``POSITION`` or one of ``answers.ENDED`` where something stands there already.

    Raises:
        answers.NotDone: storage could not be reached, or refuses, or takes no header into the file that was just made:
            where a policy forbids appends, each further name would leave an empty blob that nobody can delete.

    """
    refused: answers.Reply | None = None
    made = False
    for _ in range(_TRIES):
        reply = blobs.append(name, header, 0)
        if reply.answer in (answers.Answer.DONE, answers.Answer.POSITION):
            return reply
        if reply.answer in answers.ENDED and not made:
            return reply
        if reply.answer is not answers.Answer.NO_BLOB:
            raise answers.NotDone(reply)
        missing()
        reply = blobs.create(name)
        made = reply.answer is answers.Answer.DONE
        # A SAS that may create but not write answers 403 where the blob has just come to be.
        if reply.answer is answers.Answer.DENIED:
            refused = reply
        elif reply.answer not in (answers.Answer.DONE, answers.Answer.EXISTS, answers.Answer.POSITION):
            raise answers.NotDone(reply)
    raise answers.NotDone(refused or reply)
