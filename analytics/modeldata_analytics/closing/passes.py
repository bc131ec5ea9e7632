"""One pass over a day: what is behind the closed bytes of its raw files becomes one part, and goes into the closed file.

All that a pass does is decided before its first write, and written into the manifest as ``next``. So whoever goes on with
it, behind one that was killed, or beside one that is slow, makes the same files. The order of the writes is the protocol:
``next``, the part, the closed file, the Delta log, the manifest.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from .. import columns
from ..days import manifest, template
from ..engines import Engine, Rows, TypedRows
from ..storage import Blobs, Changed
from . import manifests, parts, plan, staging, whole

Tell = typing.Callable[[str], None]
Types = dict[tuple[str, int], str]
"""Types of columns, by their names and numbers among those of the same name."""


class Registry(typing.Protocol):
    """A log in which parts are registered."""

    def types(self, table: str) -> dict[str, str]:
        """Return the types that columns of a table have, by their names in it."""

    def register(self, day: template.Day, of: manifest.Next, size: int) -> None:
        """Register the part of a pass, once."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """What passes work with."""

    store: Blobs
    engine: Engine
    registry: Registry | None
    tell: Tell
    """Is told each step as it begins."""
    arrived: staging.Arrived


def begin(
    tools: Tools,
    day: template.Day,
    held: manifests.Held,
    tails: typing.Sequence[plan.Tail],
    folder: pathlib.Path,
    *,
    formats: tuple[str, ...],
    hints: Types,
) -> manifests.Held:
    """Decide what the next pass does, and write it into the manifest. Nothing is written where the tails have no row.

    Raises:
        DayError: the day can't be closed; nothing was changed.
        EngineError: likewise.
        Changed: another one closes this day.
        StorageError: see there.

    """
    closed = held.manifest
    tools.tell("fetching")
    staged = staging.stage(tools.store, tails, folder, tools.arrived)
    if not staged:
        return held
    formats = closed.formats or formats
    names = columns.union([each.name for each in closed.columns], *(each.names for each in staged))
    rows, fresh = _sort(tools, day, closed, staged, names, formats, folder)
    tools.tell("finding types")
    types, misfits = _types(tools, day, closed, names, fresh, hints, formats)
    following = manifest.Next(
        closed.number + 1,
        tuple(each.range for each in staged),
        tuple(manifest.Column(*each) for each in zip(names, types, strict=True)),
        rows,
        misfits,
        formats,
    )
    return manifests.replace(tools.store, day, held, dataclasses.replace(closed, next=following))


def finish(tools: Tools, day: template.Day, held: manifests.Held, folder: pathlib.Path) -> manifests.Held:
    """Do what the manifest says that the pass does, as far as it is not done, and commit it. Raises as ``begin``."""
    closed, doing = held.manifest, held.manifest.next
    assert doing is not None
    found = whole.look(tools.store, day, closed) if manifest.CSV in doing.formats else None
    parted = manifest.PARQUET in doing.formats and doing.rows > 0
    part_is_due = parted and not parts.is_there(tools.store, day, doing)
    file_is_due = found is not None and not found.done
    if part_is_due and found is not None and found.done:
        raise plan.DayError("Missing", f"{day.parts}/{doing.part} is gone, and was there: bring it back")
    if part_is_due or file_is_due:
        names = [each.name for each in doing.columns]
        fresh = _fresh(tools, day, closed, doing, names, folder)
        if part_is_due:
            tools.tell("writing the part")
            path = folder / doing.part
            parts.make(tools.engine, fresh, day, doing, path)
            parts.put(tools.store, day, doing, path)
            path.unlink()
        if found is not None and file_is_due:
            tools.tell("writing the closed file")
            whole.put(tools.store, day, doing, found.entry, _merged(tools, day, closed, fresh, names, found, folder))
    if parted and tools.registry is not None:
        tools.tell("registering")
        part = tools.store.entry(f"{day.parts}/{doing.part}")
        if part is None:
            raise plan.DayError("Missing", f"{day.parts}/{doing.part} is gone: bring it back")
        tools.registry.register(day, doing, part[0].size)
    return manifests.replace(tools.store, day, held, closed.advanced())


def _fresh(
    tools: Tools,
    day: template.Day,
    closed: manifest.Manifest,
    doing: manifest.Next,
    names: list[str],
    folder: pathlib.Path,
) -> Rows:
    """Return the pass's new rows: those that ``begin`` has left here, or the same from the same ranges."""
    path = folder / FRESH
    if not path.exists():
        tools.tell("fetching")
        tails = [
            plan.Tail(f"{day.folder}/{each.name}", each.created, each.first, each.start, each.end)
            for each in doing.ranges
        ]
        staged = staging.stage(tools.store, tails, folder, tools.arrived)
        if tuple(each.range for each in staged) != doing.ranges:
            raise plan.DayError(
                "Changed", f"raw files in {day.folder} are not what they were when a pass began: bring them back"
            )
        rows, _ = _sort(tools, day, closed, staged, names, doing.formats, folder)
        if rows != doing.rows:
            raise plan.DayError(
                "Changed", f"{rows} rows are new in {day.folder}, where the pass began with {doing.rows}"
            )
    return Rows(path, tuple(range(len(names))))


