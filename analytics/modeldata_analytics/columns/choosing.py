"""Finds each column's type: guessed from some rows, proved by all."""

from __future__ import annotations

import typing

from . import types

Ask = typing.Callable[[str], typing.Sequence[object]]
"""Runs a query, and returns its one row."""

SAMPLE = 2_000
"""Rows from which types are guessed. A wrong guess costs another pass over the column, and nothing else."""


def choose(ask: Ask, table: str, names: typing.Sequence[str], hints: typing.Mapping[str, str]) -> dict[str, str]:
    """Return a type for each column of a table of texts.

    ``table`` is SQL that may stand after FROM, and is read more than once; ``hints`` are types that columns had before:
    they are kept where all values survive them, so that days have the same types. A column without a value is text,
    unless it has a hint.
    """
    left = {name: _candidates(name, hints.get(name)) for name in names}
    guessed = _verdicts(ask, f"(select * from {table} limit {SAMPLE})", left)
    left = {name: [kind for kind in kinds if guessed[name, kind] is not False] for name, kinds in left.items()}
    chosen: dict[str, str] = {}
    while left:
        first = {name: kinds[:1] for name, kinds in left.items()}
        for (name, kind), good in _verdicts(ask, table, first).items():
            if good:
                chosen[name] = kind
            elif good is None:  # no value at all
                chosen[name] = hints.get(name, types.TEXT)
        left = {name: kinds[1:] for name, kinds in left.items() if name not in chosen}
    return {name: chosen[name] for name in names}


def _candidates(name: str, hint: str | None) -> list[str]:
    if name in types.IDS:
        return [types.TEXT]
    return [*([hint] if hint in types.TYPES else []), *(kind for kind in types.TYPES if kind != hint)]


def _verdicts(
    ask: Ask, table: str, kinds: typing.Mapping[str, typing.Sequence[str]]
) -> dict[tuple[str, str], bool | None]:
    """Return whether all values of a column survive a type; None where it has no value."""
    asked = [(name, kind) for name, each in kinds.items() for kind in each]
    proved = {(name, kind): True for name, kind in asked if kind == types.TEXT}
    tested = [pair for pair in asked if pair not in proved]
    if not tested:
        return dict(proved)
    terms = ", ".join(f"bool_and({types.fits(types.quoted(name), kind)})" for name, kind in tested)
    answer = ask(f"select {terms} from {table}")
    return {**proved, **{pair: None if good is None else bool(good) for pair, good in zip(tested, answer, strict=True)}}
