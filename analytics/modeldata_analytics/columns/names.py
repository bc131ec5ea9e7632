"""Columns by name: those of several files put together, and what they are called in a table of typed parts."""

from __future__ import annotations

import collections
import typing

KEYS = ("$RequestId", "$aml_request_id")
"""What identifies a row, in each of the two layouts."""

RESCUED = "$Rescued"
"""The column of typed parts with the texts that don't fit their column's type, as an object by the column's name."""

_TAKEN = (RESCUED, "version", "day")
"""Names that no collected column has in a table: of the column above, and of what stands in the parts' folders."""


def occurrences(names: typing.Sequence[str]) -> list[tuple[str, int]]:
    """Return each name with its number among those that are the same: columns of one name stay two."""
    seen: collections.Counter[str] = collections.Counter()
    found = []
    for name in names:
        found.append((name, seen[name]))
        seen[name] += 1
    return found


def union(*headers: typing.Sequence[str]) -> list[str]:
    """Return the columns of several files, put together by name: the first one's, then what the next ones add."""
    found = dict.fromkeys(each for names in headers for each in occurrences(names))
    return [name for name, _ in found]


def places(names: typing.Sequence[str], among: typing.Sequence[str]) -> tuple[int, ...]:
    """Return where each column of a file stands in the union."""
    where = {each: place for place, each in enumerate(occurrences(among))}
    return tuple(where[each] for each in occurrences(names))


def tabled(names: typing.Sequence[str]) -> list[str]:
    """Return what columns are called in a table: made different where readers of tables are blind to case.

    Columns that are added behind others leave theirs as they are.
    """
    taken = {each.lower() for each in _TAKEN}
    found = []
    for place, name in enumerate(names):
        wanted = name or f"column_{place}"
        free, number = wanted, 0
        while free.lower() in taken:
            number += 1
            free = f"{wanted}_{number}"
        taken.add(free.lower())
        found.append(free)
    return found
