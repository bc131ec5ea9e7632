"""Where this pod's own files end, as many as a model has: some 4,000, bounded by bytes.

With each append the journal is written anew, so it holds only those that have changed of late. Before they become
many, all are written to ``files.0`` or ``files.1`` in turn, and the journal says which of the two counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import pathlib
import typing
import zlib

import orjson

from ..spool import sharing

logger = logging.getLogger("modeldata")

MOST_BYTES = 1024 * 1024
"""Of the files' addresses and what is known of them; those written longest ago are forgotten. One that is forgotten is
followed by its next number."""

LEAST_BYTES = 64 * 1024
"""The same where the pod may use little disk: some 250 files."""

RECENT_BYTES = 16 * 1024
"""So much of it may stand in the journal itself."""

DAMAGED = (errno.ENOENT, errno.EIO)
"""Errors that will not pass. Others may, as where a process has no descriptor left: nothing is lost by waiting."""

_ENTRY_BYTES = 64
"""What is known of a file, beside its address: a digest and some numbers."""


@dataclasses.dataclass(frozen=True)
class OwnFile:
    """A file that this pod alone writes, as far as it has got."""

    header: str
    """Digest of its first line."""
    end: int
    """Bytes, rows behind an ``Intent`` not counted; 0 before its header is written."""
    blocks: int = 0
    closed: bool = False
    """Nothing more goes into it."""


class OwnFiles:
    """The files, by their address; the one written last comes last.

    Args:
        directory: the journal's.
        most: bytes.

    """

    def __init__(self, directory: pathlib.Path, *, most: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most = most
        self.known: dict[str, OwnFile] = {}
        self._bytes = 0
        self._recent: dict[str, None] = {}
        self._recent_bytes = 0
        self._area: tuple[int, int, int] | None = None
        """Which of the two counts by what the journal on disk says, its length and checksum."""
        self._next: tuple[int, int, int] | None = None

    def read(self, document: typing.Mapping[str, typing.Any]) -> None:
        """Take in what a journal says.

        Raises:
            OSError: it can't be read at this time.

        """
        area = document.get("checkpoint")
        if area is not None:
            self._area = (int(area[0]), int(area[1]), int(area[2]))
            try:
                for address, file in _read(self._directory, self._area).items():
                    self._note(str(address), OwnFile(*file))
            except (OSError, ValueError, TypeError, AttributeError) as error:
                if isinstance(error, OSError) and error.errno not in DAMAGED:
                    raise
                # A file that is not known is left as it is, and the next number taken: no row is lost or repeated.
                logger.warning("modeldata: what is known of this pod's files is damaged: %s", type(error).__name__)
        for address, file in document["files"].items():
            self.remember(str(address), OwnFile(*file))

    def remember(self, address: str, file: OwnFile) -> None:
        """Note where a file ends."""
        self._note(address, file)
        if address not in self._recent:
            self._recent[address] = None
            self._recent_bytes += len(address) + _ENTRY_BYTES

    def restore(self) -> None:
        """Have all written anew: somebody removed what is on disk."""
        self._area = None
        for address, file in list(self.known.items()):
            self.remember(address, file)

    def document(self) -> dict[str, typing.Any]:
        """Return what the journal has to say from now on; ``written`` tells that it does."""
        self._next = self._area
        if self._recent_bytes > RECENT_BYTES:
            with contextlib.suppress(OSError):  # a full disk: then they stay in the journal, as far as it has room
                self._next = self._save()
                return {"files": {}, "checkpoint": self._next}
        recent = {name: dataclasses.astuple(self.known[name]) for name in self._recent if name in self.known}
        return {"files": recent, "checkpoint": self._area}

    def written(self) -> None:
        """Note that the journal on disk says what ``document`` returned."""
        if self._next != self._area:
            self._area = self._next
            self._recent.clear()
            self._recent_bytes = 0

    def _note(self, address: str, file: OwnFile) -> None:
        if self.known.pop(address, None) is None:
            self._bytes += len(address) + _ENTRY_BYTES
        self.known[address] = file
        while self._bytes > self._most and len(self.known) > 1:
            oldest = next(iter(self.known))
            del self.known[oldest]
            self._bytes -= len(oldest) + _ENTRY_BYTES

    def _save(self) -> tuple[int, int, int]:
        """Write all to the area that does not count, and return what tells it from what was there."""
        area = 1 if self._area is not None and self._area[0] == 0 else 0
        content = orjson.dumps({address: dataclasses.astuple(file) for address, file in self.known.items()})
        # Overwritten in place, and never cut: where the disk has become full, it has the room that it had.
        with os.fdopen(sharing.create(self._directory / f"files.{area}", os.O_WRONLY), "wb", buffering=0) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
        return area, len(content), zlib.crc32(content)


def _read(directory: pathlib.Path, area: tuple[int, int, int]) -> typing.Any:
    number, length, checksum = area
    with (directory / f"files.{number}").open("rb") as file:
        content = file.read(length)
    if zlib.crc32(content) != checksum:
        raise ValueError("wrong checksum")
    return orjson.loads(content)
