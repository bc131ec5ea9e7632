"""Sources with different columns as one table: columns by their names, each with one type that all values survive."""

from __future__ import annotations

import typing

from .. import columns
from ..engines import dialect
from . import engine, errors, sources

_WHOLE = 2**53
"""Up to here each whole number is a double."""


class Table(typing.NamedTuple):
    """Rows of several sources."""

    sql: str
    """What may stand after FROM. Its columns are ``t0``, … for what paths tell, then ``c0``, ``c1``, …"""
    columns: sources.Columns
    rows: int
    proved: bool = True
    """If not, there is a column ``fits`` too, see ``sources.Source``; and rows were not counted by the engine."""


def unite(
    of: engine.Engine,
    texts: typing.Sequence[sources.Source],
    closed: typing.Sequence[sources.Source],
    *,
    proved: bool,
) -> Table:
    """Return rows of raw files and closed ones as one table; if not proved, raw files are read when the table is.

    Raises ``errors.CountError``, ``errors.DoubtfulError``.
    """
    hints = {name: kind for source in closed for name, kind in source.columns if kind != columns.TEXT}
    if proved or not texts:
        found = [*closed, *_typed(of, texts, hints)]
    else:
        guessed = _kinds(of, texts, hints, columns.SAMPLE)
        found = [*closed, *(engine.cast(source, guessed) for source in texts)]
    names = list(dict.fromkeys(name for source in found for name, _ in source.columns))
    kinds = {name: _common(of, name, found) for name in names}
    proved = all(source.proved for source in found)
    sql = " union all ".join(_selected(source, kinds, proved=proved) for source in found)
    return Table(f"({sql})", tuple(kinds.items()), sum(source.rows for source in found), proved)


def _typed(
    of: engine.Engine, texts: typing.Sequence[sources.Source], hints: typing.Mapping[sources.Name, str]
) -> list[sources.Source]:
    if not texts:
        return []
    # Most guesses are right: then all is read once, each value proved on its way.
    made: list[sources.Source] = []
    for limit in (columns.SAMPLE, None):
        kinds = _kinds(of, texts, hints, limit)
        found = [of.typed(source, kinds) for source in texts]
        made = [each for each in found if each is not None]
        if len(made) == len(texts):
            break
    assert len(made) == len(texts)
    return made


def _kinds(
    of: engine.Engine,
    texts: typing.Sequence[sources.Source],
    hints: typing.Mapping[sources.Name, str],
    limit: int | None,
) -> dict[sources.Name, str]:
    """Return a type for each column of all sources of texts, of so many rows of each of them."""
    names = list(dict.fromkeys(name for source in texts for name, _ in source.columns))
    # By place: to DuckDB names that differ only in upper and lower case are one.
    chosen = {f"n{place}": name for place, name in enumerate(names) if name[0] not in columns.IDS}
    selects = []
    for source in texts:
        there = {name: f"c{place}" for place, (name, _) in enumerate(source.columns)}
        terms = ", ".join(f"{there.get(name, 'null::varchar')} as {place}" for place, name in chosen.items())
        selects.append(f"(select {terms} from {source.sql}{f' limit {limit}' if limit else ''})")
    if not chosen:
        return dict.fromkeys(names, columns.TEXT)
    placed = {place: hints[name] for place, name in chosen.items() if name in hints}
    found = columns.choose(of.ask, f"({' union all '.join(selects)})", list(chosen), placed)
    return {**dict.fromkeys(names, columns.TEXT), **{chosen[place]: kind for place, kind in found.items()}}


def _common(of: engine.Engine, name: sources.Name, found: typing.Sequence[sources.Source]) -> str:
    """Return the type that a column has in all sources; text where they differ, and a value would not survive."""
    having = [
        (source, f"c{place}", kind)
        for source in found
        for place, (each, kind) in enumerate(source.columns)
        if each == name
    ]
    if len({kind for *_, kind in having}) == 1:
        return having[0][2]
    if not all(source.proved for source, *_ in having):
        raise errors.DoubtfulError("a column has several types")
    # A column that was empty for a day is text on that day, whatever it is on others.
    having = [(source, place, kind) for source, place, kind in having if of.count(source, place)]
    kinds = {kind for *_, kind in having}
    if kinds == {"BIGINT", "DOUBLE"}:
        integers = [(source, place) for source, place, kind in having if kind == "BIGINT"]
        if all(_are_doubles(of, source, place) for source, place in integers):
            return "DOUBLE"
    return kinds.pop() if len(kinds) == 1 else columns.TEXT


def _are_doubles(of: engine.Engine, source: sources.Source, place: str) -> bool:
    (good,) = of.ask(f"select bool_and({place} between {-_WHOLE} and {_WHOLE}) from {source.sql}")
    return bool(good)


def _selected(source: sources.Source, kinds: typing.Mapping[sources.Name, str], *, proved: bool) -> str:
    there = {name: (f"c{place}", kind) for place, (name, kind) in enumerate(source.columns)}
    terms = [f"{dialect.literal(value)} as t{place}" for place, value in enumerate(source.told)]
    for place, (name, kind) in enumerate(kinds.items()):
        term = f"cast(null as {kind})"
        if name in there:
            column, given = there[name]
            term = (
                column
                if given == kind
                else columns.text(column, given)
                if kind == columns.TEXT
                else (f"cast({column} as {kind})")
            )
        terms.append(f"{term} as c{place}")
    if not proved:
        terms.append("true as fits" if source.proved else "fits")
    return f"select {', '.join(terms)} from {source.sql}"
