"""Brings what is to be read onto this machine: ranges of raw files behind their headers, closed files as they are."""

from __future__ import annotations

import pathlib
import typing

from ..records import header
from ..records.scanner import Scanner
from ..storage import Blobs, Changed, Missing, headers
from . import coverage, errors

HEADER_BYTES = 4 * 1024 * 1024
"""No header is longer than what one append may hold."""


class Staged(typing.NamedTuple):
    """Rows of one raw file, behind its header."""

    path: pathlib.Path
    header: tuple[str, ...]
    rows: int


class Moved(Exception):  # noqa: N818
    """A file is gone or another one since its day was looked at: look again."""


def tail(store: Blobs, found: coverage.Tail, path: pathlib.Path, *, copy: bool) -> Staged | None:
    """Bring a tail's rows to a path; None where it has none. Rows that are not written to their end are left for later.

    A whole file of this machine is not copied, but read in its place, unless it is asked for (``copy``): it may grow.
    """
    try:
        line = headers.first_line(store, found.name, found.end, most=HEADER_BYTES)
        if line is None:
            return None
        end, local = len(line), store.local(found.name)
        start = max(end, found.start)
        scanner = None
        if local is not None and not copy and found.start <= end:
            scanner = _counted(store.read(found.name, start, found.end))
            if scanner.whole:
                path.symlink_to(local)  # a path of somebody else's may hold what DuckDB takes for a pattern
        if scanner is None or not scanner.whole:
            scanner = _copied(store.read(found.name, start, found.end), path, line)
    except (Missing, Changed) as error:
        raise Moved(str(error)) from None
    return Staged(path, _names(line, found.name), scanner.records) if scanner.records else None


def whole(store: Blobs, found: coverage.Whole, path: pathlib.Path) -> Staged | None:
    """Copy a closed CSV."""
    staged = tail(store, coverage.Tail(found.name, 0, found.size), path, copy=True)
    now = store.entry(found.name)
    if now is None or now[0].etag != found.etag:  # replaced while it was read
        raise Moved(found.name)
    return staged


def part(store: Blobs, found: coverage.Part, path: pathlib.Path) -> None:
    """Bring a Parquet file to a path; where it lies on this machine already, it is not copied: it never changes."""
    local = store.local(found.name)
    if local is not None:
        path.symlink_to(local)  # a path of somebody else's may hold what DuckDB takes for a pattern
        return
    try:
        with path.open("wb") as file:
            for piece in store.read(found.name, 0, found.size):
                file.write(piece)
    except (Missing, Changed) as error:
        raise Moved(str(error)) from None


def _names(line: bytes, file: str) -> tuple[str, ...]:
    try:
        return header.names(line.decode("utf-8", "replace"))
    except ValueError:
        raise errors.ColumnError(f"{file} does not begin with a header") from None


def _counted(pieces: typing.Iterable[bytes]) -> Scanner:
    scanner = Scanner()
    for piece in pieces:
        scanner.feed(piece)
    return scanner


def _copied(pieces: typing.Iterable[bytes], path: pathlib.Path, line: bytes) -> Scanner:
    scanner = Scanner()
    with path.open("wb") as file:
        file.write(line)
        for piece in pieces:
            scanner.feed(piece)
            file.write(piece)
        file.truncate(len(line) + scanner.end)
    return scanner
