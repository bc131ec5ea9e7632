"""Who ships: of a pod's processes the one whose lock on ``spool/.shipper/lock`` holds, for all of them."""

from __future__ import annotations

import os
import pathlib
import sys
import time
import typing

from .. import settings
from ..observe import counters
from ..spool import locks, sharing
from ..threads import forking, importing

if typing.TYPE_CHECKING:
    from . import elected

STAND_DOWN_SECONDS = 30.0
"""How long a process that can't ship leaves it to the others."""

POD_VARIABLE = "MODELDATA_POD_UID"


class Election:
    """One process's part in it.

    Args:
        spool: the spool's directory.
        sas_file: see ``elected.Delivery``, as ``own`` and ``stopped``.
        own: gives the name of this process's directory in the spool.
        live: the settings.
        tally: counts, and complains.
        stopped: whether this process is to ship no more.

    """

    def __init__(
        self,
        spool: pathlib.Path,
        *,
        sas_file: pathlib.Path,
        own: typing.Callable[[], str],
        live: settings.LiveSettings,
        tally: counters.Counters,
        stopped: typing.Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._directory = spool / ".shipper"
        self._sas_file = sas_file
        self._own = own
        self._live = live
        self._counters = tally
        self._stopped = stopped
        self._lock: locks.Lock | None = None
        self._delivery: elected.Delivery | None = None
        self._stand_at = 0.0
        """Until then (monotonic) it is left to other processes to ship."""

    @property
    def is_won(self) -> bool:
        """Whether it is this process that ships."""
        return self._lock is not None

    @property
    def delivery(self) -> elected.Delivery | None:
        """What it ships with; None if it does not."""
        return self._delivery if self._lock is not None else None

    def stand(self, now: float) -> bool:
        """Take the lock if nobody has it; return whether it was taken just now.

        Args:
            now: by the monotonic clock.

        Raises:
            OSError: the spool can't be changed.

        """
        if self._is_seen() or now < self._stand_at:
            return False
        self._give_up_lock()
        importing.load(f"{__package__}.elected")  # here, by one thread of a pod, and not in each model's own start
        with forking.gate.here():
            from . import batches, elected
        if vars(sys.modules.get(__name__, elected)) is not globals():
            # Two halves of two copies would not know each other's errors: whoever was imported last ships for all.
            self._counters.complain(
                "copies",
                "this package was imported anew in this process, before its first copy had shipped: the rows of the"
                " first are shipped by the new one, once it collects, or by another process of this pod",
            )
            return False
        sharing.make(self._directory)
        try:
            lock = locks.take(self._directory / locks.SHIPPER)
        except locks.TakenError:
            return False
        except PermissionError:
            self._counters.complain("lock", "the spool belongs to another user: rows wait for a process of that user")
            return False
        try:
            self._prepare(elected.Delivery)
        except batches.NewerError as error:
            lock.release()
            self._counters.complain(
                "format",
                "rows wait for a newer version of this package, which has shipped here: the journal's %s",
                error,
            )
            self.stand_down(time.monotonic())
            return False
        except Exception:
            lock.release()
            raise
        self._lock = lock
        return True

    def stand_down(self, now: float) -> None:
        """Leave it to the other processes for a while."""
        self.resign()
        self._stand_at = now + STAND_DOWN_SECONDS

    def resign(self) -> None:
        """Ship no more, until the next time that this process stands."""
        if self._delivery is not None:
            self._delivery.close()
            self._delivery = None
        self._give_up_lock()

    def _prepare(self, make: type[elected.Delivery]) -> None:
        before = self._delivery
        if before is not None and not before.journal.exists():
            before.journal.restore()  # somebody removed the spool in the middle of a delivery
            return
        if before is not None:
            before.close()
        self._delivery = make(
            self._spool,
            own=self._own,
            sas_file=self._sas_file,
            pod=os.environ.get(POD_VARIABLE, ""),
            spool_bytes=self._live.current().spool_bytes,
            tally=self._counters,
            stopped=self._stopped,
        )

    def _is_seen(self) -> bool:
        """Return whether this process holds a lock, and the one that others see."""
        if self._lock is None:
            return False
        ours = self._lock.status()
        try:
            there = os.stat(self._directory / locks.SHIPPER)  # noqa: PTH116
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _give_up_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
