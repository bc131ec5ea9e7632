"""When rows are shipped: one process of the pod takes all from the spool to Blob Storage, in a background thread.

Every process that collects has this thread; the one that is elected does the work, for all processes, dead ones
included. When it ends, the next takes over, with its journal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import threading
import time
import typing

from .. import settings
from ..observe import counters
from ..spool import segments, sharing, waiting
from ..threads import forking, names
from . import backoff, election, untraced
from .azure import answers, refusal

if typing.TYPE_CHECKING:
    from . import elected

logger = logging.getLogger("modeldata")

EAGER_BYTES = 1024 * 1024
"""With so much waiting, the flush interval is not waited for."""

TICK_SECONDS = 0.25
HURRIED_TICK_SECONDS = 0.05
SCAN_SECONDS = 1.0
"""How often the spool is looked through, at most: with the ticks, what an idle process costs (0.1 % of a core)."""

ASKED_SECONDS = 3.0
"""So long who asked for a flush gets rows too that were too young to be taken at once."""

ASIDE_SECONDS = 5.0
"""How long blocks that were set aside are tried in a row."""


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
        self._election = election.Election(
            self._spool,
            sas_file=self._sas_file,
            own=self._own_name,
            live=live,
            tally=tally,
            stopped=lambda: self.stop,
        )
        self._backoff = backoff.Backoff()
        self._onlooker = waiting.Onlooker(self._spool, self._own_name)
        self._owed_bytes = 0
        self._next_scan = 0.0
        self._next_start = 0.0
        self._waiting_since = 0.0
        self._occasion: tuple[object, float] | None = None
        self._asked_until = 0.0
        # Plain attributes and a bare lock, no events: they are used in signal handlers, and an event's own lock may be
        # held by the very thread that the handler interrupted.
        self._thread: threading.Thread | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self._only = threading.Lock()
        """Held by the thread: two of them would send the same rows."""
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
        self.oldest_waiting = 0.0
        """When the oldest row that waits was collected, as of the last look; seconds since the epoch, 0 for none."""
        self.seen = waiting.Waiting()
        """The last look."""
        self.written: typing.Callable[[], int] = lambda: 0
        """How much this process has written so far."""
        self.ticked: typing.Callable[[], None] = lambda: None
        """Called by the thread each time it has looked after everything."""
        self.looked: typing.Callable[[int], None] = lambda _: None
        """Called by the thread after each look at the spool, with ``written()`` before that look."""

    def start(self) -> bool:
        """Start the thread; return whether it runs. Where no thread can be had, it is for a call a second later.

        Nor is one started in a process that would hand a part of it on to all of its workers: they have their own.
        """
        if self.running:
            return True
        if forking.is_master():
            return False
        now = time.monotonic()
        if now < self._next_start:
            return False
        if not self._only.acquire(blocking=False):  # another thread has come first, or a signal handler in between
            return True
        self.stop, self.running = False, True
        try:
            self._thread = threading.Thread(target=self._run, name=names.SHIPPER, daemon=True)
            self._thread.start()
        except RuntimeError as error:
            self.running, self._next_start, self._thread = False, now + 1.0, None
            self._only.release()
            self._counters.complain("thread", "no shipper thread, rows wait in the spool: %s", error)
        return self.running

    def join(self, seconds: float) -> bool:
        """Wait until the thread has ended, after ``stop``; return whether it has."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, seconds))
        return thread is None or not thread.is_alive()

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
            sharing.make(self._journal_directory)
            os.close(sharing.create(self._flush_file, os.O_WRONLY))
        self.wake()

    def is_delivered(self, key: str, offset: int) -> bool:
        """Return whether a segment has been delivered up to an offset."""
        if not offset or not (self._spool / key).exists():
            return True  # a segment is removed only when all of it is delivered
        return self._consumed().get(key, 0) >= offset

    def has_rows_aside(self) -> bool:
        """Return whether rows that this process collected were set aside, as storage refuses them."""
        with forking.gate.here():
            from . import aside  # not in each model's own start
        return aside.holds(self._journal_directory / "aside", self.own)

    @property
    def ships(self) -> bool:
        """Whether it is this process that ships, for all of the pod."""
        return self._election.is_won

    @property
    def owes(self) -> bool:
        """Whether this process ships, and rows (of other processes too) still wait."""
        return self.ships and self._owed_bytes > 0 and self._live.latest.storage is not None

    def _run(self) -> None:
        try:
            while not self.stop:
                try:
                    self._tick()
                except Exception as error:  # the one place where a fault of ours must not end delivery
                    self._complain(error)
                    self._backoff.fail(asked=0.0, under=None)
                self.ticks += 1
                try:
                    self.ticked()
                except Exception as error:  # as above
                    self._complain(error)
                hurried = time.monotonic() < self.hurry_until
                self._asleep.acquire(timeout=HURRIED_TICK_SECONDS if hurried else TICK_SECONDS)
            self._election.resign()
        finally:
            self.running = False
            self._live.look_at = 0  # the next collect() looks, and starts another
            self._only.release()

    def _complain(self, error: Exception) -> None:
        # The error's text stays out of the log: it may hold rows, or a URL with its signature.
        self._counters.complain(
            "shipper", "shipping failed and goes on: %s%s", type(error).__name__, counters.place(error)
        )

    def _tick(self) -> None:
        now = time.monotonic()
        hurried = now < self.hurry_until
        current = self._live.current()
        asked = self.ships and os.path.exists(self._flush_file)  # noqa: PTH110 (ten times a second)
        if now >= self._next_scan or hurried or asked:
            self._look_after_all(now, current)
        ours = self._election.delivery
        if ours is None or current.storage is None:
            return
        # Who asks for a flush may have mended what kept blocks apart; and so may new settings, or a new SAS. A process
        # that ends has no time for what storage does not answer: the others' rows would be late.
        under = self._circumstances(current)
        occasion = (under, self.hurry_until)
        if asked or occasion != self._occasion:
            ours.try_all_again(silent=self._occasion is None or occasion[0] != self._occasion[0])
            self._occasion = occasion
        if self._backoff.must_wait(now, hurried=hurried, under=under):
            return
        if not (asked or hurried or self._is_due(now, ours, current)):
            return
        if asked:
            self._asked_until = now + ASKED_SECONDS
            with contextlib.suppress(OSError):
                self._flush_file.unlink(missing_ok=True)
        self._waiting_since = now
        self._try(ours, current, current.storage)

    def _look_after_all(self, now: float, current: settings.Settings) -> None:
        """Stand for election if nobody ships, and look what waits."""
        self._next_scan = now + max(TICK_SECONDS, min(SCAN_SECONDS, current.flush_seconds / 2))
        try:
            if self._election.stand(now):
                self._waiting_since = time.monotonic()
        except OSError as error:
            self._counters.complain("journal", "rows wait, as the spool can't be changed: %s", error.strerror)
        self._look()
        if not self._owed_bytes:
            self._waiting_since = now
            if self.ships and self.seen.newer_lives:  # who knows all formats can ship for all
                self._election.stand_down(now)

    def _is_due(self, now: float, ours: elected.Delivery, current: settings.Settings) -> bool:
        """Return whether there is something to send, and it has waited for as long as is asked for."""
        pause = max(current.flush_seconds, ours.pace(time.time()))
        if now - self._waiting_since >= pause or self._owed_bytes >= EAGER_BYTES:
            return True
        asked_lately = now < self._asked_until and ours.holds
        return bool(asked_lately or ours.journal.batch or ours.tries_again())

    def _try(self, ours: elected.Delivery, current: settings.Settings, to: settings.Storage) -> None:
        """Ship; where that fails, say why, and leave storage or shipping alone for a while."""
        try:
            with untraced.thread():
                self._ship(ours, current)
        except answers.Stopped:
            return
        except answers.NotDone as undone:
            cause = refusal.cause(undone.reply)
            self._counters.complain(
                f"storage {cause.value}",
                "%s/%s: %s; rows wait in the spool (%d bytes): %s",
                to.endpoint,
                to.container,
                undone,
                self.waiting_bytes,
                cause.way_out,
            )
            self._backoff.fail(asked=undone.reply.retry_after, under=self._circumstances(current))
        except ImportError as error:
            # Such as of a library that is loaded in one interpreter of a process alone: another may have it.
            self._counters.complain(
                "sdk",
                "this process can't ship, and leaves it to the others: %s%s",
                type(error).__name__,
                counters.place(error),
            )
            self._election.stand_down(time.monotonic())
        except OSError as error:
            # Where it can't be noted what is sent, nothing is: a shipper that is killed would send it again.
            self._counters.complain("journal", "rows wait, as the spool can't be changed: %s", error.strerror)
            self._backoff.fail(asked=0.0, under=self._circumstances(current))

    def _ship(self, ours: elected.Delivery, current: settings.Settings) -> None:
        goal = {each.key: each.size for each in segments.scan(self._spool, self._own_name)}
        while not self.stop and ours.ship(current):
            self._backoff.recover()
            if self._counters.quiet("storage"):
                logger.warning("modeldata: rows are delivered again")
            # What came meanwhile waits for its own interval: else a busy process never rests and makes a block of every
            # few rows (measured: 75 blocks a second, so a file's 50,000 in 11 minutes, and a quarter of the requests).
            if self._is_reached(goal, ours):
                break
            if time.monotonic() >= self._next_scan:  # rows may come as fast as they go: the spool must shrink meanwhile
                self._next_scan = time.monotonic() + SCAN_SECONDS
                ours.clean()
                self._look()
        # Others' rows have come meanwhile: what is left is due again at once, behind them.
        until = time.monotonic() + ASIDE_SECONDS
        while not self.stop and time.monotonic() < until and ours.ship_aside(current):
            pass
        ours.clean()
        self._look()
        if self.seen.newer_lives:
            self._election.stand_down(time.monotonic())

    def _is_reached(self, goal: dict[str, int], ours: elected.Delivery) -> bool:
        """Return whether all up to these sizes of segments is delivered, and not much is behind it."""
        known = ours.journal.consumed
        found = [each for each in ours.found if each.key not in ours.unreadable]
        waiting = sum(max(0, each.size - known.get(each.key, 0)) for each in found)
        return waiting < EAGER_BYTES and all(known.get(each.key, 0) >= goal.get(each.key, 0) for each in found)

    def _own_name(self) -> str:
        return self.own

    def _look(self) -> None:
        written = self.written()
        ours = self._election.delivery
        unreadable = ours.unreadable if ours is not None else ()
        seen = self._onlooker.look(consumed=self._consumed(), unreadable=unreadable)
        self.seen = seen
        self.waiting_bytes, self._owed_bytes, self.oldest_waiting = seen.bytes, seen.owed_bytes, seen.oldest
        if seen.newer_bytes:
            self._counters.complain(
                "newer",
                "%d bytes of the spool wait for a process with a newer version of this package",
                seen.newer_bytes,
            )
        self.looked(written)

    def _consumed(self) -> dict[str, int]:
        ours = self._election.delivery
        if ours is not None:
            return ours.journal.consumed
        with forking.gate.here():
            from . import journal  # as aside
        return journal.consumed(self._journal_directory)

    def _circumstances(self, current: settings.Settings) -> object:
        """Return what is a reason to try at once where it changes: new settings, or a new SAS."""
        try:
            status = os.stat(self._sas_file)  # noqa: PTH116
        except OSError:
            return (current, None)
        return (current, status.st_ino, status.st_mtime_ns)
