"""What this process has of the way from ``collect()`` to Blob Storage: settings, a spool writer, a shipper.

Made at the first collector, and made anew in a forked child: threads, locks and connections do not survive a fork.
"""

from __future__ import annotations

import logging
import os
import pathlib
import secrets
import threading
import time

from . import counters, record, settings, shipper, spool, target

logger = logging.getLogger("modeldata")

DIRECTORY_VARIABLE = "MODELDATA_DIR"
_POLL_SECONDS = 0.02


class Pipeline:
    """One process's pipeline."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.pid = os.getpid()
        self.counters = counters.Counters()
        self.live = settings.LiveSettings(directory / "settings" / "settings.json")
        self._spool = directory / "spool"
        self._writer: spool.Writer | None = None
        # Re-entrant: a signal handler may collect while its thread is in here.
        self._lock = threading.RLock()
        self._writing = False
        self._used: tuple[int, int] | None = None
        self._full_at = 0
        """How much this process's writer may have written when the spool is full."""
        self._interrupting: list[tuple[record.Stream, bytes, int]] = []
        self.shipper = shipper.Shipper(directory, own="", live=self.live, tally=self.counters)
        self.shipper.written = self._written

    def write(self, stream: record.Stream, line: bytes, rows: int) -> None:
        """Put a record into the spool; when this returns, it is there or counted as dropped.

        But for a signal handler that interrupts this very method: the interrupted call then writes both.

        Args:
            stream: its stream.
            line: see ``record``.
            rows: how many rows are in it.

        """
        with self._lock:
            if self._writing:
                self._interrupting.append((stream, line, rows))
                return
            self._writing = True
            try:
                if not self.shipper.running:
                    self.shipper.start()
                writer = self._writer or self._open_writer()
                if self._used is not self.shipper.used_bytes:
                    self._measure_room()
                if writer.written + len(line) > self._full_at:
                    self._refuse_as_full(rows)
                else:
                    writer.write(stream, line)
                    self.counters.accepted += rows
            except OSError as error:
                self._write_again(error, stream, line, rows)
            finally:
                self._writing = False
            while self._interrupting:
                self.write(*self._interrupting.pop(0))

    def _measure_room(self) -> None:
        self._used = self.shipper.used_bytes
        used, written = self._used
        self._full_at = self.live.latest.spool_bytes - used + written

    def _refuse_as_full(self, rows: int) -> None:
        limit = self.live.latest.spool_bytes
        self.counters.drop(counters.Drop.SPOOL_FULL, f"the spool may hold {limit} bytes, and does", rows)

    def _write_again(self, error: OSError, stream: record.Stream, line: bytes, rows: int) -> None:
        if isinstance(error, FileNotFoundError):  # somebody removed this process's directory: a new one, then
            self._writer = None
            try:
                self._open_writer().write(stream, line)
            except OSError as second:
                error = second
            else:
                self.counters.accepted += rows
                return
        self.counters.drop(counters.Drop.DISK, f"the spool can't be written: {error.strerror}", rows)

    def flush(self, timeout: float) -> bool:
        """Wait until all that this process has collected so far is in Blob Storage; return whether it is."""
        writer = self._writer
        if writer is None:
            return True
        with self._lock:
            key, offset = writer.position()  # segments before the present one are delivered before it
        deadline = time.monotonic() + timeout
        self.shipper.request_flush()
        while not self.shipper.is_delivered(key, offset):
            if time.monotonic() >= deadline or not self.shipper.start():
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self, timeout: float) -> bool:
        """Send what is left and stop; return whether all of it is in Blob Storage.

        Rows collected later are written all the same, and start the shipper anew. The spool's directory stays this
        process's until it ends: nobody else may take it for a dead one's.
        """
        deadline = time.monotonic() + timeout
        self.shipper.start()
        seen = self.shipper.ticks
        self.shipper.hurry(timeout)
        delivered = self.flush(timeout)
        # Rows of other processes too, if it is this one that ships: one whole look from now on tells.
        while self.shipper.running and (self.shipper.ticks < seen + 2 or self.shipper.owes):
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        self.shipper.stop = True
        self.shipper.wake()
        if not delivered:
            logger.warning(
                "modeldata: %d bytes wait in the spool at the end; the next process of this pod sends them",
                self.shipper.waiting_bytes,
            )
        return delivered

    def _open_writer(self) -> spool.Writer:
        if self._writer is None:
            pod = os.environ.get("MODELDATA_POD_UID") or os.uname().nodename
            # A new name each time: what the journal knows of a directory must never be taken for another's.
            self.shipper.own = f"{target.safe(pod)}-{self.pid}-{secrets.token_hex(4)}"
            self._writer = spool.Writer(self._spool, self.shipper.own)
        return self._writer

    def _written(self) -> int:
        return self._writer.written if self._writer is not None else 0


mine: Pipeline | None = None
"""This process's pipeline, once it is made."""

_making = threading.Lock()


def current() -> Pipeline | None:
    """Return this process's pipeline, made and started if need be; None where nothing is configured."""
    global mine
    if mine is not None:
        return mine
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return None
    with _making:
        if mine is None:
            made = Pipeline(pathlib.Path(directory))
            made.shipper.start()
            mine = made
        return mine


def forget_in_child() -> None:
    """Give a forked child a pipeline of its own, and a lock that nobody holds."""
    global mine, _making
    mine, _making = None, threading.Lock()


def existing() -> Pipeline | None:
    """Return this process's pipeline if it has one."""
    return mine
