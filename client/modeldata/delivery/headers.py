"""How many headers a folder has: each is a file of its own, and scripts may have new columns in each call."""

from __future__ import annotations

import logging

logger = logging.getLogger("modeldata")

MOST = 16
"""Of a folder, which is that of a day. What comes under further ones is written as objects, all in one file."""

_MOST_BYTES = 1024 * 1024
_FOLDER_BYTES = 400
"""What a folder takes, beside its path."""


class Headers:
    """The headers of the folders that rows went to, as far as this process knows."""

    def __init__(self) -> None:
        self._known: dict[str, set[int]] = {}
        """Hashes of headers by path; of the folder that was new last, last."""
        self._bytes = 0

    def admit(self, path: str, header: bytes) -> bool:
        """Return whether rows may go to a file under this header; count it if so."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = set()
            self._bytes += len(path) + _FOLDER_BYTES
            while self._bytes > _MOST_BYTES and len(self._known) > 1:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._bytes -= len(oldest) + _FOLDER_BYTES
        found = hash(header)
        if found in known:
            return True
        if len(known) < MOST:
            known.add(found)
            return True
        if len(known) == MOST:
            known.add(0)  # that it was said
            logger.warning(
                "modeldata: %s has %d sets of columns today; rows under more of them go to one file, each as JSON in "
                "the column `row`: give feature_names, or columns that stay",
                path.rpartition("/")[0],
                MOST,
            )
        return False
