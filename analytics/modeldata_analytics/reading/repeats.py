"""Requests that were tried again, and so may stand in the table more than once.

- ``<id>.attempt<n>``: a proxy's n-th try of a request (docs/client.md).
- ``<id>.<n>``: a client's further try with the same id, or what a script collected a second time in one request. Which
  of the two, nobody can tell; it counts where ``<id>`` itself is there.
- The same id twice: a further try that came to another process.
"""

from __future__ import annotations

import typing

from . import engine, uniting

_AGAIN = r"\.(attempt)?[0-9]+(-[0-9]+)?$"
_ATTEMPT = r"\.attempt[0-9]+(\.[0-9]+)?(-[0-9]+)?$"
_SUFFIXES = r"(\.(attempt)?[0-9]+)+(-[0-9]+)?$"


class RepeatsWarning(UserWarning):
    """Some rows may be of requests that were tried again."""


class Repeats(typing.NamedTuple):
    """Rows of a designation that may repeat others."""

    same: int = 0
    """Whose id stands there once more."""
    attempts: int = 0
    """``<id>.attempt<n>``."""
    parts: int = 0
    """``<id>.<n>``, where ``<id>`` is there too."""

    @property
    def any(self) -> int:
        """All of them."""
        return sum(self)


def find(of: engine.Engine, table: uniting.Table, told: int, *, same: bool) -> Repeats:
    """Return how many rows of a designation may repeat others; ``same``: ids that stand twice, too."""
    keys = ", ".join([*(f"t{place}" for place in range(told)), "c2"])
    (dotted,) = of.numbers(f"select count(*) filter (contains(c2, '.')) from {table.sql}")
    twice = attempts = parts = 0
    if same:
        # By a hash: texts take four times as long, and where two ids share one they are looked at.
        (different,) = of.numbers(f"select count(distinct hash({keys})) from {table.sql}")
        if different < table.rows:
            (twice,) = of.numbers(f"select {table.rows} - count(*) from (select distinct {keys} from {table.sql})")
    if dotted:
        (attempts,) = of.numbers(f"select count(*) from {table.sql} where regexp_matches(c2, '{_ATTEMPT}')")
        (parts,) = of.numbers(
            f"select count(*) from {table.sql} where not regexp_matches(c2, '{_ATTEMPT}')"
            f" and regexp_matches(c2, '{_AGAIN}') and {_stripped('c2')} in (select c2 from {table.sql})"
        )
    return Repeats(twice, attempts, parts)


def only_last(select: str, *, request: str, time: str, keys: typing.Sequence[str]) -> str:
    """Return a SELECT that keeps one row of each request: of those with most designations (``present``) the last."""
    again = (
        f"regexp_matches({request}, '{_ATTEMPT}')"
        f" or (regexp_matches({request}, '{_AGAIN}') and {_stripped(request)} in (select {request} from joined))"
    )
    by = ", ".join([*keys, f"case when {again} then {_stripped(request)} else {request} end"])
    return (
        f"with joined as materialized ({select}) select * exclude (present) from joined"
        f" qualify row_number() over (partition by {by} order by present desc, {time} desc, {request} desc) = 1"
    )


def said(found: typing.Mapping[str, Repeats]) -> str:
    """Return what to say of them; empty where there are none."""
    lines = []
    for designation, each in found.items():
        counts = [
            (each.same, "have an id that stands there before"),
            (each.attempts, "are attempts (<id>.attempt<n>)"),
            (each.parts, "are further tries or parts of a request (<id>.<n>)"),
        ]
        told = [f"{count:,} {what}" for count, what in counts if count]
        if told:
            lines.append(f"of {designation}, {', '.join(told)}")
    return f"rows of requests that may have been tried again: {'; '.join(lines)}" if lines else ""


def _stripped(request: str) -> str:
    return f"regexp_replace({request}, '{_SUFFIXES}', '\\3')"