FRESH, CLOSED, MERGED = "fresh.csv", "closed.csv", "merged.csv"


def _sort(
    tools: Tools,
    day: template.Day,
    closed: manifest.Manifest,
    staged: typing.Sequence[staging.Staged],
    names: list[str],
    formats: tuple[str, ...],
    folder: pathlib.Path,
) -> tuple[int, Rows]:
    """Write the new rows of ranges, sorted; return how many they are."""
    for each in staged:
        if not set(columns.KEYS) & set(each.names):
            raise plan.DayError(
                "Foreign", f"{day.folder}/{each.range.name} has no column {columns.KEYS[0]}: it is no collected file"
            )
    sources = [Rows(each.path, columns.places(each.names, names)) for each in staged]
    before = _closed(tools, day, closed, formats, folder)
    tools.tell("sorting")
    fresh = folder / FRESH
    done = tools.engine.sort(sources, names, _keys(names), fresh, without=before)
    scanned, written = sum(each.range.rows for each in staged), staging.count(fresh)
    if not done.rows + done.dropped == scanned or written != done.rows:
        fresh.unlink()
        raise plan.DayError("Engine", f"the engine wrote {done.rows} and left out {done.dropped} of {scanned} rows")
    for each in staged:
        each.path.unlink()
    return done.rows, Rows(fresh, tuple(range(len(names))))


def _closed(
    tools: Tools, day: template.Day, closed: manifest.Manifest, formats: tuple[str, ...], folder: pathlib.Path
) -> Rows | TypedRows | None:
    """Fetch the rows that are closed already: as text, if there are texts of them."""
    if not closed.rows:
        return None
    tools.tell("fetching what is closed")
    if manifest.CSV not in formats:
        return parts.stage(tools.store, day, closed, folder)
    found = whole.look(tools.store, day, closed)
    if found.entry is None or found.done:
        raise Changed(f"{day.closed} is replaced by another one")
    return whole.stage(tools.store, day, closed, found.entry, folder / CLOSED, tools.arrived)


def _merged(
    tools: Tools,
    day: template.Day,
    closed: manifest.Manifest,
    fresh: Rows,
    names: list[str],
    found: whole.Found,
    folder: pathlib.Path,
) -> pathlib.Path:
    """Write the closed file of the day as it is behind the pass."""
    if not closed.rows or found.entry is None:
        return fresh.path
    old = Rows(folder / CLOSED, tuple(range(len(closed.columns))))
    if not old.path.exists():
        old = whole.stage(tools.store, day, closed, found.entry, old.path, tools.arrived)
    path = folder / MERGED
    done = tools.engine.sort([old, fresh], names, _keys(names), path)
    expected = closed.rows + staging.count(fresh.path)
    if not done.rows == staging.count(path) == expected:
        raise plan.DayError("Engine", f"the engine wrote {done.rows} of {expected} rows")
    return path


def _types(
    tools: Tools,
    day: template.Day,
    closed: manifest.Manifest,
    names: list[str],
    fresh: Rows,
    hints: Types,
    formats: tuple[str, ...],
) -> tuple[list[str], tuple[str, ...]]:
    """Return each column's type, and which of them have values that it can't hold.

    A column that has a type keeps it: parts of one day, and all of a table in a Delta log, have the same types.
    """
    tabled = columns.tabled(names)
    fixed: list[str | None] = [each.type for each in closed.columns]
    fixed += [None] * (len(names) - len(fixed))
    if tools.registry is not None and manifest.PARQUET in formats:
        registered = tools.registry.types(day.stream.table)
        fixed = [registered.get(name, kind) for name, kind in zip(tabled, fixed, strict=True)]
    wanted = [kind or hints.get(each) for kind, each in zip(fixed, columns.occurrences(names), strict=True)]
    found = tools.engine.types(fresh, names, wanted)
    types = [kind or chosen for kind, chosen in zip(fixed, found, strict=True)]
    misfits = (name for name, kind, chosen in zip(tabled, types, found, strict=True) if kind != chosen)
    return types, tuple(name for name in misfits if manifest.PARQUET in formats)


def _keys(names: typing.Sequence[str]) -> list[int]:
    return [names.index(key) for key in columns.KEYS if key in names]
