"""The first line of a stored file, of which no more is fetched than it takes."""

from __future__ import annotations

from ..records import identity
from ..records.scanner import end_of
from . import blobs


def first_line(store: blobs.Blobs, name: str, end: int, *, most: int) -> bytes | None:
    """Return a file's first line, among its bytes before ``end``; None where it does not end within ``most`` bytes.

    Raises ``Missing``, ``Changed``.
    """
    within, length, found = min(end, most), identity.BYTES, b""
    while len(found) < within:
        found += b"".join(store.read(name, len(found), min(length, within)))
        line_end = end_of(found, 1)
        if line_end is not None:
            return found[:line_end]
        length *= 8
    return None
