"""What of a day is read where: closed rows from what was made of them, the rest from raw files, each row once."""

from __future__ import annotations

import dataclasses
import typing

from ..days import manifest, template
from ..storage import Blobs, Entry, StorageError

UNKNOWN = -1
"""How many rows a closed file has that a killed pass left: its manifest does not say yet."""

TRIES = 20
"""A closer commits in milliseconds: who looks so often and never finds what fits together, does not look at one."""


class Unsettled(StorageError):  # noqa: N818
    """What is closed of a day, and what the closed files say, does not fit together."""


class Tail(typing.NamedTuple):
    """Bytes of a raw file: from the end of a row to the end of a row."""

    name: str
    start: int
    end: int


class Part(typing.NamedTuple):
    """A Parquet file of closed rows."""

    name: str
    size: int
    rows: int


class Whole(typing.NamedTuple):
    """All closed rows as one CSV."""

    name: str
    size: int
    etag: str
    rows: int
    columns: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Each row of a day, once."""

    day: template.Day
    parts: tuple[Part, ...] = ()
    whole: Whole | None = None
    """Instead of ``parts``, where the day has no Parquet."""
    tails: tuple[Tail, ...] = ()
    closed: manifest.Manifest | None = None
    """None: nothing is closed."""

    @property
    def size(self) -> int:
        """How many bytes there are to read."""
        whole = self.whole.size if self.whole is not None else 0
        return whole + sum(each.size for each in self.parts) + sum(each.end - each.start for each in self.tails)


def look(store: Blobs, day: template.Day) -> Coverage:
    """Return where each row of a day is to be read.

    Raises ``StorageError``, ``manifest.ManifestError``.
    """
    folder = f"{day.folder}/"
    files = store.files(folder)
    if not any(each.name == day.manifest for each in files):
        return Coverage(day, tails=_tails(files, manifest.Manifest()))
    for _ in range(TRIES):
        content = store.get(day.manifest)
        if content is None:
            return Coverage(day, tails=_tails(store.files(folder), manifest.Manifest()))
        try:
            closed = manifest.read(content.data)
        except manifest.ManifestError as error:
            raise type(error)(f"{day.manifest} in {store.address}: {error}") from None
        found = _closed(store, day, closed)
        if found is not None:
            # Listed after what is closed was seen: what is gone by then is covered.
            return dataclasses.replace(found, tails=_tails(store.files(folder), found.closed or closed))
    raise Unsettled(f"{day.manifest} in {store.address} and {day.closed} do not fit together: close the day again")


def _closed(store: Blobs, day: template.Day, closed: manifest.Manifest) -> Coverage | None:
    """Return which closed files to read, with a manifest that covers just their rows; None: look again."""
    if closed.number and sum(part.rows for part in closed.parts) == closed.rows:
        sizes = {each.name: each.size for each in store.files(f"{day.parts}/")} if closed.parts else {}
        parts = [Part(f"{day.parts}/{part.name}", 0, part.rows) for part in closed.parts]
        if any(part.name not in sizes for part in parts):
            missing = next(part.name for part in parts if part.name not in sizes)
            raise Unsettled(f"{missing} in {store.address} is missing: {day.manifest} says that it has closed rows")
        return Coverage(day, tuple(part._replace(size=sizes[part.name]) for part in parts), closed=closed)
    found = store.entry(day.closed)
    if found is None:
        if not closed.number:
            return Coverage(day, closed=closed)  # the first pass has begun and made nothing yet
        return None
    entry, metadata = found
    number = metadata.get("pass")
    if number == str(closed.number):
        covered = closed
    elif closed.next is not None and number == str(closed.next.number):
        covered = _ahead(closed, closed.next)
    else:
        return None
    whole = Whole(day.closed, entry.size, entry.etag, covered.rows, closed.columns)
    return Coverage(day, whole=whole, closed=covered)


def _ahead(closed: manifest.Manifest, following: manifest.Next) -> manifest.Manifest:
    """Return the manifest as it will be when the pass is finished; its rows are not known."""
    sources = dict(closed.sources)
    for each in following.ranges:
        sources[each.name] = manifest.Source(each.created, each.end, 0)
    return dataclasses.replace(closed, sources=sources, rows=UNKNOWN)


def _tails(files: typing.Sequence[Entry], closed: manifest.Manifest) -> tuple[Tail, ...]:
    tails = []
    for each in files:
        last = each.name.rpartition("/")[2]
        start = closed.covered(last, each.created)
        if template.is_raw(last) and each.size > start:
            tails.append(Tail(each.name, start, each.size))
    return tuple(tails)
