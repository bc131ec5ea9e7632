"""What is to be done about a day, decided from its listing and its manifest. No request, no clock."""

from __future__ import annotations

import dataclasses
import datetime
import typing

from ..days import manifest, template
from ..storage import Entry

LEAST_DELETE_AFTER = datetime.timedelta(days=7)
"""Raw files stay at least so long: an append whose answer was lost may be tried again until its spool is empty, and
where the file is gone by then, its rows are there twice until the next pass."""


class DayError(Exception):
    """A day can't be closed; nothing of it was changed. The message says what is wrong, and the way out."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Wish:
    """What closing makes, and when."""

    formats: tuple[str, ...] = manifest.FORMATS
    """Of days that are closed from now on; a day that is closed keeps its own."""
    delta: bool = False
    after: datetime.timedelta = datetime.timedelta(hours=6)
    """How long after its end, midnight in UTC, a day is due."""
    delete_after: datetime.timedelta | None = None
    """How long after its day's end, and after the last append to it, a raw file goes. None: never."""

    def __post_init__(self) -> None:
        if self.delete_after is not None and self.delete_after < LEAST_DELETE_AFTER:
            raise ValueError(f"raw files stay at least {LEAST_DELETE_AFTER.days} days")


class Tail(typing.NamedTuple):
    """What a raw file has behind what is closed of it."""

    name: str
    """The whole name."""
    created: str
    first: str
    """Digest of its first row; empty where that has not been seen yet."""
    start: int
    end: int

    @property
    def last(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


def over(date: datetime.date) -> datetime.datetime:
    """Return when a day ends."""
    return datetime.datetime.combine(date, datetime.time(), datetime.UTC) + datetime.timedelta(days=1)


def is_due(date: datetime.date, wish: Wish, now: datetime.datetime) -> bool:
    """Return whether a day is to be closed."""
    return over(date) + wish.after <= now


def tails(closed: manifest.Manifest, files: typing.Sequence[Entry]) -> list[Tail]:
    """Return what is not closed of a day's files, as they are listed. Raises ``DayError``."""
    found = []
    for file in _raw(files):
        last = file.name.rpartition("/")[2]
        covered = closed.covered(last, file.created)
        if covered > file.size:
            raise DayError(
                "Shortened", f"{file.name} has {file.size} bytes, and {covered} of it are closed: who cut it?"
            )
        if covered < file.size:
            first = closed.sources[last].first if covered else ""
            found.append(Tail(file.name, file.created, first, covered, file.size))
    return found


def deletable(
    closed: manifest.Manifest, files: typing.Sequence[Entry], date: datetime.date, wish: Wish, *, now: datetime.datetime
) -> list[Entry]:
    """Return the raw files that may go: closed to their end, and long past."""
    if wish.delete_after is None or closed.next is not None or not closed.number:
        return []
    return [
        file
        for file in _raw(files)
        if closed.covered(file.name.rpartition("/")[2], file.created) == file.size
        and max(over(date), file.modified) + wish.delete_after <= now
    ]


def _raw(files: typing.Sequence[Entry]) -> list[Entry]:
    # One of 0 bytes has just been made, or a policy let nobody write to it: there is no header yet.
    raw = [each for each in files if each.size and template.is_raw(each.name.rpartition("/")[2])]
    raw.sort(key=lambda each: not each.name.endswith("/data.csv"))  # its columns come first
    for each in raw:
        if not each.append:
            raise DayError(
                "Foreign",
                f"{each.name} is a block blob, which no client appends to: move it away",
            )
    return raw
