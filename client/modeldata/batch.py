"""Rows from the spool, sorted into blocks: one file each, whole rows, of at most the size that one append takes."""

from __future__ import annotations

from . import counters, journal, record, redaction, settings, target, text, turns

BLOCK_BYTES = 4 * 1024 * 1024
"""What one append may hold: the service's limit before API version 2022-11-02, and enough for 300 MB/s."""

_DAY_MICROSECONDS = 86_400_000_000


class Builder:
    """Takes records in, gives blocks out."""

    def __init__(self, current: settings.Settings, tally: counters.Counters, *, key: bytes = b"") -> None:
        """Begin with no rows.

        Args:
            current: where the rows go, and how they are written.
            tally: counts what can't be delivered.
            key: for redactions by hash; empty where there is none.

        """
        assert current.storage is not None
        self._settings = current
        self._storage = current.storage
        self._counters = tally
        self._open: dict[tuple[str, bytes], list[bytes]] = {}
        self._sizes: dict[tuple[str, bytes], int] = {}
        self._rows: dict[tuple[str, bytes], int] = {}
        self._closed: list[journal.Block] = []
        self._key = key
        self._paths: dict[tuple[record.Stream, int], str] = {}
        self._layouts: dict[record.Stream, text.Layout] = {}
        self.bytes = 0

    def add(self, found: record.Record | None) -> None:
        """Add a record's rows; one that can't be read is counted and left out, or nothing behind it would arrive.

        Raises:
            redaction.KeyMissing: values must be hashed, and there is no key. Nothing of the record is added.

        """
        turns.give_way()
        if found is None:
            self._counters.drop(counters.Drop.CORRUPT, "a damaged record in the spool")
            return
        try:
            csv, path = text.to_csv(found, self._layout(found.stream)), self._path(found)
        except redaction.KeyMissing:
            raise
        except Exception as error:
            self._counters.drop(counters.Drop.CORRUPT, f"a record is no CSV: {type(error).__name__}", found.table.rows)
            return
        key = (path, csv.header)
        data = "".join(csv.rows).encode()
        if self._sizes.get(key, 0) + len(data) <= BLOCK_BYTES:
            self._append(key, data, len(csv.rows))
            return
        for row in csv.rows:
            data = row.encode()
            if len(data) > BLOCK_BYTES:
                self._counters.drop(counters.Drop.ROW_TOO_LARGE, f"a row of {len(data)} bytes exceeds a block")
                continue
            if self._sizes.get(key, 0) + len(data) > BLOCK_BYTES:
                self._close(key)
            self._append(key, data, 1)

    def _append(self, key: tuple[str, bytes], data: bytes, rows: int) -> None:
        self._open.setdefault(key, []).append(data)
        self._sizes[key] = self._sizes.get(key, 0) + len(data)
        self._rows[key] = self._rows.get(key, 0) + rows
        self.bytes += len(data)

    def _path(self, found: record.Record) -> str:
        key = (found.stream, found.microseconds // _DAY_MICROSECONDS)
        path = self._paths.get(key)
        if path is None:
            path = target.directory(found.stream, found.microseconds, self._settings, self._storage.path)
            self._paths[key] = path
        return path

    def _layout(self, stream: record.Stream) -> text.Layout:
        layout = self._layouts.get(stream)
        if layout is None:
            azureml = None
            if self._settings.columns is settings.Columns.AZUREML:
                known = target.identity(stream, self._settings.identity)
                azureml = (known.whole_workspace.lower(), known.webservice, stream.model, known.model_version)
            demanded = dict.fromkeys((*self._settings.redactions, *stream.redactions))
            layout = self._layouts[stream] = text.Layout(tuple(demanded), self._key, azureml)
        return layout

    def blocks(self) -> tuple[journal.Block, ...]:
        """Return the blocks."""
        for key in list(self._open):
            self._close(key)
        return tuple(self._closed)

    def _close(self, key: tuple[str, bytes]) -> None:
        pieces = self._open.pop(key, [])
        self._sizes.pop(key, None)
        rows = self._rows.pop(key, 0)
        if not rows:  # an append of nothing is an error
            return
        path, header = key
        self._closed.append(
            journal.Block(self._storage.endpoint, self._storage.container, path, header, b"".join(pieces), rows)
        )
