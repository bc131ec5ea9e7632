"""What of a day is read where: closed rows from what was made of them, the rest from raw files, each row once."""

from __future__ import annotations

import dataclasses
import typing

from ..days import manifest, template
from ..records import identity
from ..storage import Blobs, Changed, Entry, Missing
from . import errors

TRIES = 20
"""A closer commits in milliseconds: who looks so often and never finds what fits together, does not look at one."""


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
    rescued: tuple[str, ...]
    """See ``manifest.Part``."""


class Whole(typing.NamedTuple):
    """All closed rows as one CSV."""

    name: str
    size: int
    etag: str
    rows: int


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Each row of a day, once."""

    day: template.Day
    parts: tuple[Part, ...] = ()
    whole: Whole | None = None
    """Instead of ``parts``, where the day has no Parquet."""
    tails: tuple[Tail, ...] = ()
    closed: manifest.Manifest = dataclasses.field(default_factory=manifest.Manifest)
    """Says what ``parts`` or ``whole`` have."""
    files: int = 0
    """Raw ones."""
    bytes: int = 0
    """Of raw files, closed or not."""

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
        return _with_tails(store, Coverage(day), files)
    for _ in range(TRIES):
        content = store.get(day.manifest)
        if content is None:
            return _with_tails(store, Coverage(day), store.files(folder))
        try:
            closed = manifest.read(content.data)
        except manifest.ManifestError as error:
            raise type(error)(f"{day.manifest} in {store.address}: {error}") from None
        found = _closed(store, day, closed)
        if found is not None:
            # Listed after what is closed was seen: what is gone by then is covered.
            return _with_tails(store, found, store.files(folder))
    raise errors.Unsettled(
        f"{day.manifest} in {store.address} and what it names do not fit together: was one of {day.closed} and"
        f" {day.parts} moved away, or brought from a copy?"
    )


def _closed(store: Blobs, day: template.Day, closed: manifest.Manifest) -> Coverage | None:
    """Return which closed files to read, with a manifest that covers just their rows; None: look again."""
    if manifest.PARQUET in closed.formats:
        sizes = {each.name: each.size for each in store.files(f"{day.parts}/")}
        parts = [(f"{day.parts}/{each.name}", each) for each in closed.parts]
        if any(name not in sizes for name, _ in parts):
            return None
        return Coverage(
            day, tuple(Part(name, sizes[name], each.rows, each.rescued) for name, each in parts), closed=closed
        )
    found = store.entry(day.closed)
    if found is None:
        return None if closed.number else Coverage(day, closed=closed)  # a first pass has begun, and made no file yet
    entry, told = found
    following = closed.next
    if following is not None and told.get("plan") == following.digest(day.folder):
        closed = closed.advanced()
    elif not closed.number:
        return Coverage(day, closed=closed)  # it will have Parquet alone: the file is somebody else's
    elif told.get("pass") != str(closed.number):
        return None
    return Coverage(day, whole=Whole(day.closed, entry.size, entry.etag, closed.rows), closed=closed)


def _with_tails(store: Blobs, found: Coverage, files: typing.Sequence[Entry]) -> Coverage:
    tails = []
    raw = [each for each in files if template.is_raw(each.name.rpartition("/")[2])]
    # As they were filled: data.csv, data.1.csv, data.2.csv, …
    for each in sorted(raw, key=lambda each: (len(each.name), each.name)):
        start = _covered(store, each, found.closed)
        if start > each.size:
            raise errors.Unsettled(
                f"{each.name} in {store.address} has {each.size} bytes, and {start} of it are closed"
            )
        if each.size > start:
            tails.append(Tail(each.name, start, each.size))
    return dataclasses.replace(found, tails=tuple(tails), files=len(raw), bytes=sum(each.size for each in raw))


def _covered(store: Blobs, file: Entry, closed: manifest.Manifest) -> int:
    last = file.name.rpartition("/")[2]
    if last not in closed.sources or closed.covered(last, file.created):
        return closed.covered(last, file.created)
    # Another time of creation: another file, or the same in a copy of the container. Its first row tells.
    try:
        first = b"".join(store.read(file.name, 0, min(file.size, identity.BYTES)))
    except (Changed, Missing):
        return 0  # gone meanwhile; who reads it finds out
    return closed.covered(last, identity.first(first))
