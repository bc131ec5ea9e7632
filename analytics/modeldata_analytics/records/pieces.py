"""Rows of CSVs laid out anew in pieces of whole records, so that several readers can take a large file at a time."""

from __future__ import annotations

import codecs
import contextlib
import pathlib
import typing

from .scanner import Scanner, end_of

_BLOCK = 8 * 1024 * 1024


class Pieces:
    """Writes the rows of CSVs of one layout into numbered files, each under the same header.

    Where a record ends only tells who reads from the beginning: a line end within quotation marks ends none.
    """

    def __init__(self, folder: pathlib.Path, header: bytes, size: int) -> None:
        """Make one.

        Args:
            folder: where the pieces are written; there must be none yet.
            header: the first line of each, without its end.
            size: bytes from which a piece is followed by the next one; no more than a block and a record beyond.

        """
        self._folder = folder
        self._header, self._size = header + b"\r\n", size
        self.count = 0
        """Pieces."""
        self._piece: typing.BinaryIO | None = None
        folder.mkdir(parents=True)

    def add(self, path: pathlib.Path) -> None:
        """Take the rows of a file. Raises ``ValueError`` where it is no UTF-8, or a record has no end."""
        scanner, decoder = Scanner(), codecs.getincrementaldecoder("utf-8")()
        seen, left, headed = 0, b"", False
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)  # a reader may put another character in the place of what is none
                scanner.feed(block)
                seen += len(block)
                left += block
                if not headed:
                    end = end_of(left, 1)
                    if end is None:
                        continue
                    left, headed = left[end:], True
                whole = len(left) - (seen - scanner.end)
                self._write(left[:whole])
                left = left[whole:]
            decoder.decode(b"", final=True)
        if left or not headed:
            raise ValueError("its end is torn")

    def close(self) -> None:
        """Be done."""
        if self._piece is not None:
            self._piece.close()
            self._piece = None

    def _write(self, records: bytes) -> None:
        if not records:
            return
        if self._piece is None:
            self._piece = (self._folder / f"{self.count:06}.csv").open("wb")
            self._piece.write(self._header)
            self.count += 1
        self._piece.write(records)
        if self._piece.tell() >= self._size:
            self.close()


@contextlib.contextmanager
def laid_out(folder: pathlib.Path, header: bytes, size: int) -> typing.Iterator[Pieces]:
    """Write pieces, and close the last one."""
    pieces = Pieces(folder, header, size)
    try:
        yield pieces
    finally:
        pieces.close()
