"""Rows as JSON: where a day has too many headers, the feature ``row`` holds a row's features as an object."""

from __future__ import annotations

import typing

from .. import columns
from . import engine, sources

ROW = ("row", 0)


def expanded(
    of: engine.Engine, source: sources.Source, *, others: bool
) -> tuple[sources.Source | None, sources.Source | None]:
    """Return the rows that are as they stand, and those whose objects were made columns of texts.

    A feature of a model may be called ``row`` too: its rows are objects only where all other features are empty, and
    other features are known (``others``: in other files).
    """
    features = {name: f"c{place}" for place, (name, _) in enumerate(source.columns) if name not in sources.STANDARD}
    if ROW not in features or dict(source.columns)[ROW] != columns.TEXT or (len(features) == 1 and not others):
        return source, None
    cell = features.pop(ROW)
    terms = [f"coalesce(case when json_valid({cell}) then json_type({cell}) = 'OBJECT' end, false)"]
    condition = " and ".join([*terms, *(f"{each} is null" for each in features.values())])
    (count,) = of.numbers(f"select count(*) from {source.sql} where {condition}")
    if not count or (not features and count < source.rows):
        return source, None
    made = [
        (name, columns.text(f"c{place}", kind))
        for place, (name, kind) in enumerate(source.columns)
        if name in sources.STANDARD
    ]
    for key in _keys(of, source, cell, condition):
        made.append(((key, 0), f"json_extract_string({cell}, {sources.pointer(key)})"))
    selected = ", ".join(f"{term} as c{place}" for place, (_, term) in enumerate(made))
    objects = source._replace(
        sql=f"(select {selected} from {source.sql} where {condition})",
        columns=tuple((name, columns.TEXT) for name, _ in made),
        rows=count,
    )
    if count == source.rows:
        return None, objects
    rest = source._replace(sql=f"(select * from {source.sql} where not ({condition}))", rows=source.rows - count)
    return rest, objects


def _keys(of: engine.Engine, source: sources.Source, cell: str, condition: str) -> list[str]:
    keys = f"select distinct unnest(json_keys({cell})) as key from {source.sql} where {condition}"
    (found,) = of.ask(f"select list(key order by key) from ({keys})")
    return [key for key in typing.cast("list[str] | None", found) or [] if (key, 0) not in sources.STANDARD]
