"""A stored file as one that can be sought in, of which only what is asked for is fetched."""

from __future__ import annotations

import io

from . import blobs

_LEAST_BYTES = 64 * 1024
"""A request takes 10 ms: what stands behind a small piece comes with it."""


class Ranges(io.RawIOBase):
    """Bytes of a stored file that does not change."""

    def __init__(self, store: blobs.Blobs, name: str, size: int) -> None:
        self._store, self._name, self._size, self._place = store, name, size, 0
        self._near, self._near_start = b"", 0

    def seekable(self) -> bool:
        """Return that it can."""
        return True

    def readable(self) -> bool:
        """Return that it can."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def size(self) -> int:
        """Return how many bytes there are."""
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        wanted = self._size - self._place if size is None or size < 0 else size
        end = min(self._place + wanted, self._size)
        start = self._place - self._near_start
        if start < 0 or end - self._near_start > len(self._near):
            last = min(max(end, self._place + _LEAST_BYTES), self._size)
            first = max(0, min(self._place, last - _LEAST_BYTES))  # the end of a file is read backwards
            self._near, self._near_start = b"".join(self._store.read(self._name, first, last)), first
            start = self._place - first
        found = self._near[start : start + end - self._place]
        self._place += len(found)
        return found
