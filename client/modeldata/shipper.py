"""Who ships, and when: one process of the pod takes all rows from the spool to Blob Storage, in a background thread.

Every process that collects has this thread; the one whose lock on ``spool/.shipper/lock`` holds does the work, for all
processes, dead ones included. When it ends, the next takes over, with its journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import pathlib
import random
import threading
import time
import typing

from . import appender, counters, journal, request, settings, spool, storage, target, text

logger = logging.getLogger("modeldata")

BLOCK_BYTES = 4 * 1024 * 1024
"""What one append may hold: the service's limit before API version 2022-11-02, and enough for 300 MB/s."""

BATCH_BYTES = 2 * 1024 * 1024
"""CSV text taken from the spool at a time: what delivery holds in memory."""

EAGER_BYTES = 1024 * 1024
"""With so much waiting, the flush interval is not waited for."""

TICK_SECONDS = 0.1
SCAN_SECONDS = 0.5
BACKOFF_SECONDS = (0.5, 30.0)


class Shipper:
    """What one process does for in shipping. Threads: ``start`` and the flags by any, the rest by its own thread."""

    def __init__(
        self, directory: pathlib.Path, *, own: str, live: settings.LiveSettings, tally: counters.Counters
    ) -> None:
        self._spool = directory / "spool"
        self._sas_file = directory / "credential" / "sas"
        self._journal_directory = self._spool / ".shipper"
        self._flush_file = self._journal_directory / "flush"
        self._own = own
        self._live = live
        self._counters = tally
        self._lock_file: typing.BinaryIO | None = None
        self._journal: journal.Journal | None = None
        self._appender: appender.Appender | None = None
        self._blobs: storage.Blobs | None = None
        self._segments: dict[str, spool.Segment] = {}
        self._next_scan = 0.0
        self._waiting_since = 0.0
        self._retry_at = 0.0
        self._failures = 0
        self._block = 0
        self._thread: threading.Thread | None = None
        # Plain attributes, no events: they are set in signal handlers, where a lock may be held by the thread below.
        self.hurry = False
        """Ship at once from now on: the process is about to end."""
        self.stop = False
        """End the thread after what it is doing."""
        self.waiting_bytes = 0
        """Bytes in the whole spool that are not delivered, as of the last look."""
        self.used_bytes = 0
        """Bytes of the whole spool on disk, as of the last look."""

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="modeldata-shipper", daemon=True)
        self._thread.start()

    def request_flush(self) -> None:
        """Ask whoever ships, in this process or another, to do it now."""
        with contextlib.suppress(OSError):
            self._journal_directory.mkdir(parents=True, exist_ok=True)
            self._flush_file.touch()

    def is_delivered(self, key: str, offset: int) -> bool:
        """Return whether a segment has been delivered up to an offset."""
        if not offset or not (self._spool / key).exists():
            return True  # a segment is removed only when all of it is delivered
        log = self._journal
        known = log.consumed if log is not None else journal.consumed(self._journal_directory)
        return known.get(key, 0) >= offset

    @property
    def owes(self) -> bool:
        """Whether this process ships, and rows (of other processes too) still wait."""
        return self._lock_file is not None and self.waiting_bytes > 0

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self.stop:
            try:
                self._tick()
            except Exception as error:  # the one place where a fault of ours must not end delivery
                self._counters.complain("shipper", "shipping failed and goes on: %s: %s", type(error).__name__, error)
                logger.debug("modeldata: shipping failed", exc_info=True)
                self._back_off(0.0)
            time.sleep(TICK_SECONDS / 4 if self.hurry else TICK_SECONDS)
        self._resign()

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._retry_at and not self.hurry:
            return
        log = self._journal or self._elect()
        current = self._live.current()
        if current.storage is None:
            return
        asked = log is not None and self._flush_file.exists()
        if now >= self._next_scan or self.hurry or asked:
            self._next_scan = now + SCAN_SECONDS
            self._look(log)
        if log is None:
            return
        if not self.waiting_bytes and log.batch is None:
            self._waiting_since = now
            self._clean(log)
        due = now - self._waiting_since >= current.flush_seconds or self.waiting_bytes >= EAGER_BYTES
        if not (due or asked or self.hurry or log.batch):
            return
        if asked:
            self._flush_file.unlink(missing_ok=True)
        self._waiting_since = now
        while not self.stop and (log.batch is not None or self._take(log, current)):
            if not self._deliver(log, current):
                return
        self._clean(log)
        self._look(log)

    def _elect(self) -> journal.Journal | None:
        self._journal_directory.mkdir(parents=True, exist_ok=True)
        file = (self._journal_directory / "lock").open("ab")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        self._lock_file = file
        self._journal = journal.Journal(self._journal_directory)
        self._waiting_since = time.monotonic()
        return self._journal

    def _resign(self) -> None:
        self._journal = None
        if self._blobs is not None:
            self._blobs.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _look(self, log: journal.Journal | None) -> None:
        consumed = log.consumed if log is not None else journal.consumed(self._journal_directory)
        found = spool.scan(self._spool, self._own)
        self.used_bytes = sum(segment.size for segment in found)
        self.waiting_bytes = sum(max(0, segment.size - consumed.get(segment.key, 0)) for segment in found)

    def _clean(self, log: journal.Journal) -> None:
        """Remove the segments that are delivered and complete."""
        for found in spool.scan(self._spool, self._own):
            offset = log.consumed.get(found.key, 0)
            if not found.complete:
                continue
            reader = self._reader(found)
            if next(iter(reader.read(offset)), None) is not None:
                continue
            if found.size > offset:
                logger.info("modeldata: %d bytes of an unfinished write left out of %s", found.size - offset, found.key)
            found.path.unlink(missing_ok=True)
            self._segments.pop(found.key, None)

    def _take(self, log: journal.Journal, current: settings.Settings) -> bool:
        """Take the next rows from the spool into a batch; return whether there were any."""
        assert current.storage is not None
        builder = _BatchBuilder(current, self._counters)
        upto: dict[str, int] = {}
        for found in spool.scan(self._spool, self._own):
            if builder.bytes >= BATCH_BYTES:
                break
            for record, end in self._reader(found).read(log.consumed.get(found.key, 0)):
                builder.add(record)
                upto[found.key] = end
                if builder.bytes >= BATCH_BYTES:
                    break
        if not upto:
            return False
        log.begin(journal.Batch(request.new_id(), builder.blocks(), upto))
        self._block = 0
        return True

    def _deliver(self, log: journal.Journal, current: settings.Settings) -> bool:
        """Deliver the batch from where it stands; return whether all of it is delivered."""
        batch = log.batch
        assert batch is not None
        assert current.storage is not None
        if log.intent is not None:
            self._block = max(self._block, log.intent.block)
        while self._block < len(batch.blocks):
            block = batch.blocks[self._block]
            if (block.endpoint, block.container) != (current.storage.endpoint, current.storage.container):
                batch = self._move(batch, log, current.storage)
                continue
            try:
                self._appender_for(block, log).deliver(batch, self._block)
            except appender.Later as later:
                if later.reply.answer is storage.Answer.DENIED and self._blobs and self._blobs.refresh_credential():
                    continue
                self._counters.complain(
                    "storage",
                    "%s/%s: %s; rows wait in the spool (%d bytes)",
                    block.endpoint,
                    block.container,
                    later,
                    self.waiting_bytes,
                )
                self._back_off(later.reply.retry_after)
                return False
            self._counters.deliver(block.rows)
            self._block += 1
        self._failures = 0
        if self._counters.quiet("storage"):
            logger.warning("modeldata: rows are delivered again")
        log.finish({found.key for found in spool.scan(self._spool, self._own)})
        return True

    def _move(self, batch: journal.Batch, log: journal.Journal, to: settings.Storage) -> journal.Batch:
        """Send the rest of a batch to another account: the credential for the old one is gone."""
        blocks = tuple(
            dataclasses.replace(block, endpoint=to.endpoint, container=to.container)
            for block in batch.blocks[self._block :]
        )
        logger.warning("modeldata: storage moved to %s/%s; what waits goes there", to.endpoint, to.container)
        moved = journal.Batch(request.new_id(), blocks, batch.upto)
        log.begin(moved)
        self._block = 0
        return moved

    def _appender_for(self, block: journal.Block, log: journal.Journal) -> appender.Appender:
        account = storage.Account(block.endpoint, block.container, self._sas_file)
        if self._blobs is None or self._blobs.account != account or self._appender is None:
            if self._blobs is not None:
                self._blobs.close()
            self._blobs = storage.Blobs(account)
            self._appender = appender.Appender(self._blobs, log)
        return self._appender

    def _reader(self, found: spool.Found) -> spool.Segment:
        return self._segments.setdefault(found.key, spool.Segment(found.key, found.path))

    def _back_off(self, asked: float) -> None:
        first, most = BACKOFF_SECONDS
        pause = min(most, first * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._retry_at = time.monotonic() + max(asked, random.uniform(pause / 2, pause))


class _BatchBuilder:
    """Sorts rows into blocks, one file each, at most BLOCK_BYTES."""

    def __init__(self, current: settings.Settings, tally: counters.Counters) -> None:
        assert current.storage is not None
        self._settings = current
        self._storage = current.storage
        self._counters = tally
        self._open: dict[tuple[str, bytes], list[bytes]] = {}
        self._sizes: dict[tuple[str, bytes], int] = {}
        self._closed: list[journal.Block] = []
        self.bytes = 0

    def add(self, record: spool.Record) -> None:
        csv = text.to_csv(record)
        path = target.directory(record.stream, record.microseconds, self._settings, self._storage.path)
        key = (path, csv.header)
        size = sum(map(len, csv.rows))
        if self._sizes.get(key, 0) + size <= BLOCK_BYTES:
            self._open.setdefault(key, []).extend(csv.rows)
            self._sizes[key] = self._sizes.get(key, 0) + size
            self.bytes += size
            return
        for row in csv.rows:
            if len(row) > BLOCK_BYTES:
                self._counters.drop(counters.Drop.ROW_TOO_LARGE, f"a row of {len(row)} bytes exceeds a block")
                continue
            if self._sizes.get(key, 0) + len(row) > BLOCK_BYTES:
                self._close(key)
            self._open.setdefault(key, []).append(row)
            self._sizes[key] = self._sizes.get(key, 0) + len(row)
            self.bytes += len(row)

    def blocks(self) -> tuple[journal.Block, ...]:
        for key in list(self._open):
            self._close(key)
        return tuple(self._closed)

    def _close(self, key: tuple[str, bytes]) -> None:
        rows = self._open.pop(key)
        self._sizes.pop(key)
        path, header = key
        self._closed.append(
            journal.Block(self._storage.endpoint, self._storage.container, path, header, b"".join(rows), len(rows))
        )
