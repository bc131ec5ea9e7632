"""The containers that rows go to: the one that the settings name, and those before it, with the credential they had."""

from __future__ import annotations

import pathlib
import typing

from .. import settings
from . import batches, journal
from .azure import answers, blobs, credentials
from .directory import container
from .files import append

_MOST = 3
"""Containers at a time: the present one, and those of moves that are not over."""


class Accounts:
    """Gives each block its container's appender.

    Args:
        sas_file: the present container's SAS.
        log: the journal.
        stopped: whether this process is to ship no more.

    """

    def __init__(self, sas_file: pathlib.Path, log: journal.Journal, stopped: typing.Callable[[], bool]) -> None:
        self._sas_file = sas_file
        self._journal = log
        self._stopped = stopped
        self._open: dict[tuple[str, str], tuple[blobs.Container, append.Appender]] = {}

    def of(self, block: batches.Block, current: settings.Storage, *, read_seconds: float) -> append.Appender:
        """Return the appender for a block.

        Args:
            block: the block.
            current: what the settings name.
            read_seconds: how long its requests wait for an answer, until the next call.

        Raises:
            answers.NotDone: there is no credential for it: its container was left, and the file has the next one's.

        """
        where = (block.endpoint, block.container)
        left = where != (current.endpoint, current.container)
        account = credentials.Account(*where, self._sas_file, current.identity)
        directory = settings.directory(*where)
        known = self._open.pop(where, None)
        if known is not None and not left and known[0].account != account:
            known[0].close()
            known = None
        if known is None:
            if directory is None and left and block.endpoint != current.endpoint and current.identity is None:
                # What is in the file now is another account's, and nothing that this one should see.
                raise answers.NotDone(answers.Reply(answers.Answer.DENIED, "the SAS for the storage before is gone"))
            while len(self._open) >= _MOST:
                self._open.pop(next(iter(self._open)))[0].close()
            made: blobs.Container
            if directory is None:
                made = blobs.Blobs(account, credentials.of(account))
            else:
                made = container.Directory(account, directory)
            known = made, append.Appender(_Stoppable(made, self._stopped), self._journal)
        if left:
            known[0].restore_credential()
        self._open[where] = known
        known[0].read_seconds = read_seconds
        return known[1]

    def refresh(self, current: settings.Storage) -> bool:
        """Read the SAS again for the container that the settings name; return whether it is another than before."""
        known = self._open.get((current.endpoint, current.container))
        return known is not None and known[0].refresh_credential()

    def pace(self, now: float) -> float:
        """Return how many seconds to leave between two flushes (see ``append.Appender``)."""
        return max((each.pace(now) for _, each in self._open.values()), default=0.0)

    def close(self) -> None:
        """Close the connections."""
        for each, _ in self._open.values():
            each.close()
        self._open.clear()


class _Stoppable:
    """Asks, before each request, whether there is still to be one: so every loop that makes requests can be ended."""

    def __init__(self, asked: blobs.Requests, stopped: typing.Callable[[], bool]) -> None:
        self._asks = asked
        self._stopped = stopped

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        return self._asked().append(name, data, position)

    def create(self, name: str) -> answers.Reply:
        return self._asked().create(name)

    def size(self, name: str) -> tuple[answers.Reply, int]:
        return self._asked().size(name)

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        return self._asked().read(name, start, length)

    def _asked(self) -> blobs.Requests:
        if self._stopped():
            raise answers.Stopped
        return self._asks
