"""What a store holds, stream by stream."""

from __future__ import annotations

import concurrent.futures
import datetime
import typing

from .. import catalog
from ..days import template
from ..storage import Blobs
from . import coverage, progress

if typing.TYPE_CHECKING:
    import pandas

_THREADS = 8


class Stream(typing.NamedTuple):
    """A designation of a version of a model, as far as it is known without reading its rows."""

    stream: template.Stream
    first: datetime.date
    last: datetime.date
    days: int
    rows: int | None
    """None: some are not closed, and only reading tells."""
    closed_rows: int
    files: int
    """Raw ones."""
    bytes: int
    """Of raw files."""
    open_bytes: int
    """Of them, those that are not closed."""
    closed_days: int
    """Days of which all is closed."""
    closed_through: datetime.date | None
    """The last day up to which all are."""


def streams(store: Blobs, path: template.Template, wanted: template.Wanted) -> list[Stream]:
    """Return what there is. Raises ``StorageError`` and ``ManifestError``."""
    with progress.working("looking"):
        days = list(catalog.find(store, path, wanted))
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda day: coverage.look(store, day), days))
    by_stream: dict[template.Stream, list[coverage.Coverage]] = {}
    for each in found:
        if each.files or each.closed.number:
            by_stream.setdefault(each.day.stream, []).append(each)
    return [_told(stream, sorted(each, key=lambda one: one.day.date)) for stream, each in by_stream.items()]


def _told(stream: template.Stream, days: typing.Sequence[coverage.Coverage]) -> Stream:
    closed_rows = sum(each.closed.rows for each in days)
    through = None
    for each in days:
        if not _is_closed(each):
            break
        through = each.day.date
    return Stream(
        stream,
        days[0].day.date,
        days[-1].day.date,
        len(days),
        closed_rows if all(not each.tails for each in days) else None,
        closed_rows,
        sum(each.files for each in days),
        sum(each.bytes for each in days),
        sum(tail.end - tail.start for each in days for tail in each.tails),
        sum(_is_closed(each) for each in days),
        through,
    )


def _is_closed(found: coverage.Coverage) -> bool:
    return found.closed.number > 0 and not found.tails


def frame(found: typing.Sequence[Stream]) -> pandas.DataFrame:
    """Return it as a frame."""
    import pandas

    made = pandas.DataFrame(
        [
            {
                "workspace": dict(each.stream.fields).get("workspace", ""),
                "webservice": each.stream.webservice,
                "model": each.stream.model,
                "version": each.stream.version,
                "designation": each.stream.designation,
                **{name: getattr(each, name) for name in Stream._fields[1:]},
            }
            for each in found
        ],
        columns=["workspace", "webservice", "model", "version", "designation", *Stream._fields[1:]],
    )
    return made.astype({"rows": "Int64"})
