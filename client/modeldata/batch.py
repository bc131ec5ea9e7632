"""Rows from the spool, sorted into blocks: one file each, whole rows, of at most the size that one append takes."""

from __future__ import annotations

import typing

from . import counters, journal, record, redaction, settings, target, text, turns

BLOCK_BYTES = 4 * 1024 * 1024
"""What one append may hold: the service's limit before API version 2022-11-02, and enough for 300 MB/s."""

_DAY_MICROSECONDS = 86_400_000_000


class _Stream(typing.NamedTuple):
    """What is made once for all records of a stream."""

    stream: record.Stream
    layout: text.Layout
    paths: dict[int, str]
    """By day."""


class _Open:
    """A block that rows are still added to; at least one."""

    __slots__ = ("bytes", "chunks", "rows")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.bytes = self.rows = 0


class Builder:
    """Takes records in, gives blocks out."""

    def __init__(self, current: settings.Settings, *, key: bytes = b"") -> None:
        """Begin with no rows.

        Args:
            current: where the rows go, and how they are written.
            key: for redactions by hash; empty where there is none.

        """
        assert current.storage is not None
        self._settings = current
        self._storage = current.storage
        self._open: dict[tuple[str, bytes], _Open] = {}
        self._closed: list[journal.Block] = []
        self._key = key
        self._streams: dict[int, _Stream] = {}
        """By identity: looked up for each record, and comparing all that a stream is takes as long as a row."""
        self.bytes = 0
        """Of text so far."""
        self.drops: list[tuple[counters.Drop, str, int]] = []
        """What can't be delivered: why, and how many rows. To be counted when the blocks are taken."""

    def add(self, found: record.Record | None) -> None:
        """Add a record's rows; one that can't be read is left out, or nothing behind it would arrive.

        Raises:
            redaction.KeyMissing: values must be hashed, and there is no key. Nothing of the record is added.

        """
        turns.give_way()
        if found is None:
            self.drops.append((counters.Drop.CORRUPT, "a damaged record in the spool", 1))
            return
        try:
            stream = self._streams.get(id(found.stream)) or self._learn(found.stream)
            csv, path = text.to_csv(found, stream.layout), self._path(found, stream)
        except redaction.KeyMissing:
            raise
        except Exception as error:
            self.drops.append((counters.Drop.CORRUPT, f"a record is no CSV: {type(error).__name__}", found.table.rows))
            return
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
            block.bytes += len(data)
            block.rows += rows
            self.bytes += len(data)

    def _path(self, found: record.Record, stream: _Stream) -> str:
        day = found.microseconds // _DAY_MICROSECONDS
        path = stream.paths.get(day)
        if path is None:
            path = target.directory(found.stream, found.microseconds, self._settings, self._storage.path)
            stream.paths[day] = path
        return path

    def _learn(self, stream: record.Stream) -> _Stream:
        azureml = None
        if self._settings.columns is settings.Columns.AZUREML:
            known = target.identity(stream, self._settings.identity)
            azureml = (known.whole_workspace.lower(), known.webservice, stream.model, known.model_version)
        demanded = dict.fromkeys((*self._settings.redactions, *stream.redactions))
        learnt = self._streams[id(stream)] = _Stream(stream, text.Layout(tuple(demanded), self._key, azureml), {})
        return learnt

    def blocks(self) -> tuple[journal.Block, ...]:
        """Return the blocks."""
        for key in list(self._open):
            self._close(key)
        return tuple(self._closed)

    def _close(self, key: tuple[str, bytes]) -> None:
        block = self._open.pop(key)
        path, header = key
        data = b"".join(block.chunks)
        self._closed.append(
            journal.Block(self._storage.endpoint, self._storage.container, path, header, data, block.rows)
        )
