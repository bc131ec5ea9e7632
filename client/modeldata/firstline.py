"""A file's first line: its header, once, before any row.

The first append, at position 0; a blob that is not there is created empty, only if missing, before. "Create, then
header" or "rows, then header" leave files without header, or lose rows.
"""

from __future__ import annotations

import typing

from . import storage

_TRIES = 5
"""A blob that was just created, or just deleted, by somebody else takes two rounds."""


def ensure(
    blobs: storage.Requests, name: str, header: bytes, *, missing: typing.Callable[[], None] = lambda: None
) -> storage.Reply:
    """Write the header if the blob is empty or missing.

    Args:
        blobs: the container.
        name: the blob.
        header: the first line.
        missing: called each time the blob is found missing, before it is created.

    Returns:
        ``DONE``, or ``POSITION`` or ``CLOSED`` where something stands there already.

    Raises:
        storage.Later: storage could not be reached, or refuses, or takes no header into the file that was just made:
            where a policy forbids appends, each further name would leave an empty blob that nobody can delete.

    """
    refused: storage.Reply | None = None
    made = False
    for _ in range(_TRIES):
        reply = blobs.append(name, header, 0)
        if reply.answer in (storage.Answer.DONE, storage.Answer.POSITION):
            return reply
        if reply.answer is storage.Answer.CLOSED and not made:
            return reply
        if reply.answer is not storage.Answer.NO_BLOB:
            raise storage.Later(reply)
        missing()
        reply = blobs.create(name)
        made = reply.answer is storage.Answer.DONE
        # A SAS that may create but not write answers 403 where the blob has just come to be.
        if reply.answer is storage.Answer.DENIED:
            refused = reply
        elif reply.answer not in (storage.Answer.DONE, storage.Answer.EXISTS, storage.Answer.POSITION):
            raise storage.Later(reply)
    raise storage.Later(refused or reply)
