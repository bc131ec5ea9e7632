"""Who ships, and when: one process of the pod takes all rows from the spool to Blob Storage, in a background thread.

Every process that collects has this thread; the one whose lock on ``spool/.shipper/lock`` holds does the work, for all
processes, dead ones included. When it ends, the next takes over, with its journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import pathlib
import random
import threading
import time
import typing

from . import appender, batch, counters, journal, request, settings, spool, storage

logger = logging.getLogger("modeldata")

BATCH_BYTES = 2 * 1024 * 1024
"""CSV text taken from the spool at a time: what delivery holds in memory."""

EAGER_BYTES = 1024 * 1024
"""With so much waiting, the flush interval is not waited for."""

TICK_SECONDS = 0.25
HURRIED_TICK_SECONDS = 0.05
SCAN_SECONDS = 1.0
"""How often the spool is looked through, at most: with the ticks, what an idle process costs (0.1 % of a core)."""

BACKOFF_SECONDS = (0.5, 30.0)
HURRIED_BACKOFF_SECONDS = 0.25
MOST_BACKOFF_SECONDS = 300.0
"""However long the service asks to wait."""

_jitter = random.Random()  # not the module's generator, which is the model's


class Shipper:
    """One process's share of the shipping. ``start``, ``wake`` and the flags are for all threads, the rest for one."""

    def __init__(
        self, directory: pathlib.Path, *, own: str, live: settings.LiveSettings, tally: counters.Counters
    ) -> None:
        self._spool = directory / "spool"
        self._sas_file = directory / "credential" / "sas"
        self._journal_directory = self._spool / ".shipper"
        self._flush_file = self._journal_directory / "flush"
        self.own = own
        """The name of this process's directory in the spool."""
        self._live = live
        self._counters = tally
        self._lock_file: typing.BinaryIO | None = None
        self._journal: journal.Journal | None = None
        self._appender: appender.Appender | None = None
        self._blobs: storage.Blobs | None = None
        self._segments: dict[str, spool.Segment] = {}
        self._turn = ""
        self._next_scan = 0.0
        self._next_start = 0.0
        self._waiting_since = 0.0
        self._retry_at = self._failed_at = 0.0
        self._failed_under: object = None
        self._failures = 0
        self._block = 0
        # Plain attributes and a bare lock, no events: they are used in signal handlers, and an event's own lock may be
        # held by the very thread that the handler interrupted.
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self.hurry_until = 0.0
        """Until this time (monotonic), ship at once: the process is about to end."""
        self.stop = False
        """End the thread after what it is doing."""
        self.running = False
        """Whether the thread runs."""
        self.ticks = 0
        """How often the thread has looked after everything."""
        self.waiting_bytes = 0
        """Bytes in the whole spool that are not delivered, as of the last look."""
        self.used_bytes = (0, 0)
        """Bytes of the whole spool on disk as of the last look, and ``written()`` before that look."""
        self.written: typing.Callable[[], int] = lambda: 0
        """How much this process has written so far."""

    def start(self) -> bool:
        """Start the thread; return whether it runs. Where no thread can be had, it is for a call a second later."""
        if self.running:
            return True
        now = time.monotonic()
        if now < self._next_start:
            return False
        self.stop, self.running = False, True
        try:
            threading.Thread(target=self._run, name=storage.SHIPPER_THREAD, daemon=True).start()
        except RuntimeError as error:
            self.running, self._next_start = False, now + 1.0
            self._counters.complain("thread", "no shipper thread, rows wait in the spool: %s", error)
        return self.running

    def hurry(self, seconds: float) -> None:
        """Ship at once for some time. Takes no lock: signal handlers call it."""
        self.hurry_until = time.monotonic() + seconds
        self.wake()

    def wake(self) -> None:
        """End the thread's present pause."""
        with contextlib.suppress(RuntimeError):  # it does not pause
            self._asleep.release()

    def request_flush(self) -> None:
        """Ask whoever ships, in this process or another, to do it now."""
        with contextlib.suppress(OSError):
            self._journal_directory.mkdir(parents=True, exist_ok=True)
            self._flush_file.touch()
        self.wake()

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
        return self._lock_file is not None and self.waiting_bytes > 0 and self._live.current().storage is not None

    def _run(self) -> None:
        try:
            while not self.stop:
                try:
                    self._tick()
                except Exception as error:  # the one place where a fault of ours must not end delivery
                    # The error's text stays out of the log: it may hold rows, or a URL with its signature.
                    self._counters.complain(
                        "shipper", "shipping failed and goes on: %s%s", type(error).__name__, _place(error)
                    )
                    self._back_off(0.0, None)
                self.ticks += 1
                hurried = time.monotonic() < self.hurry_until
                self._asleep.acquire(timeout=HURRIED_TICK_SECONDS if hurried else TICK_SECONDS)
            self._resign()
        finally:
            self.running = False

    def _tick(self) -> None:
        now = time.monotonic()
        hurried = now < self.hurry_until
        current = self._live.current()
        asked = self._journal is not None and os.path.exists(self._flush_file)  # noqa: PTH110 (ten times a second)
        if now >= self._next_scan or hurried or asked:
            self._next_scan = now + max(TICK_SECONDS, min(SCAN_SECONDS, current.flush_seconds / 2))
            if self._journal is None:
                self._elect()
            self._look()
            if not self.waiting_bytes:
                self._waiting_since = now
        log = self._journal
        if log is None or current.storage is None or self._must_wait(now, hurried, current):
            return
        log.save()
        due = now - self._waiting_since >= current.flush_seconds or self.waiting_bytes >= EAGER_BYTES
        if not (due or asked or hurried or log.batch):
            return
        if asked:
            self._flush_file.unlink(missing_ok=True)
        self._waiting_since = now
        while not self.stop and (log.batch is not None or self._take(log, current)):
            if not self._deliver(log, current):
                return
            if time.monotonic() >= self._next_scan:  # rows may come as fast as they go: the spool must shrink meanwhile
                self._next_scan = time.monotonic() + SCAN_SECONDS
                self._clean(log)
                self._look()
        self._clean(log)
        self._look()

    def _elect(self) -> None:
        self._journal_directory.mkdir(parents=True, exist_ok=True)
        # Not to be opened again while it is held: closing any descriptor of a file gives up all POSIX locks on it.
        file = (self._journal_directory / "lock").open("ab")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return
        try:
            self._journal = journal.Journal(self._journal_directory)
        except Exception:
            file.close()
            raise
        self._lock_file = file
        self._block = 0
        self._waiting_since = time.monotonic()

    def _resign(self) -> None:
        self._journal = self._appender = None
        if self._blobs is not None:
            self._blobs.close()
            self._blobs = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _look(self) -> None:
        log = self._journal
        consumed = log.consumed if log is not None else journal.consumed(self._journal_directory)
        written = self.written()
        found = spool.scan(self._spool, self.own)
        self.used_bytes = (sum(segment.size for segment in found), written)
        self.waiting_bytes = sum(max(0, segment.size - consumed.get(segment.key, 0)) for segment in found)

    def _clean(self, log: journal.Journal) -> None:
        """Remove the segments that are delivered and complete."""
        for found in spool.scan(self._spool, self.own):
            if not found.complete:
                continue
            offset = log.consumed.get(found.key, 0)
            try:
                if next(self._reader(found).read(offset), None) is not None:
                    continue
            except OSError:
                continue
            if found.size > offset:
                logger.info("modeldata: %d bytes of an unfinished write left out of %s", found.size - offset, found.key)
            found.path.unlink(missing_ok=True)
            self._segments.pop(found.key, None)

    def _take(self, log: journal.Journal, current: settings.Settings) -> bool:
        """Take the next rows from the spool into a batch; return whether there were any."""
        assert current.storage is not None
        builder = batch.Builder(current, self._counters)
        upto: dict[str, int] = {}
        for found in self._in_turn():
            if builder.bytes >= BATCH_BYTES:
                break
            try:
                for record, end in self._reader(found).read(log.consumed.get(found.key, 0)):
                    builder.add(record)
                    upto[found.key] = end
                    if builder.bytes >= BATCH_BYTES:
                        break
            except OSError as error:
                self._counters.complain("segment", "%s can't be read: %s", found.key, error.strerror)
        if not upto:
            return False
        self._turn = next(reversed(upto)).partition("/")[0]
        log.begin(journal.Batch(request.new_id(time.time_ns() // 1000), builder.blocks(), upto))
        self._block = 0
        return True

    def _in_turn(self) -> list[spool.Found]:
        """Return the segments, first those of the process behind the last batch's: none waits for a busy one."""
        found = spool.scan(self._spool, self.own)
        later = [each for each in found if each.key.partition("/")[0] > self._turn]
        return later + [each for each in found if each.key.partition("/")[0] <= self._turn]

    def _deliver(self, log: journal.Journal, current: settings.Settings) -> bool:
        """Deliver the batch from where it stands; return whether all of it is delivered."""
        taken = log.batch
        assert taken is not None
        assert current.storage is not None
        if log.intent is not None:
            self._block = max(self._block, log.intent.block)
        while self._block < len(taken.blocks):
            block = taken.blocks[self._block]
            moved = (block.endpoint, block.container) != (current.storage.endpoint, current.storage.container)
            if moved and (log.intent is None or log.intent.block != self._block):
                taken = self._move(taken, log, current.storage)
                continue
            try:
                self._appender_for(block, log).deliver(taken, self._block)
            except appender.Later as later:
                if moved:  # tried there before, perhaps applied: asked once more, as far as the credential reaches
                    taken = self._move(taken, log, current.storage)
                    continue
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
                self._back_off(later.reply.retry_after, current)
                return False
            self._counters.deliver(block.rows)
            self._block += 1
        self._failures = 0
        if self._counters.quiet("storage"):
            logger.warning("modeldata: rows are delivered again")
        log.finish({found.key for found in spool.scan(self._spool, self.own)})
        return True

    def _move(self, taken: journal.Batch, log: journal.Journal, to: settings.Storage) -> journal.Batch:
        """Send the rest of a batch to another account: the credential for the old one is gone."""
        blocks = tuple(
            dataclasses.replace(block, endpoint=to.endpoint, container=to.container)
            for block in taken.blocks[self._block :]
        )
        logger.warning("modeldata: storage moved to %s/%s; what waits goes there", to.endpoint, to.container)
        moved = journal.Batch(request.new_id(time.time_ns() // 1000), blocks, taken.upto)
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

    def _back_off(self, asked: float, current: settings.Settings | None) -> None:
        first, most = BACKOFF_SECONDS
        pause = min(most, first * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._failed_at = time.monotonic()
        self._retry_at = self._failed_at + min(MOST_BACKOFF_SECONDS, max(asked, _jitter.uniform(pause / 2, pause)))
        self._failed_under = self._circumstances(current)

    def _must_wait(self, now: float, hurried: bool, current: settings.Settings) -> bool:
        until = min(self._retry_at, self._failed_at + HURRIED_BACKOFF_SECONDS) if hurried else self._retry_at
        # A new SAS or new settings are a reason to try at once.
        return now < until and (self._failed_under is None or self._circumstances(current) == self._failed_under)

    def _circumstances(self, current: settings.Settings | None) -> object:
        if current is None:
            return None
        try:
            status = os.stat(self._sas_file)  # noqa: PTH116
        except OSError:
            return (current, None)
        return (current, status.st_ino, status.st_mtime_ns)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {pathlib.Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
