"""DuckDB, within bounds of memory, spilling to a directory.

Columns go by their places, as DuckDB changes names: blanks around them, two of one name, names that differ in case.
"""

from __future__ import annotations

import collections.abc
import contextlib
import pathlib
import re
import typing

from .. import columns
from . import dialect
from .engine import EngineError, Rows, Sorted, TypedColumn, TypedRows, layouts

if typing.TYPE_CHECKING:
    import duckdb

_MOST_LINE_BYTES = 16 * 1024 * 1024
"""A row is at most 4 MiB, as it is appended as a whole."""
_LINE = re.compile(r"CSV Error on Line: ([0-9]+)")


class DuckDB:
    """Runs queries in this process. ``memory``: see ``dialect.settings``."""

    def __init__(self, *, memory: str, threads: int, scratch: pathlib.Path) -> None:
        self._settings: dialect.Settings = {**dialect.settings(memory, scratch), "threads": threads}

    def count(self, sources: typing.Sequence[Rows]) -> int:
        """Return how many rows files have."""
        with self._connected() as run:
            (found,) = _one(run, f"select count(*) from ({_union(sources, _width(sources))})")
            return int(found)

    def sort(
        self,
        sources: typing.Sequence[Rows],
        names: typing.Sequence[str],
        keys: typing.Sequence[int],
        into: pathlib.Path,
        *,
        without: Rows | TypedRows | None = None,
    ) -> Sorted:
        """Write the rows of files into one, sorted, under one header."""
        with self._connected() as run:
            run.execute(f"create view rows as {_union(sources, len(names))}")
            chosen, dropped = "rows", 0
            if without is not None:
                chosen, dropped = _drop(run, without, keys, len(names))
            written = dialect.write_csv(
                lambda query: int(_one(run, query)[0]), f"select * from {chosen} order by {_key(keys)}", names, into
            )
            return Sorted(written, dropped)

    def types(self, rows: Rows, names: typing.Sequence[str], hints: typing.Sequence[str | None]) -> list[str]:
        """Return a type for each column of the day that all its values survive."""
        places = [place for place, name in enumerate(names) if name not in columns.IDS]
        given = {_column(place): hint for place in places if (hint := hints[place]) is not None}
        with self._connected() as run:
            table = f"({_union([rows], len(names))})"
            found = columns.choose(lambda query: _one(run, query), table, [_column(place) for place in places], given)
        return [found.get(_column(place), columns.TEXT) for place in range(len(names))]

    def write_part(
        self,
        rows: Rows,
        typed: typing.Sequence[TypedColumn],
        into: pathlib.Path,
        *,
        metadata: typing.Mapping[str, str],
    ) -> int:
        """Write rows, in their order, as a typed part."""
        told = ", ".join(f"{dialect.literal(name)}: {dialect.literal(value)}" for name, value in metadata.items())
        with self._connected(preserve_insertion_order=True) as run:
            (written,) = _one(
                run,
                f"copy ({_typed(typed, _union([rows], len(typed)))}) to {dialect.literal(into)}"
                f" (format parquet, compression zstd, kv_metadata {{{told}}})",
            )
            return int(written)

    @contextlib.contextmanager
    def _connected(
        self, *, preserve_insertion_order: bool = False
    ) -> collections.abc.Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        try:
            with duckdb.connect(
                config={**self._settings, "preserve_insertion_order": preserve_insertion_order}
            ) as connection:
                connection.execute("set timezone = 'UTC'")
                yield connection
        except duckdb.Error as error:
            raise _error(error) from None


def _error(error: duckdb.Error) -> EngineError:
    import duckdb

    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        if "temp_directory" in text or "disk" in text.lower():
            return EngineError(
                "DiskFull", "the scratch directory is full: give it three times the room of a day's files"
            )
        return EngineError("OutOfMemory", "DuckDB has too little memory: give it more (--memory)")
    if isinstance(error, duckdb.IOException) and "space" in text.lower():
        return EngineError("DiskFull", "the scratch directory is full: give it three times the room of a day's files")
    line = _LINE.search(text)
    if line is not None:
        # What it says further has the line itself.
        return EngineError(
            "Unreadable", f"a raw file can't be read as CSV: its columns are wrong around line {line[1]}"
        )
    return EngineError("Engine", f"DuckDB failed: {type(error).__name__}")


