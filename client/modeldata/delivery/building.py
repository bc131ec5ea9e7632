"""Rows from the spool, sorted into blocks: one file each, whole rows, of at most the size that one append takes."""

from __future__ import annotations

import contextlib
import typing

import orjson

from .. import settings
from ..encoding import csvtext, layout, paths, redaction
from ..observe import counters
from ..spool import records
from ..tables import pieces
from ..threads import turns
from . import batches, headers, matching

BLOCK_BYTES = pieces.ROW_BYTES
"""What one append may hold: the service's limit before API version 2022-11-02, and enough for 300 MB/s."""

_DAY_MICROSECONDS = 86_400_000_000


class _Stream(typing.NamedTuple):
    """What is made once for all records of a stream."""

    stream: records.Stream
    layout: layout.Layout
    paths: dict[int, str]
    """By day."""


class _Open:
    """A block that rows are still added to; at least one."""

    __slots__ = ("bytes", "chunks", "rows", "writers")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.writers: dict[str, None] = {}
        self.bytes = self.rows = 0


class Builder:
    """Takes records in, gives blocks out."""

    def __init__(
        self,
        current: settings.Settings,
        *,
        key: bytes = b"",
        known: headers.Headers | None = None,
        matches: matching.Matching | None = None,
    ) -> None:
        """Begin with no rows.

        Args:
            current: where the rows go, and how they are written.
            key: for redactions by hash; empty where there is none.
            known: the headers so far.
            matches: what was found so far of what is to be redacted.

        """
        assert current.storage is not None
        self._settings = current
        self._storage = current.storage
        self._open: dict[tuple[str, bytes], _Open] = {}
        self._closed: list[batches.Block] = []
        self._key = key
        self._headers = known or headers.Headers()
        self._matches = matches
        self._streams: dict[int, _Stream] = {}
        """By identity: looked up for each record, and comparing all that a stream is takes as long as a row."""
        self.bytes = 0
        """Of text so far."""
        self.writer = ""
        """Whose rows are being added: the name of a process's directory in the spool."""
        self.drops: list[tuple[counters.Drop, str, int]] = []
        """What can't be delivered: why, and how many rows. To be counted when the blocks are taken."""
        self.kept: list[records.Record] = []
        """Of it, what is whole: our own fault."""

    def add(self, found: records.Record | records.Run | None) -> None:
        """Add a record's or a run's rows; what can't be read is left out, or nothing behind it would arrive.

        Raises:
            redaction.KeyMissing: values must be hashed, and there is no key. Nothing of it is added.
            matching.Held: a feature must be found first. As above.

        """
        turns.give_way()
        if found is None:
            self.drops.append((counters.Drop.CORRUPT, "a damaged record in the spool", 1))
        elif isinstance(found, records.Run):
            # All of it is made into text before any is added: a key may be missing in the middle.
            for csv, path in [each for singles in found.by_stream() for each in self._of_singles(singles)]:
                self._put(csv, path)
        else:
            for csv, path in self._of_record(found):
                self._put(csv, path)

    def _of_singles(self, singles: records.Singles) -> list[tuple[csvtext.Csv, str]]:
        """Return the rows' text, and the path of their file."""
        with contextlib.suppress(Exception):  # one by one, then: what can't be written is left out there
            stream = self._streams.get(id(singles.stream)) or self._learn(singles.stream)
            first, last = int(min(singles.microseconds)), int(max(singles.microseconds))
            if first // _DAY_MICROSECONDS == last // _DAY_MICROSECONDS:
                csv, path = csvtext.singles_to_csv(singles, stream.layout), self._path(singles.stream, first, stream)
                if csv is not None and self._headers.admit(path, csv.header):
                    return [(csv, path)]
        return [each for found in singles.records() for each in self._of_record(found)]

    def _of_record(self, found: records.Record) -> list[tuple[csvtext.Csv, str]]:
        """Return the rows' text, and the path of their file; nothing where they are dropped."""
        try:
            stream = self._streams.get(id(found.stream)) or self._learn(found.stream)
            csv, path = csvtext.to_csv(found, stream.layout), self._path(found.stream, found.microseconds, stream)
            if not self._headers.admit(path, csv.header):
                csv = csvtext.to_csv(found, stream.layout._replace(as_json=True))
            if self._settings.redactions and self._matches is not None:
                of = found.stream
                self._matches.look(of.model, of.designation, self._settings.redactions, csv.matched)
            return [(csv, path)]
        except (redaction.KeyMissing, matching.Held):
            raise
        except Exception as error:
            if _is_damaged(found.table):
                self.drops.append((counters.Drop.CORRUPT, "a damaged record in the spool", found.table.rows))
            else:
                detail = f"a record can't be written as CSV, and is kept in spool/.shipper/kept: {type(error).__name__}"
                self.drops.append((counters.Drop.INTERNAL, detail + counters.place(error), found.table.rows))
                self.kept.append(found)
            return []

    def _put(self, csv: csvtext.Csv, path: str) -> None:
        key = (path, csv.header)
        for data, rows in csv.chunks:
            if len(data) > BLOCK_BYTES:
                self.drops.append((counters.Drop.ROW_TOO_LARGE, f"a row of {len(data)} bytes exceeds a block", rows))
                continue
            block = self._open.get(key)
            if block is None:
                block = self._open[key] = _Open()
            elif block.bytes + len(data) > BLOCK_BYTES:
                self._close(key)
                block = self._open[key] = _Open()
            block.chunks.append(data)
            block.writers[self.writer] = None
            block.bytes += len(data)
            block.rows += rows
            self.bytes += len(data)

    def _path(self, of: records.Stream, microseconds: int, stream: _Stream) -> str:
        day = microseconds // _DAY_MICROSECONDS
        path = stream.paths.get(day)
        if path is None:
            path = paths.directory(of, microseconds, self._settings, self._storage.path)
            stream.paths[day] = path
        return path

    def _learn(self, stream: records.Stream) -> _Stream:
        azureml = None
        if self._settings.columns == settings.Columns.AZUREML:
            known = paths.origin(stream, self._settings.origin)
            azureml = (known.whole_workspace.lower(), known.webservice, stream.model, known.model_version)
        demanded = dict.fromkeys((*self._settings.redactions, *stream.redactions))
        learnt = self._streams[id(stream)] = _Stream(stream, layout.Layout(tuple(demanded), self._key, azureml), {})
        return learnt

    def blocks(self) -> tuple[batches.Block, ...]:
        """Return the blocks."""
        for key in list(self._open):
            self._close(key)
        return tuple(self._closed)

    def _close(self, key: tuple[str, bytes]) -> None:
        block = self._open.pop(key)
        path, header = key
        data = b"".join(block.chunks)
        self._closed.append(
            batches.Block(
                self._storage.endpoint,
                self._storage.container,
                path,
                header,
                data,
                block.rows,
                writers=tuple(filter(None, block.writers)),
            )
        )


def _is_damaged(table: pieces.Table) -> bool:
    """Return whether it is the disk's fault that it can't be written: an array has a checksum, JSON its grammar."""
    if table.encoding is pieces.Encoding.ARRAY:
        return False
    try:
        found = orjson.loads(table.payload)
    except ValueError:
        return True
    return not isinstance(found, list) or len(found) != table.rows
