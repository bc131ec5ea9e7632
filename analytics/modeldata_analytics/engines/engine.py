"""What an engine does with a day's rows. It is told where each column of a file belongs, and sees no name of one."""

from __future__ import annotations

import pathlib
import typing


class EngineError(Exception):
    """An engine could not do it. No message holds a value."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """``Unreadable``, ``OutOfMemory``, ``DiskFull`` or ``Engine``."""


class Rows(typing.NamedTuple):
    """A CSV as the client writes it, with its header. Texts and nulls, ``""`` and nothing, are what they are."""

    path: pathlib.Path
    places: tuple[int, ...]
    """Where each of its columns stands among those of the day."""


def layouts(sources: typing.Sequence[Rows]) -> dict[tuple[int, ...], list[pathlib.Path]]:
    """Return files by where their columns stand: those of one layout are read together."""
    found: dict[tuple[int, ...], list[pathlib.Path]] = {}
    for each in sources:
        found.setdefault(each.places, []).append(each.path)
    return found


class TypedColumn(typing.NamedTuple):
    """A column of a typed part."""

    name: str
    type: str
    guarded: bool = False
    """Whether some texts don't fit the type: they are null, and lie in the column ``columns.RESCUED``."""


class TypedRows(typing.NamedTuple):
    """Typed parts with rows that are closed already."""

    paths: tuple[pathlib.Path, ...]
    columns: tuple[TypedColumn, ...]
    """How columns of the day look when they are typed, in the day's order."""


class Sorted(typing.NamedTuple):
    """What came of sorting."""

    rows: int
    """Written."""
    dropped: int
    """Left out, as they are closed already."""


class Engine(typing.Protocol):
    """A few operations; each returns how many rows it saw, which the caller compares with its own count.

    They raise ``EngineError``.
    """

    def count(self, sources: typing.Sequence[Rows]) -> int:
        """Return how many rows files have."""

    def sort(
        self,
        sources: typing.Sequence[Rows],
        names: typing.Sequence[str],
        keys: typing.Sequence[int],
        into: pathlib.Path,
        *,
        without: Rows | TypedRows | None = None,
    ) -> Sorted:
        """Write the rows of files into one, sorted, under one header.

        Args:
            sources: the files.
            names: the day's columns.
            keys: by the first of these columns that is not null rows are sorted, byte by byte.
            into: the file that is made.
            without: rows that are equal in all cells to one of these are left out.

        """

    def types(self, rows: Rows, names: typing.Sequence[str], hints: typing.Sequence[str | None]) -> list[str]:
        """Return a type for each column of the day that all its values survive; a hint is kept where they do."""

    def write_part(
        self,
        rows: Rows,
        typed: typing.Sequence[TypedColumn],
        into: pathlib.Path,
        *,
        metadata: typing.Mapping[str, str],
    ) -> int:
        """Write rows, in their order, as a typed part with this key-value metadata; return how many."""
