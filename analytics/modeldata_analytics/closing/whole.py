"""The closed file: a day as one CSV, replaced in one atomic step by each pass."""

from __future__ import annotations

import pathlib
import typing

from ..days import manifest, template
from ..storage import Blobs, Changed, Entry
from . import staging
from .plan import DayError


class Found(typing.NamedTuple):
    """What is there."""

    entry: Entry | None
    done: bool
    """Whether it has the rows of the pass that has begun."""


def look(store: Blobs, day: template.Day, closed: manifest.Manifest) -> Found:
    """Return the closed file. Raises ``DayError`` where it is of none of the passes that the manifest knows."""
    found = store.entry(day.closed)
    if found is None:
        if closed.number:
            raise DayError("Missing", f"{day.closed} is gone, and {day.manifest} names it: bring it back")
        return Found(None, False)
    entry, told = found
    if closed.next is not None and _told(day, closed.next).items() <= told.items():
        return Found(entry, True)
    if not closed.number or told.get("pass") != str(closed.number):
        raise DayError(
            "Foreign",
            f"{day.closed} is there, and is not of the pass that {day.manifest} names: was the manifest"
            " removed, or taken from a copy? Move the closed file away, or bring back the manifest that belongs to it",
        )
    return Found(entry, False)


def fetch(
    store: Blobs,
    day: template.Day,
    closed: manifest.Manifest,
    entry: Entry,
    into: pathlib.Path,
    *,
    arrived: staging.Arrived,
) -> None:
    """Fetch the closed file. Raises ``Changed`` where it is being replaced, ``DayError`` and ``StorageError``."""
    scanner = staging.fetch(store, day.closed, entry.size, into, arrived)
    again = store.entry(day.closed)
    if again is None or again[0].etag != entry.etag:
        raise Changed(f"{day.closed} is replaced by another one")
    if not scanner.whole or scanner.records - 1 != closed.rows:
        raise DayError(
            "Foreign",
            f"{day.closed} has {scanner.records - 1} rows, and {day.manifest} says {closed.rows}: who changed it?",
        )


def put(store: Blobs, day: template.Day, of: manifest.Next, found: Entry | None, path: pathlib.Path) -> None:
    """Store the closed file behind a pass. Raises ``Changed`` where another pass was quicker."""
    try:
        store.put(day.closed, path, replaces=None if found is None else found.etag, metadata=_told(day, of))
    except Changed:
        there = store.entry(day.closed)
        if there is None or not _told(day, of).items() <= there[1].items():
            raise


def _told(day: template.Day, of: manifest.Next) -> dict[str, str]:
    """Return what the file says of itself, in the same atomic step: readers go by its pass."""
    return {"pass": str(of.number), "plan": of.digest(day.folder)}
