"""Counts records, trusting no engine: one of them reads 0 rows of any file, without an error, under one setting."""

from __future__ import annotations

_LONG = 4096
_CR, _LF = b"\r\n"


class Scanner:
    """Counts the records of a CSV that comes in pieces: a record ends at a CRLF that no quotation marks enclose."""

    def __init__(self) -> None:
        self.records = 0
        self.end = 0
        """Where the last whole record ends, in bytes from the beginning."""
        self._seen = 0
        self._quoted = False
        self._return = False
        """Whether the piece before ended in a CR outside quotation marks."""

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if not piece:
            return
        if self._return and piece[:1] == b"\n":
            self.records += 1
            self.end = self._seen + 1
        self._return = False
        position = self._seen
        if b'"' not in piece:
            if not self._quoted:
                self._take(piece, position)
            self._seen += len(piece)
            return
        # Between every second pair of marks text is quoted; a doubled mark leaves quotes and enters them again.
        for segment in piece.split(b'"'):
            if not self._quoted:
                self._take(segment, position)
            else:
                self._return = False
            position += len(segment) + 1
            self._quoted = not self._quoted
        self._quoted = not self._quoted  # there is one segment more than there are marks
        self._seen += len(piece)

    def _take(self, text: bytes, position: int) -> None:
        """Count what ends in text that is not quoted."""
        if len(text) > _LONG:
            import numpy

            cells = numpy.frombuffer(text, numpy.uint8)  # 0.3 ms for 1 MiB, bytes.count takes 1.2 ms
            found = int(numpy.count_nonzero((cells[1:] == _LF) & (cells[:-1] == _CR)))
        else:
            found = text.count(b"\r\n")
        if found:
            self.records += found
            self.end = position + text.rindex(b"\r\n") + 2
        self._return = text.endswith(b"\r")

    @property
    def whole(self) -> bool:
        """Whether what came ends with the end of a record."""
        return self.end == self._seen


def count(content: bytes) -> int:
    """Return how many records a CSV holds, its header among them."""
    scanner = Scanner()
    scanner.feed(content)
    return scanner.records


def end_of(content: bytes, records: int) -> int | None:
    """Return where the record of this number ends, counted from 1; None where it does not end."""
    end, marks, begin = 0, 0, 0
    for _ in range(records):
        while True:
            found = content.find(b"\r\n", end)
            if found < 0:
                return None
            marks += content.count(b'"', begin, found)
            begin = end = found + 2
            if marks % 2 == 0:
                break
    return end
