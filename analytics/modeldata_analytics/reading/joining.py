"""Designations joined by ``$RequestId`` into one table: one row each, columns under clear names."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing

from .. import columns
from . import engine, repeats, sources, uniting

_FRONT = len(sources.LEADING)


@dataclasses.dataclass(frozen=True)
class Between:
    """When rows were collected."""

    since: datetime.datetime | None = None
    before: datetime.datetime | None = None
    """Itself not included."""

    def condition(self, moment: str) -> str:
        """Return it as SQL."""
        terms = []
        if self.since is not None:
            terms.append(f"try_cast({moment} as timestamptz) >= timestamptz '{self.since.isoformat()}'")
        if self.before is not None:
            terms.append(f"try_cast({moment} as timestamptz) < timestamptz '{self.before.isoformat()}'")
        return " and ".join(terms) or "true"


@dataclasses.dataclass(frozen=True)
class Joined:
    """One table, as a SELECT whose columns are ``o0``, ``o1``, …"""

    sql: str
    columns: tuple[tuple[str, str], ...]
    """Names, all different, and types."""

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        return [name for name, _ in self.columns]


def join(
    tables: typing.Mapping[str, uniting.Table],
    told: typing.Sequence[str],
    *,
    between: Between,
    apart: typing.Collection[str],
    doubled: bool,
    last: bool,
) -> Joined:
    """Return one row for each row of the first designation, with what the others have of the same request.

    - ``told``: names of what the paths tell of rows.
    - ``apart``: designations of which rows are joined by that too, and not by the request alone.
    - ``doubled``: an id may stand more than once in a designation; its rows are joined in their order in time, so that
      none is multiplied.
    - ``last``: of requests that were repeated keep one row, see ``repeats``.
    """
    keys = [f"t{place}" for place in range(len(told))]
    by = {name: keys if name in apart or not place else [] for place, name in enumerate(tables)}
    sides = [_side(table, by[name], numbered=doubled) for name, table in tables.items()]
    text = f"(select * from {sides[0]} where {between.condition('ts')}) as s0"
    for place, name in enumerate(tables):
        if place:
            equal = [f"s0.{each} = s{place}.{each}" for each in [*by[name], "id", *(["nth"] if doubled else [])]]
            text += f" left join {sides[place]} as s{place} on {' and '.join(equal)}"

    terms = [*(f"s0.{each}" for each in keys), "s0.ts", "s0.correlation", "s0.id"]
    moment = next(iter(tables.values())).columns[0][1]
    kinds = [*(columns.TEXT for _ in keys), moment, columns.TEXT, columns.TEXT]
    names = [*told, *(name for name, _ in sources.LEADING)]
    shared = _shared(tables)
    for place, (designation, table) in enumerate(tables.items()):
        for column, ((name, _), kind) in enumerate(table.columns[_FRONT:], _FRONT):
            terms.append(f"s{place}.f{column}")
            kinds.append(kind)
            names.append(f"{name}_{designation}" if name in shared else name)
    selected = ", ".join(f"{term} as o{place}" for place, term in enumerate(terms))
    sql = f"select {selected} from {text}"
    if last:
        present = " + ".join(f"(s{place}.there is not null)::int" for place in range(len(tables)))
        sql = repeats.only_last(
            f"select {selected}, {present} as present from {text}",
            request=f"o{len(keys) + 2}",
            time=f"o{len(keys)}",
            keys=[f"o{place}" for place in range(len(keys))],
        )
    return Joined(sql, tuple(zip(different(names), kinds, strict=True)))


def count(of: engine.Engine, first: uniting.Table, between: Between) -> int:
    """Return how many rows there are of the first designation."""
    if between == Between():
        return first.rows
    return of.numbers(f"select count(*) from {first.sql} where {between.condition('c0')}")[0]


def different(names: typing.Sequence[str], *, key: typing.Callable[[str], str] = str) -> list[str]:
    """Return names of which the second of one name has ``_1`` behind it, and so on."""
    given, taken = {key(name) for name in names}, set[str]()
    made = []
    for name in names:
        other, number = name, 0
        while key(other) in taken or (number and key(other) in given):
            number += 1
            other = f"{name}_{number}"
        taken.add(key(other))
        made.append(other)
    return made


def _shared(tables: typing.Mapping[str, uniting.Table]) -> set[str]:
    """Return the names of columns that more than one designation has."""
    counted = collections.Counter(
        name for table in tables.values() for name in {name for (name, _), _ in table.columns}
    )
    return {name for name, count in counted.items() if count > 1}


def _side(table: uniting.Table, keys: typing.Sequence[str], *, numbered: bool) -> str:
    by = ", ".join([*keys, "c2"])
    terms = [*keys, "c2 as id", "c0 as ts", "c1 as correlation", "true as there"]
    if numbered:
        terms.append(f"row_number() over (partition by {by} order by c0) as nth")
    terms += [f"c{place} as f{place}" for place in range(_FRONT, len(table.columns))]
    return f"(select {', '.join(terms)} from {table.sql})"
