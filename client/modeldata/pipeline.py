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

from . import counters, settings, shipper, spool

logger = logging.getLogger("modeldata")

DIRECTORY_VARIABLE = "MODELDATA_DIR"
_POLL_SECONDS = 0.02


class Pipeline:
    """One process's pipeline."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.pid = os.getpid()
        self.counters = counters.Counters()
        self.live = settings.LiveSettings(directory / "settings" / "settings.json")
        pod = os.environ.get("MODELDATA_POD_UID") or os.uname().nodename
        self._name = f"{pod}-{self.pid}-{secrets.token_hex(4)}"
        self._spool = directory / "spool"
        self._writer: spool.Writer | None = None
        self._written_at_look = 0
        self._used_at_look = -1
        self._closed = False
        self.shipper = shipper.Shipper(directory, own=self._name, live=self.live, tally=self.counters)

    def write(self, record: spool.Record) -> None:
        """Put a record into the spool; when this returns, it is there or counted as dropped."""
        rows = record.table.rows
        limit = self.live.current().spool_bytes
        if self._used() + len(record.table.payload) > limit:
            self.counters.drop(counters.Drop.SPOOL_FULL, f"the spool holds {limit} bytes already", rows)
            return
        try:
            if self._writer is None:
                self._writer = spool.Writer(self._spool, self._name)
            self._writer.write(record)
        except OSError as error:
            self.counters.drop(counters.Drop.DISK, f"the spool can't be written: {error.strerror}", rows)
            return
        self.counters.accept(rows)

    def flush(self, timeout: float) -> bool:
        """Wait until all that this process has collected so far is in Blob Storage; return whether it is."""
        if self._writer is None:
            return True
        # Segments before the present one are delivered before it.
        key, offset = self._writer.position()
        deadline = time.monotonic() + timeout
        self.shipper.request_flush()
        while not self.shipper.is_delivered(key, offset):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self, timeout: float) -> bool:
        """Send what is left and stop; return whether all of it is in Blob Storage. Takes no lock: signals call it."""
        if self._closed:
            return True
        self._closed = True
        self.shipper.hurry = True
        deadline = time.monotonic() + timeout
        delivered = self.flush(timeout) if self.shipper.is_alive else self._writer is None
        while self.shipper.is_alive and self.shipper.owes and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.shipper.stop = True
        if self._writer is not None:
            self._writer.close()
        if not delivered:
            logger.warning(
                "modeldata: %d bytes wait in the spool at the end; the next process of this pod sends them",
                self.shipper.waiting_bytes,
            )
        return delivered

    def _used(self) -> int:
        """Bytes of the spool, from the shipper's last look and what this process wrote since."""
        written = self._writer.written if self._writer is not None else 0
        if self.shipper.used_bytes != self._used_at_look:
            self._used_at_look = self.shipper.used_bytes
            self._written_at_look = written
        return self._used_at_look + written - self._written_at_look


_current: Pipeline | None = None
_making = threading.Lock()


def current() -> Pipeline | None:
    """Return this process's pipeline, made and started if need be; None where nothing is configured."""
    global _current
    if _current is not None and _current.pid == os.getpid():
        return _current
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return None
    with _making:
        if _current is None or _current.pid != os.getpid():
            made = Pipeline(pathlib.Path(directory))
            made.shipper.start()
            _current = made
        return _current


def forget_in_child() -> None:
    """Give a forked child a lock that nobody holds."""
    global _making
    _making = threading.Lock()


def existing() -> Pipeline | None:
    """Return this process's pipeline if it has one."""
    return _current if _current is not None and _current.pid == os.getpid() else None
