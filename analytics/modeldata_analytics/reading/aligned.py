"""Designations side by side, without a join: one pod's files, and closed days, are in the order of their requests.

Of 2.5 million predictions, the join's table of ids takes 250 MB, and a third of all the time of a closed day. What has
other rows, as labels have, is looked up by the request's id once the first designation's are there.
"""

from __future__ import annotations

import dataclasses
import typing

from . import engine, errors, frames, repeats, sources, uniting

if typing.TYPE_CHECKING:
    import pyarrow

_FRONT = len(sources.LEADING)


@dataclasses.dataclass(frozen=True)
class Select:
    """The rows of a designation."""

    sql: str
    features: tuple[int, ...]
    """Which columns it gives to the table."""
    keys: tuple[int, ...]
    """Which of its columns are equal to the first designation's where rows are of one request."""
    proof: int | None
    """The column that says whether each row's texts survive their types."""
    looked_up: bool
    """Whether it has other rows than the first one, or another order."""


def selects(tables: typing.Mapping[str, uniting.Table], told: int, apart: typing.Collection[str]) -> tuple[Select, ...]:
    """Return the designations' rows: those with as many as the first one are taken to be in its order.

    Raises ``errors.DoubtfulError``: others can't be looked up by the request alone.
    """
    first = next(iter(tables))
    made = []
    for name, table in tables.items():
        looked_up = table.rows != tables[first].rows
        if looked_up and told and name in apart:
            raise errors.DoubtfulError("some requests have inputs and no predictions, and there are several versions")
        features = [f"c{place}" for place in range(_FRONT, len(table.columns))]
        keys = _keys(told, by_told=name == first or name in apart)
        front = [*_keys(told, by_told=True)[:-1], "c0", "c1", "c2"] if name == first else keys
        terms = [*front, *features, *([] if table.proved else ["fits"])]
        made.append(
            Select(
                f"select {', '.join(terms)} from {table.sql}",
                tuple(range(0 if name == first else len(front), len(front) + len(features))),
                tuple(front.index(each) for each in keys),
                None if table.proved else len(terms) - 1,
                looked_up,
            )
        )
    return tuple(made)


def columns(of: engine.Engine, wanted: tuple[Select, ...], rows: int) -> list[typing.Any]:
    """Return the columns of the table that ``joining.join`` would make, as pandas has them.

    Raises ``errors.DoubtfulError``, ``errors.CountError``.
    """
    import pyarrow

    beside = [select for select in wanted if not select.looked_up]
    opened = [of.batches(select.sql, BATCH_ROWS) for select in beside]
    kinds = [
        schema.field(place).type
        for (schema, _), select in zip(opened, beside, strict=True)
        for place in select.features
    ]
    found = frames.collected(_side_by_side([each for _, each in opened], beside), kinds, rows)
    ids = pyarrow.chunked_array(pyarrow.array(found[wanted[0].keys[-1]]))
    if len(ids) != rows:
        raise errors.CountError(f"DuckDB gave {len(ids)} of {rows} rows")
    if not repeats.are_plain(of, ids):
        raise errors.DoubtfulError("requests may have been tried again")
    made: list[typing.Any] = []
    for select in wanted:
        if select.looked_up:
            made += _looked_up(of, select, ids)
        else:
            made += found[: len(select.features)]
            del found[: len(select.features)]
    return made


BATCH_ROWS = 100_000


def _keys(told: int, *, by_told: bool) -> list[str]:
    return [*(f"t{place}" for place in range(told if by_told else 0)), "c2"]


def _looked_up(of: engine.Engine, select: Select, ids: pyarrow.ChunkedArray) -> list[typing.Any]:
    """Return a designation's columns for these requests."""
    import pyarrow
    from pyarrow import compute

    schema, batches = of.batches(select.sql, BATCH_ROWS)
    found = pyarrow.Table.from_batches(batches, schema)
    theirs = found.column(select.keys[-1])
    if not repeats.are_plain(of, theirs):
        raise errors.DoubtfulError("requests may have been tried again")
    places = compute.index_in(ids, value_set=theirs)
    kinds = [schema.field(place).type for place in select.features]
    taken = found.select(list(select.features)).combine_chunks()
    batch = (taken.take(chunk) for chunk in places.chunks)
    return frames.collected(([column.combine_chunks() for column in each.columns] for each in batch), kinds, len(ids))


def _side_by_side(
    readers: typing.Sequence[typing.Iterator[pyarrow.RecordBatch]], wanted: typing.Sequence[Select]
) -> typing.Iterator[list[pyarrow.Array]]:
    waiting: list[pyarrow.RecordBatch | None] = [None] * len(readers)
    while True:
        for place, reader in enumerate(readers):
            if waiting[place] is None:
                waiting[place] = next((batch for batch in reader if batch.num_rows), None)
        there = [each for each in waiting if each is not None]
        if not there:
            return
        if len(there) < len(waiting):
            raise errors.DoubtfulError("DuckDB gave fewer rows of one designation than of another")
        rows = min(each.num_rows for each in there)
        now = [each.slice(0, rows) for each in there]
        for select, batch in zip(wanted, now, strict=True):
            _prove(select, batch, wanted[0], now[0])
        yield [batch.column(place) for select, batch in zip(wanted, now, strict=True) for place in select.features]
        waiting = [each.slice(rows) if each.num_rows > rows else None for each in there]


def _prove(select: Select, batch: pyarrow.RecordBatch, first: Select, of_first: pyarrow.RecordBatch) -> None:
    from pyarrow import compute

    ours = first.keys[-len(select.keys) :]
    if any(not of_first.column(one).equals(batch.column(other)) for one, other in zip(ours, select.keys, strict=True)):
        raise errors.DoubtfulError("designations are not in one order")
    if select.proof is not None and not compute.all(batch.column(select.proof)).as_py():
        raise errors.DoubtfulError("a value does not survive its type")