def _drop(
    run: duckdb.DuckDBPyConnection, closed: Rows | TypedRows, keys: typing.Sequence[int], width: int
) -> tuple[str, int]:
    """Return the rows that are not closed already, as SQL, and how many are left out."""
    if isinstance(closed, Rows):
        table, named = f"({_union([closed], width)})", [_column(place) for place in keys]
        equal = [f"rows.{_column(place)} is not distinct from found.{_column(place)}" for place in range(width)]
    else:
        files = ", ".join(map(dialect.literal, closed.paths))
        table = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        named = [columns.quoted(closed.columns[place].name) for place in keys if place < len(closed.columns)]
        typed = [_cell(f"rows.{_column(place)}", each) for place, each in enumerate(closed.columns)]
        equal = [
            f"{cell} is not distinct from found.{columns.quoted(each.name)}"
            for cell, each in zip(typed, closed.columns, strict=True)
        ]
        rescued = _rescued(closed.columns, "rows.")
        equal += [f"{rescued} is not distinct from found.{columns.quoted(columns.RESCUED)}"]
        equal += [f"rows.{_column(place)} is null" for place in range(len(closed.columns), width)]
    # Only a key that is in both needs a look: they are few.
    run.execute(
        f"create temp table found as select * from {table}"
        f" where coalesce({', '.join(named)}) in (select {_key(keys)} from rows)"
    )
    (candidates,) = _one(run, "select count(*) from found")
    if not candidates:
        return "rows", 0
    same = " and ".join(equal)
    (dropped,) = _one(run, f"select count(*) from rows semi join found on {same}")
    return f"(select rows.* from rows anti join found on {same})", int(dropped)


def _union(sources: typing.Sequence[Rows], width: int) -> str:
    """Return the SQL of files' rows: all the day's columns, under names by their places."""
    return " union all ".join(_select(paths, places, width) for places, paths in layouts(sources).items())


def _select(paths: typing.Sequence[pathlib.Path], places: tuple[int, ...], width: int) -> str:
    number = {place: number for number, place in enumerate(places)}
    cells = (
        f"f{number[place]} as {_column(place)}" if place in number else f"null::varchar as {_column(place)}"
        for place in range(width)
    )
    return f"select {', '.join(cells)} from {dialect.read_csv(paths, len(places), 'f', line_bytes=_MOST_LINE_BYTES)}"


def _typed(named: typing.Sequence[TypedColumn], rows: str) -> str:
    cells = [f"{_cell(_column(place), each)} as {columns.quoted(each.name)}" for place, each in enumerate(named)]
    return f"select {', '.join(cells)}, {_rescued(named)} as {columns.quoted(columns.RESCUED)} from ({rows})"


def _cell(text: str, column: TypedColumn) -> str:
    typed = columns.cast(text, column.type)
    return f"case when {columns.fits(text, column.type)} then {typed} end" if column.guarded else typed


def _rescued(named: typing.Sequence[TypedColumn], of: str = "") -> str:
    """Return the SQL of the texts of a row that don't fit their columns' types, as an object; null where all fit."""
    misfits = [
        f"{{name: {dialect.literal(each.name)}, text: case when not {columns.fits(text, each.type)} then {text} end}}"
        for place, each in enumerate(named)
        if each.guarded
        for text in [of + _column(place)]
    ]
    if not misfits:
        return "null::varchar"
    some = f"list_filter([{', '.join(misfits)}], lambda each: each.text is not null)"
    return f"case when len({some}) > 0 then cast(to_json(map_from_entries({some})) as varchar) end"


def _key(keys: typing.Sequence[int]) -> str:
    return f"coalesce({', '.join(_column(place) for place in keys)})"


def _width(sources: typing.Sequence[Rows]) -> int:
    return max((place + 1 for each in sources for place in each.places), default=1)


def _column(place: int) -> str:
    return f"c{place}"


def _one(run: duckdb.DuckDBPyConnection, query: str) -> tuple[typing.Any, ...]:
    found = run.execute(query).fetchone()
    assert found is not None
    return tuple(found)
