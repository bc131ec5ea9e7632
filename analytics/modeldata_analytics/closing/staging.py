"""Bytes of stored files in the scratch directory, counted on the way."""

from __future__ import annotations

import concurrent.futures
import pathlib
import typing

from ..days import manifest
from ..records import header, identity
from ..records.scanner import Scanner, end_of
from ..storage import Blobs, headers
from .plan import DayError, Tail

AT_ONCE = 4
"""Files that are fetched at a time: of thousands of small ones, each request is waited for."""
_MOST_HEADER_BYTES = 64 * 1024 * 1024

Arrived = typing.Callable[[int], None]
"""Is told of bytes as they arrive, from several threads."""


class Staged(typing.NamedTuple):
    """A range of a raw file, on this disk behind the file's header."""

    range: manifest.Range
    names: tuple[str, ...]
    path: pathlib.Path


def stage(store: Blobs, tails: typing.Sequence[Tail], folder: pathlib.Path, arrived: Arrived) -> list[Staged]:
    """Fetch the whole rows of tails; those without any are left out. Raises ``DayError`` and ``StorageError``."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        work = [
            pool.submit(_stage, store, tail, folder / f"range-{number}.csv", arrived)
            for number, tail in enumerate(tails)
        ]
        try:
            found = [each.result() for each in work]
        finally:
            for each in work:
                each.cancel()
    return [each for each in found if each.range.rows]


def fetch(store: Blobs, name: str, size: int, into: pathlib.Path, arrived: Arrived) -> Scanner:
    """Fetch a whole file; return what was counted."""
    scanner = Scanner()
    with into.open("wb") as file:
        for piece in store.read(name, 0, size):
            scanner.feed(piece)
            file.write(piece)
            arrived(len(piece))
    return scanner


def names(line: bytes, file: str) -> tuple[str, ...]:
    """Return the columns that a header names. Raises ``DayError``."""
    try:
        return header.names(line.decode())
    except ValueError:
        raise DayError("Unreadable", f"{file} does not begin with a header") from None


def count(path: pathlib.Path) -> int:
    """Return how many rows a CSV on this disk has. Raises ``DayError`` where its end is torn."""
    scanner = Scanner()
    with path.open("rb") as file:
        while piece := file.read(8 * 1024 * 1024):
            scanner.feed(piece)
    if not scanner.whole:
        raise DayError("Engine", "the engine wrote a file whose end is torn")
    return scanner.records - 1


def _stage(store: Blobs, tail: Tail, into: pathlib.Path, arrived: Arrived) -> Staged:
    scanner, first = Scanner(), tail.first
    with into.open("w+b") as file:
        line = _header(store, tail) if tail.start else b""
        file.write(line)
        for piece in store.read(tail.name, tail.start, tail.end):
            scanner.feed(piece)
            file.write(piece)
            arrived(len(piece))
        # In a directory, an append may be seen half: what is not a whole row has its turn when it is.
        file.truncate(len(line) + scanner.end)
        rows = scanner.records
        if not tail.start:
            line = _first_line(file) if rows else b""
            file.seek(0)
            first, rows = identity.first(file.read(identity.BYTES)), max(rows - 1, 0)
    found = manifest.Range(tail.last, tail.created, first, tail.start, tail.start + scanner.end, rows)
    return Staged(found, names(line, tail.name) if rows else (), into)


def _header(store: Blobs, tail: Tail) -> bytes:
    found = headers.first_line(store, tail.name, tail.start, most=_MOST_HEADER_BYTES)
    if found is None:
        raise DayError("Unreadable", f"{tail.name} does not begin with a header")
    return found


def _first_line(file: typing.BinaryIO) -> bytes:
    length = identity.BYTES
    while True:
        file.seek(0)
        found = file.read(length)
        end = end_of(found, 1)
        if end is not None:
            return found[:end]
        length *= 8
