"""Flat lists of which only their request tells what they are: one row, or a column of so many rows.

Predictions of a batch are a flat list, and so is one row. What was collected before in the request tells which; but
where predictions are collected first, it is what comes behind them in the spool.
"""

from __future__ import annotations

import typing

from ..spool import records, segments
from ..tables import pieces
from ..threads import turns

HELD_SECONDS = 1.0
"""So long a flat list waits for the rest of its request, if there is none in the spool yet."""

_MOST_SEGMENTS = 2
"""That are looked through: its own, and the next one, where a request goes on."""

Reader = typing.Callable[[segments.Found], segments.Segment]


class _Seen:
    """The requests of a segment, up to an offset."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        """By request: the most rows that one of its designations has."""
        self.upto = 0


class Settling:
    """Settles flat lists by what is in the spool."""

    def __init__(self, reader: Reader, *, is_too_large: typing.Callable[[segments.Found, int], bool]) -> None:
        """Begin with nothing seen.

        Args:
            reader: opens a segment.
            is_too_large: tells whether what a segment has behind an offset is to be cut before it is read.

        """
        self._reader = reader
        self._is_too_large = is_too_large
        self._seen: dict[str, _Seen] = {}
        """By segment."""

    def settled(
        self, of: records.Record, found: segments.Found, among: typing.Sequence[segments.Found], *, now: int
    ) -> records.Record | None:
        """Return a flat list as what it is; None where that may still be told by rows to come.

        Args:
            of: the list.
            found: its segment.
            among: all segments.
            now: microseconds since the epoch.

        """
        writer = found.key.partition("/")[0]
        later = [each for each in among if each.key.partition("/")[0] == writer and each.key >= found.key]
        rows = max(self._rows(of.request, each) for each in later[:_MOST_SEGMENTS])
        if not rows and not later[-1].complete and 0 <= now - of.microseconds < HELD_SECONDS * 1e6:
            return None
        return as_column(of) if 1 < rows == width(of) else of._replace(first_row=records.SINGLE)

    def forget(self, among: typing.Iterable[segments.Found]) -> None:
        """Forget what is known of segments that are not there any more."""
        if self._seen:
            there = {each.key for each in among}
            self._seen = {key: seen for key, seen in self._seen.items() if key in there}

    def _rows(self, request: str, found: segments.Found) -> int:
        seen = self._seen.get(found.key)
        if seen is None:
            seen = self._seen[found.key] = _Seen()
        if seen.upto < found.size and not self._is_too_large(found, seen.upto):
            try:
                for each, end in self._reader(found).read(seen.upto):
                    turns.give_way()
                    _note(each, seen.rows)
                    seen.upto = end
            except OSError:
                return 0  # whoever takes rows from it says so
        return seen.rows.get(request, 0)


def _note(found: records.Record | records.Run | None, rows: dict[str, int]) -> None:
    if isinstance(found, records.Run):
        for line in found.lines:
            rows.setdefault(line[2].decode(), 1)
    elif found is not None and found.first_row != records.UNSETTLED:
        count = max(found.first_row, 0) + found.table.rows
        rows[found.request] = max(rows.get(found.request, 0), count)


def width(of: records.Record) -> int:
    """Return how many values a flat list has."""
    if of.table.encoding is pieces.Encoding.ARRAY:
        return of.table.width
    return len(pieces.flat(of.table.payload))


def as_column(of: records.Record) -> records.Record:
    """Return a flat list as a column: a row for each value."""
    table = of.table
    if table.encoding is pieces.Encoding.ARRAY:
        return of._replace(first_row=0, table=table._replace(rows=table.width, width=1))
    values = pieces.flat(table.payload)
    payload = pieces.column(values)
    return of._replace(first_row=0, table=table._replace(rows=len(values), payload=payload))
