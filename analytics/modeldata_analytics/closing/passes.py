"""One pass over a day: what is behind the closed bytes of its raw files becomes a part, and goes into the closed file.

All that a pass does is decided before its first write, and written into the manifest as ``next``. So whoever goes on
with it, behind one that was killed or beside one that is slow, makes the same files. The order of the writes is the
protocol: ``next``, the part, the closed file, the Delta log, the manifest.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from .. import columns
from ..days import manifest, template
from ..engines import Engine, Rows, TypedRows
from ..storage import Blobs, Changed, Entry
from . import delta, manifests, parts, plan, staging, whole

Tell = typing.Callable[[str], None]
Types = typing.Mapping[tuple[str, int], str]
"""Types of columns, by their names and numbers among those of the same name."""

_FRESH, _CLOSED, _MERGED = "fresh.csv", "closed.csv", "merged.csv"


@dataclasses.dataclass(frozen=True)
class Tools:
    """What passes work with."""

    store: Blobs
    engine: Engine
    log: delta.Delta | None
    tell: Tell
    """Is told each step as it begins."""
    arrived: staging.Arrived


@dataclasses.dataclass(frozen=True)
class Pass:
    """The work on one day. All its methods raise:

    - ``DayError`` and ``EngineError``: the day can't be closed
    - ``Changed``: another one closes it
    - ``StorageError``
    """

    tools: Tools
    day: template.Day
    held: manifests.Held
    folder: pathlib.Path
    """An empty directory for this pass, with room for it."""

    @property
    def closed(self) -> manifest.Manifest:
        """What was closed before it."""
        return self.held.manifest

    def begin(self, tails: typing.Sequence[plan.Tail], *, formats: tuple[str, ...], hints: Types) -> Pass | None:
        """Decide what is done about tails, and write it into the manifest; None: they have no row.

        ``formats`` are for a day that has none yet.
        """
        self.tools.tell("fetching")
        staged = staging.stage(self.tools.store, tails, self.folder, self.tools.arrived)
        if not staged:
            return None
        formats = self.closed.formats or formats
        names = columns.union([each.name for each in self.closed.columns], *(each.names for each in staged))
        rows = self._sort(staged, names, formats)
        self.tools.tell("finding types")
        types, misfits = self._types(names, formats, hints)
        following = manifest.Next(
            self.closed.number + 1,
            tuple(each.range for each in staged),
            tuple(manifest.Column(*each) for each in zip(names, types, strict=True)),
            rows,
            misfits,
            formats,
        )
        begun = dataclasses.replace(self.closed, next=following)
        # Where files of others have our names, this says so before anything is changed.
        if manifest.CSV in formats:
            whole.look(self.tools.store, self.day, begun)
        if manifest.PARQUET in formats:
            parts.is_there(self.tools.store, self.day, following)
        return dataclasses.replace(self, held=manifests.replace(self.tools.store, self.day, self.held, begun))

    def finish(self) -> manifests.Held:
        """Do what ``next`` says, as far as it is not done, and commit it."""
        store, doing = self.tools.store, self._doing
        found = whole.look(store, self.day, self.closed) if manifest.CSV in doing.formats else None
        parted = manifest.PARQUET in doing.formats and doing.rows > 0
        part_is_due = parted and not parts.is_there(store, self.day, doing)
        if part_is_due:
            if found is not None and found.done:
                name = f"{self.day.parts}/{doing.part}"
                raise plan.DayError("Missing", f"{name} was there and is gone: bring it back")
            self._write_part()
        if found is not None and not found.done:
            self._write_file(found)
        done = self.closed.advanced()
        problem = None
        try:
            register(self.tools, self.day, done)
        except plan.DayError as error:
            problem = error  # the log can be made good later, and must not hold up the pass
        committed = manifests.replace(store, self.day, self.held, done)
        if problem is not None:
            raise problem
        return committed

    @property
    def _doing(self) -> manifest.Next:
        assert self.closed.next is not None
        return self.closed.next

    def _write_part(self) -> None:
        fresh, path = self._fresh(), self.folder / self._doing.part
        self.tools.tell("writing the part")
        parts.make(self.tools.engine, fresh, self.day, self._doing, path)
        parts.put(self.tools.store, self.day, self._doing, path)
        path.unlink()

    def _write_file(self, found: whole.Found) -> None:
        path = self._fresh().path
        self.tools.tell("writing the closed file")
        if self.closed.rows and found.entry is not None:
            path = self._merged(found.entry)
        whole.put(self.tools.store, self.day, self._doing, found.entry, path)

    def _fresh(self) -> Rows:
        """Return the pass's new rows: those that ``begin`` has left here, or the same from the same ranges."""
        path, doing = self.folder / _FRESH, self._doing
        if not path.exists():
            self.tools.tell("fetching")
            tails = [
                plan.Tail(f"{self.day.folder}/{each.name}", each.created, each.first, each.start, each.end)
                for each in doing.ranges
            ]
            staged = staging.stage(self.tools.store, tails, self.folder, self.tools.arrived)
            if tuple(each.range for each in staged) != doing.ranges:
                raise plan.DayError(
                    "Changed",
                    f"raw files in {self.day.folder} are not what they were when a pass began: bring them back",
                )
            rows = self._sort(staged, [each.name for each in doing.columns], doing.formats)
            if rows != doing.rows:
                raise plan.DayError("Engine", f"{rows} rows of {self.day.folder} are new, and were {doing.rows} before")
        return Rows(path, tuple(range(len(doing.columns))))

    def _sort(self, staged: typing.Sequence[staging.Staged], names: list[str], formats: tuple[str, ...]) -> int:
        """Write the new rows of ranges, sorted; return how many they are."""
        for each in staged:
            if not set(columns.KEYS) & set(each.names):
                raise plan.DayError(
                    "Foreign",
                    f"{self.day.folder}/{each.range.name} has no column {columns.KEYS[0]}: it is no collected file",
                )
        sources = [Rows(each.path, columns.places(each.names, names)) for each in staged]
        before = self._before(formats)
        self.tools.tell("sorting")
        fresh = self.folder / _FRESH
        done = self.tools.engine.sort(sources, names, _keys(names), fresh, without=before)
        scanned, written = sum(each.range.rows for each in staged), staging.count(fresh)
        if done.rows + done.dropped != scanned or written != done.rows:
            fresh.unlink()
            raise plan.DayError(
                "Engine", f"the engine wrote {written} rows of {scanned}, and says that {done.dropped} are closed"
            )
        for each in staged:
            each.path.unlink()
        return done.rows

    def _before(self, formats: tuple[str, ...]) -> Rows | TypedRows | None:
        """Fetch the rows that are closed already: as text, where there are texts of them."""
        if not self.closed.rows:
            return None
        self.tools.tell("fetching what is closed")
        if manifest.CSV not in formats:
            return parts.stage(self.tools.store, self.day, self.closed, self.folder)
        found = whole.look(self.tools.store, self.day, self.closed)
        if found.entry is None or found.done:
            raise Changed(f"{self.day.closed} is replaced by another one")
        return self._old(found.entry)

    def _old(self, entry: Entry) -> Rows:
        """Return the closed file as it was before the pass."""
        path = self.folder / _CLOSED
        if not path.exists():
            whole.fetch(self.tools.store, self.day, self.closed, entry, path, arrived=self.tools.arrived)
        return Rows(path, tuple(range(len(self.closed.columns))))

    def _merged(self, entry: Entry) -> pathlib.Path:
        """Write the closed file as it is behind the pass."""
        old, fresh, path = self._old(entry), self._fresh(), self.folder / _MERGED
        names = [each.name for each in self._doing.columns]
        done = self.tools.engine.sort([old, fresh], names, _keys(names), path)
        expected = self.closed.rows + self._doing.rows
        if not done.rows == staging.count(path) == expected:
            raise plan.DayError("Engine", f"the engine wrote {done.rows} rows of {expected}")
        return path

    def _types(self, names: list[str], formats: tuple[str, ...], hints: Types) -> tuple[list[str], tuple[str, ...]]:
        """Return each column's type, and the columns, by a part's names, with values that it can't hold.

        A column that has a type keeps it: parts of one day, and all of a table in a Delta log, have the same types.
        """
        tabled = columns.tabled(names)
        fixed: list[str | None] = [each.type for each in self.closed.columns]
        fixed += [None] * (len(names) - len(fixed))
        if self.tools.log is not None and manifest.PARQUET in formats:
            registered = self.tools.log.types(self.day.stream.table)
            fixed = [kind or registered.get(name) for name, kind in zip(tabled, fixed, strict=True)]
        wanted = [kind or hints.get(each) for kind, each in zip(fixed, columns.occurrences(names), strict=True)]
        fresh = Rows(self.folder / _FRESH, tuple(range(len(names))))
        found = self.tools.engine.types(fresh, names, wanted)
        types = [kind or chosen for kind, chosen in zip(fixed, found, strict=True)]
        misfits = (name for name, kind, chosen in zip(tabled, types, found, strict=True) if kind != chosen)
        return types, tuple(name for name in misfits if manifest.PARQUET in formats)


def register(tools: Tools, day: template.Day, closed: manifest.Manifest) -> None:
    """Register in the Delta log the parts of a day that are not yet: all of them, where a log was asked for late."""
    if tools.log is None or not closed.parts or tools.log.is_registered(day, closed.number):
        return
    tools.tell("registering")
    stored = []
    for part in closed.parts:
        found = tools.store.entry(f"{day.parts}/{part.name}")
        if found is None:
            raise plan.DayError("Missing", f"{day.parts}/{part.name} is gone: bring it back")
        stored.append(delta.Stored(part, found[0].size))
    tools.log.register(day, closed.columns, stored, closed.number)


def _keys(names: typing.Sequence[str]) -> list[int]:
    return [names.index(key) for key in columns.KEYS if key in names]
