"""Designations whose rows stand in the same order, side by side without a join: what one pod wrote, and closed days.

Of 2.5 million predictions, the join's table of ids takes 250 MB, and a third of all the time of a closed day.
"""

from __future__ import annotations

import dataclasses
import typing

from . import engine, errors, joining, sources, uniting

if typing.TYPE_CHECKING:
    import pyarrow

_FRONT = len(sources.LEADING)


@dataclasses.dataclass(frozen=True)
class Beside:
    """Several SELECTs with as many rows each, in one order."""

    selects: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    """Where each column of the whole comes from: which SELECT, and which of its columns."""


def find(
    of: engine.Engine, tables: typing.Mapping[str, uniting.Table], told: int, among: typing.Collection[str]
) -> list[str]:
    """Return the designations, of some, whose ids are those of the first one, in its order."""
    first, *others = tables
    keys = [*(f"t{place}" for place in range(told)), "c2"]
    found = []
    for name in others:
        if name not in among or tables[name].rows != tables[first].rows:
            continue
        sides = [_ids(tables[each], keys, letter) for each, letter in ((first, "l"), (name, "r"))]
        other = " or ".join(f"l{place} is distinct from r{place}" for place in range(len(keys)))
        (differing,) = of.numbers(f"select count(*) from (from {sides[0]} positional join {sides[1]}) where {other}")
        if not differing:
            found.append(name)
    return found


def _ids(table: uniting.Table, keys: typing.Sequence[str], letter: str) -> str:
    return f"(select {', '.join(f'{key} as {letter}{place}' for place, key in enumerate(keys))} from {table.sql})"


def split(
    tables: typing.Mapping[str, uniting.Table],
    told: typing.Sequence[str],
    names: typing.Collection[str],
    apart: typing.Collection[str],
) -> Beside:
    """Return the SELECTs that make the table of ``joining.join``: of these designations each its own, of others one."""
    joined = {name: table for name, table in tables.items() if name not in names}
    selects = [joining.join(joined, told, between=joining.Between(), apart=apart, doubled=False, last=False).sql]
    places = [(0, place) for place in range(len(told) + _FRONT)]
    done = len(places)
    for name, table in tables.items():
        width = len(table.columns) - _FRONT
        if name in joined:
            places += [(0, place) for place in range(done, done + width)]
            done += width
        elif width:
            places += [(len(selects), place) for place in range(width)]
            selects.append(f"select {', '.join(f'c{place + _FRONT}' for place in range(width))} from {table.sql}")
    return Beside(tuple(selects), tuple(places))


def batches(
    of: engine.Engine, beside: Beside, rows: int
) -> tuple[list[pyarrow.Field], typing.Iterator[list[pyarrow.Array]]]:
    """Return the columns' fields, and their rows, some at a time.

    Raises, while it is read: ``errors.CountError``.
    """
    opened = [of.batches(select, rows) for select in beside.selects]
    fields = [opened[reader][0].field(place) for reader, place in beside.places]
    return fields, _side_by_side([each for _, each in opened], beside)


def _side_by_side(
    readers: typing.Sequence[typing.Iterator[pyarrow.RecordBatch]], beside: Beside
) -> typing.Iterator[list[pyarrow.Array]]:
    waiting: list[pyarrow.RecordBatch | None] = [None] * len(readers)
    while True:
        for place, reader in enumerate(readers):
            if not waiting[place]:
                waiting[place] = next((batch for batch in reader if batch.num_rows), None)
        there = [each for each in waiting if each is not None]
        if not there:
            return
        if len(there) < len(waiting):
            raise errors.CountError("DuckDB gave fewer rows of one designation than of another")
        rows = min(each.num_rows for each in there)
        yield [there[reader].column(place).slice(0, rows) for reader, place in beside.places]
        waiting = [each.slice(rows) if each.num_rows > rows else None for each in there]
