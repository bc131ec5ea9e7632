"""Shows what a store holds: each designation of each version of a model, from when to when, and what of it is closed.

No row is read for it. Rows are counted where all are closed; for others only reading tells.
Exit code 0: shown; 1: a manifest is damaged; 2: wrong usage; 3: storage refuses, or does not answer.
"""

from __future__ import annotations

import argparse
import typing

from ..days import template
from ..reading import listing
from . import asking, storing

NAME = "streams"
HELP = "show what a store holds"

_HEAD = (
    *("WORKSPACE", "WEBSERVICE", "MODEL", "VERSION", "DESIGNATION"),
    *("FIRST", "LAST", "DAYS", "ROWS", "FILES", "SIZE", "CLOSED THROUGH"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    asking.add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show it; return the exit code."""

    def work() -> None:
        found = listing.streams(storing.open_store(arguments), arguments.path, template.Wanted())
        if not found:
            print(f"nothing was collected below {arguments.path.text}")
            return
        for line in aligned([_HEAD, *map(_line, found)]):
            print(line)

    return asking.run(NAME, work)


def aligned(rows: typing.Sequence[typing.Sequence[str]]) -> list[str]:
    """Return rows as lines, columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _line(of: listing.Stream) -> tuple[str, ...]:
    rows = f"{of.rows:,}" if of.rows is not None else f"{of.closed_rows:,} + ?" if of.closed_rows else "?"
    return (
        dict(of.stream.fields).get("workspace", "-"),
        of.stream.webservice,
        of.stream.model,
        of.stream.version,
        of.stream.designation,
        str(of.first),
        str(of.last),
        str(of.days),
        rows,
        str(of.files),
        _size(of.bytes),
        str(of.closed_through or "-"),
    )


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count //= 1024
    return f"{count:,} GiB"
