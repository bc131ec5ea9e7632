"""Designations joined by ``$RequestId`` into one table: one row each, columns under clear names."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing

from .. import columns
from . import repeats, sources, uniting

How = typing.Literal["left", "inner", "outer"]

_JOINS = {"left": "left", "inner": "inner", "outer": "full"}


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
    columns: sources.Columns


def join(
    tables: typing.Mapping[str, uniting.Table],
    told: typing.Sequence[str],
    *,
    between: Between,
    how: How,
    doubled: bool,
    last: bool,
) -> Joined:
    """Return the tables of designations as one.

    The first designation's rows are those that are asked for; with ``how="outer"`` also those of others that it has
    none for.

    - ``told``: names of what the paths tell of rows; they are part of what rows are joined by.
    - ``doubled``: an id may stand more than once in a designation; its rows are joined in their order in time, so that
      none is multiplied.
    - ``last``: of requests that were repeated keep one row, see ``repeats``.
    """
    keys = [f"t{place}" for place in range(len(told))]
    using = ", ".join([*keys, "id", *(["nth"] if doubled else [])])
    sides = [_side(tables[name], keys, numbered=doubled) for name in tables]
    if how != "outer":
        sides[0] = f"(select * from {sides[0]} where {between.condition('ts')})"
    text = f"{sides[0]} as s0"
    for place, side in enumerate(sides[1:], 1):
        text += f" {_JOINS[how]} join {side} as s{place} using ({using})"

    front = ["$Timestamp", "$CorrelationId", "$RequestId"]
    moments = [dict(table.columns)[front[0]] for table in tables.values()]
    moment = moments[0] if how != "outer" or len(set(moments)) == 1 else columns.TEXT
    times = [
        columns.text(f"s{place}.ts", kind) if kind != moment else f"s{place}.ts" for place, kind in enumerate(moments)
    ]
    correlations = [f"s{place}.correlation" for place in range(len(sides))]
    if how != "outer":
        times, correlations = times[:1], correlations[:1]
    terms = [*keys, f"coalesce({', '.join(times)})", f"coalesce({', '.join(correlations)})", "id"]
    kinds = [*(columns.TEXT for _ in keys), moment, columns.TEXT, columns.TEXT]
    names = [*told, *front]
    shared = _shared(tables)
    for place, (designation, table) in enumerate(tables.items()):
        for column, (name, kind) in enumerate(table.columns):
            if name not in front:
                terms.append(f"s{place}.f{column}")
                kinds.append(kind)
                names.append(f"{name}_{designation}" if name in shared else name)
    selected = ", ".join(f"{term} as o{place}" for place, term in enumerate(terms))
    sql = f"select {selected} from {text}"
    time, request = f"o{len(keys)}", f"o{len(keys) + 2}"
    if last:
        present = " + ".join(f"(s{place}.there is not null)::int" for place in range(len(sides)))
        sql = repeats.only_last(
            f"select {selected}, {present} as present from {text}",
            request,
            time,
            [f"o{place}" for place in range(len(keys))],
        )
    if how == "outer":
        sql = f"select * from ({sql}) where {between.condition(time)}"
    return Joined(sql, tuple(zip(sources.different(names), kinds, strict=True)))


def _shared(tables: typing.Mapping[str, uniting.Table]) -> set[str]:
    """Return the names of columns that more than one designation has."""
    counted = collections.Counter(name for table in tables.values() for name, _ in table.columns)
    return {name for name, count in counted.items() if count > 1}


def _side(table: uniting.Table, keys: typing.Sequence[str], *, numbered: bool) -> str:
    by = ", ".join([*keys, "c2"])
    terms = [*keys, "c2 as id", "c0 as ts", "c1 as correlation", "true as there"]
    if numbered:
        terms.append(f"row_number() over (partition by {by} order by c0) as nth")
    terms += [f"c{place} as f{place}" for place in range(3, len(table.columns))]
    return f"(select {', '.join(terms)} from {table.sql})"
