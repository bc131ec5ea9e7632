r"""Spark sorts, on a cluster that exists; what needs no more than a stream of rows, DuckDB does beside its driver.

A sort is what outgrows a machine. Types and parts are made of the sorted rows one after the other, within bounds of
memory, and end in one file: there a cluster wins nothing. So whatever engine sorted, types and parts are the same, and
executors need nothing but Spark.

Spark reads texts and writes lines: no value is converted on the way. A file with line ends in its cells is one task to
it, so files are laid out in pieces before.
"""

from __future__ import annotations

import collections.abc
import contextlib
import functools
import pathlib
import secrets
import shutil
import time
import typing

from ..records import header, pieces
from ..records.scanner import Scanner
from .engine import Engine, EngineError, Rows, Sorted, TypedColumn, TypedRows, layouts

if typing.TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

PIECE = 64 * 1024 * 1024
"""Bytes of a task: 0.4 million rows of 170 bytes. Smaller ones have more tasks to start."""
_BLOCK = 8 * 1024 * 1024
_PREFIX = "modeldata-sort-"
_STALE_SECONDS = 2 * 86400
"""Older than any sort that still runs: whoever made it was killed."""


class Spark:
    """Sorts by Spark, and leaves the rest to the engine of this process."""

    def __init__(self, session: SparkSession, local: Engine, *, scratch: pathlib.Path, exchange: str = "") -> None:
        """Make one.

        Args:
            session: of the cluster.
            local: what does the rest.
            scratch: a directory of this machine, with room for three times a day's files.
            exchange: a directory, as Spark names it, that driver and executors see; without one, ``scratch`` is
                what all of them see, under its path.

        """
        self._session, self._local = session, local
        self._scratch, self._exchange = scratch, exchange.rstrip("/")

    def count(self, sources: typing.Sequence[Rows]) -> int:
        """Return how many rows files have."""
        return self._local.count(sources)

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

        Rows that come late are few, and are compared with those that are closed here.
        """
        if without is not None:
            return self._local.sort(sources, names, keys, into, without=without)
        with _told(), self._shared() as shared:
            frames = []
            for number, (places, paths) in enumerate(layouts(sources).items()):
                first = ",".join(f"f{each}" for each in range(len(places)))
                with pieces.laid_out(shared.sending / str(number), first.encode(), PIECE) as laid:
                    for path in paths:
                        _add(laid, path)
                if laid.count:
                    address = shared.send(str(number))
                    frames.append(_read(self._session, address, places, len(names)))
            parts = []
            if frames:
                rows = functools.reduce(lambda one, other: one.unionAll(other), frames)
                _lines(rows, keys, len(names)).write.text(shared.written, lineSep="\r\n")
                parts = shared.receive()
            return Sorted(_joined(names, parts, into), 0)

    def types(self, rows: Rows, names: typing.Sequence[str], hints: typing.Sequence[str | None]) -> list[str]:
        """Return a type for each column of the day that all its values survive."""
        return self._local.types(rows, names, hints)

    def write_part(
        self,
        rows: Rows,
        typed: typing.Sequence[TypedColumn],
        into: pathlib.Path,
        *,
        metadata: typing.Mapping[str, str],
    ) -> int:
        """Write rows, in their order, as a typed part."""
        return self._local.write_part(rows, typed, into, metadata=metadata)

    @contextlib.contextmanager
    def _shared(self) -> collections.abc.Iterator[_Shared]:
        """Give a place for the files of one sort; nothing of it stays."""
        name = f"{_PREFIX}{secrets.token_hex(8)}"
        folder = self._scratch / name
        address = f"{self._exchange}/{name}" if self._exchange else ""
        shared = _Copied(folder, self._session, address) if address else _Shared(folder)
        try:
            yield shared
        finally:
            shared.clear()


class _Shared:
    """Files in a directory that driver and executors see under one path."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.sending, self._received = folder / "sent", folder / "written"
        self._folder = folder

    @property
    def written(self) -> str:
        """Where Spark writes, as it names it."""
        return f"file://{self._received}"

    def send(self, name: str) -> str:
        """Let the executors see a folder of ``sending``; return how Spark names it."""
        return f"file://{self.sending / name}"

    def receive(self) -> list[pathlib.Path]:
        """Return what was written, in its order; what was sent goes."""
        shutil.rmtree(self.sending)
        return sorted(self._received.glob("part-*"))

    def clear(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Copied(_Shared):
    """Files that are copied to where executors see them, and back, by the drivers that Spark has for storage."""

    def __init__(self, folder: pathlib.Path, session: SparkSession, address: str) -> None:
        super().__init__(folder)
        try:
            machine: typing.Any = session.sparkContext
        except Exception:  # of a kind that only a session of Spark Connect raises
            raise EngineError("Engine", "a session of Spark Connect can't copy files: leave out --exchange") from None
        hadoop = machine._jvm.org.apache.hadoop.fs
        self._path, self._address = hadoop.Path, address
        self._files = self._path(address).getFileSystem(machine._jsc.hadoopConfiguration())
        self._sweep()
        for made in (address, f"{address}/sent"):
            self._files.mkdirs(self._path(made), hadoop.permission.FsPermission("700"))  # rows are for nobody else

    @property
    def written(self) -> str:
        return f"{self._address}/written"

    def send(self, name: str) -> str:
        there = f"{self._address}/sent/{name}"
        self._files.copyFromLocalFile(True, self._path(f"file://{self.sending / name}"), self._path(there))
        return there

    def receive(self) -> list[pathlib.Path]:
        # Without files of checksums beside the copies.
        self._files.copyToLocalFile(True, self._path(self.written), self._path(f"file://{self._received}"), True)
        return super().receive()

    def clear(self) -> None:
        super().clear()
        self._files.delete(self._path(self._address), True)

    def _sweep(self) -> None:
        """Delete what runs that were killed have left."""
        parent, _, _ = self._address.rpartition("/")
        for each in self._files.globStatus(self._path(f"{parent}/{_PREFIX}*")) or []:
            if each.getModificationTime() / 1000 < time.time() - _STALE_SECONDS:
                self._files.delete(each.getPath(), True)


def _add(laid: pieces.Pieces, path: pathlib.Path) -> None:
    try:
        laid.add(path)
    except ValueError as error:
        raise EngineError("Unreadable", f"a raw file can't be read as CSV: {error}") from None


def _read(session: SparkSession, address: str, places: tuple[int, ...], width: int) -> DataFrame:
    """Return the rows of pieces: all the day's columns as texts, under names by their places."""
    from pyspark.sql import functions

    number = {place: number for number, place in enumerate(places)}
    frame = session.read.csv(
        address,
        schema=", ".join(f"f{each} string" for each in range(len(places))),
        header=True,
        multiLine=True,
        lineSep="\r\n",  # without it, CRLF within a cell becomes LF
        escape='"',
        charToEscapeQuoteEscaping='"',  # without it, a NUL before a quotation mark is lost
        nullValue=secrets.token_hex(16),  # a text that no cell holds; without it, an empty text is null
        mode="FAILFAST",
        maxColumns=max(len(places) + 1, 20480),
    )
    cells = [
        frame[f"f{number[place]}"] if place in number else functions.lit(None).cast("string") for place in range(width)
    ]
    return frame.select([cell.alias(f"c{place}") for place, cell in enumerate(cells)])


def _lines(rows: DataFrame, keys: typing.Sequence[int], width: int) -> DataFrame:
    """Return the rows, sorted, as lines of CSV: byte by byte those that DuckDB writes."""
    from pyspark.sql import functions

    key = functions.coalesce(*(rows[f"c{place}"] for place in keys))
    cells = [_written(rows[f"c{place}"]) for place in range(width)]
    return rows.orderBy(key.asc_nulls_last()).select(functions.concat_ws(",", *cells).alias("line"))


def _written(cell: Column) -> Column:
    from pyspark.sql import functions

    quoted = functions.concat(
        functions.lit('"'), functions.replace(cell, functions.lit('"'), functions.lit('""')), functions.lit('"')
    )
    # Nothing is written as nothing, an empty text in quotation marks.
    return functions.when(cell.isNull(), "").when((cell == "") | cell.rlike('[,"#\r\n]'), quoted).otherwise(cell)


def _joined(names: typing.Sequence[str], parts: typing.Sequence[pathlib.Path], into: pathlib.Path) -> int:
    """Write parts one behind the other, under a header; return how many rows they have, by our own count."""
    scanner = Scanner()
    with into.open("wb") as file:
        file.write(header.line(names).encode())
        for each in parts:
            with each.open("rb") as part:
                while block := part.read(_BLOCK):
                    scanner.feed(block)
                    file.write(block)
            each.unlink()
    return scanner.records


@contextlib.contextmanager
def _told() -> collections.abc.Iterator[None]:
    """Raise what Spark raises as an error of ours. Its own messages hold rows."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if "MALFORMED_RECORD" in text or "MALFORMED_CSV" in text:
            raise EngineError("Unreadable", "a raw file can't be read as CSV: its columns are wrong") from None
        if "No space left" in text:
            raise EngineError("DiskFull", "a disk of the cluster is full: give executors more of it") from None
        if "OutOfMemoryError" in text:
            raise EngineError("OutOfMemory", "executors have too little memory: give them more") from None
        if "FileNotFoundException" in text or "PATH_NOT_FOUND" in text or "does not exist" in text:
            raise EngineError(
                "Engine",
                "executors do not see the scratch directory: give them --exchange, a place that all of them see",
            ) from None
        raise EngineError("Engine", f"Spark failed: {type(error).__name__}") from None
