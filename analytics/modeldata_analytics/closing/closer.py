"""Closes days, one after the other, and says of each what became of it."""

from __future__ import annotations

import contextlib
import datetime
import enum
import pathlib
import tempfile
import typing

from .. import columns
from ..days import template
from ..engines import EngineError
from ..storage import Blobs, Changed, Entry, Refused, StorageError, Unreachable
from . import manifests, passes, plan


class State(enum.Enum):
    """What a day is after it was looked at."""

    CLOSED = enum.auto()
    """All that is there is closed."""
    EMPTY = enum.auto()
    """It has no row."""
    OPEN = enum.auto()
    """It is not due."""
    WAITING = enum.auto()
    """It is due, and is not closed: another one is at it, or nothing may be changed (a dry run)."""
    FAILED = enum.auto()


class Outcome(typing.NamedTuple):
    """What became of a day."""

    day: template.Day
    state: State
    rows: int = 0
    """All that are closed."""
    new: int = 0
    """Of them, in this run."""
    late: bool = False
    """Whether the day was closed before they came."""
    deleted: int = 0
    """Raw files."""
    reason: str = ""
    message: str = ""


class Watch(typing.Protocol):
    """Who is told what happens."""

    def begun(self, day: template.Day) -> None:
        """Be told that a day is looked at."""

    def step(self, name: str) -> None:
        """Be told of a step within it."""

    def arrived(self, count: int) -> None:
        """Be told of bytes that were fetched; from several threads."""

    def ended(self, outcome: Outcome) -> None:
        """Be told what became of it."""


class Closer:
    """Closes days of one store."""

    def __init__(
        self,
        wish: plan.Wish,
        tools: passes.Tools,
        scratch: pathlib.Path,
        watch: Watch,
        *,
        dry: bool = False,
    ) -> None:
        """Make one.

        Args:
            wish: what is made, and when.
            tools: what passes work with.
            scratch: a directory on a disk with room for three times the largest day.
            watch: who is told.
            dry: whether nothing may be changed.

        """
        self._wish, self._tools, self._scratch, self._watch, self._dry = wish, tools, scratch, watch, dry
        self._types: dict[template.Stream, passes.Types] = {}

    def close(self, days: typing.Iterable[template.Day], now: datetime.datetime) -> typing.Iterator[Outcome]:
        """Close days that are due, and yield what became of each; one that fails stops no other.

        Raises ``Refused`` where storage refuses: it would refuse the next ones too.
        """
        for day in days:
            if not plan.is_due(day.date, self._wish, now):
                yield Outcome(day, State.OPEN)
                continue
            self._watch.begun(day)
            outcome = self._tried(day, now)
            self._watch.ended(outcome)
            yield outcome

    def _tried(self, day: template.Day, now: datetime.datetime) -> Outcome:
        try:
            for _ in range(2):
                with contextlib.suppress(Changed):
                    return self._close(day, now)
            return Outcome(day, State.WAITING, reason="Raced", message="another one closes this day")
        except (plan.DayError, EngineError) as error:
            return Outcome(day, State.FAILED, reason=error.reason, message=str(error))
        except Refused:
            raise
        except StorageError as error:
            return Outcome(day, State.FAILED, reason=type(error).__name__, message=str(error))
        except OSError as error:
            # Of the scratch directory: what storage says is told by errors of its own.
            return Outcome(day, State.FAILED, reason="Disk", message=f"the scratch directory: {error.strerror}")

    def _close(self, day: template.Day, now: datetime.datetime) -> Outcome:
        tools = self._tools
        held = manifests.load(tools.store, day)
        before = held.manifest
        if before.next is not None and not self._dry:
            # Begun by one that was killed, or that goes on beside this one.
            with self._folder() as folder:
                held = passes.Pass(tools, day, held, folder).finish()
        files = tools.store.files(f"{day.folder}/")
        tails = plan.tails(held.manifest, files)
        if tails and self._dry:
            size = sum(each.end - each.start for each in tails)
            return Outcome(day, State.WAITING, held.manifest.rows, message=f"{size} bytes of {len(tails)} files")
        if tails:
            with self._folder() as folder:
                begun = passes.Pass(tools, day, held, folder).begin(
                    tails, formats=self._wish.formats, hints=self._types.get(day.stream, {})
                )
                held = begun.finish() if begun is not None else held
        elif not self._dry:
            passes.register(tools, day, held.manifest)
        closed = held.manifest
        if closed.columns:
            # The day after has the same, as far as its values allow.
            self._types[day.stream] = {
                each: column.type
                for each, column in zip(
                    columns.occurrences([column.name for column in closed.columns]), closed.columns, strict=True
                )
            }
        # Never in the run that closed them: readers may be at them.
        gone = (
            plan.deletable(closed, files, day.date, self._wish, now=now) if closed == before and not self._dry else []
        )
        deleted = _delete(tools.store, gone)
        state = State.CLOSED if closed.number else State.EMPTY
        return Outcome(day, state, closed.rows, closed.rows - before.rows, before.number > 0, deleted)

    @contextlib.contextmanager
    def _folder(self) -> typing.Iterator[pathlib.Path]:
        with tempfile.TemporaryDirectory(prefix="day-", dir=self._scratch) as folder:
            yield pathlib.Path(folder)


def _delete(store: Blobs, files: typing.Sequence[Entry]) -> int:
    """Delete raw files; return how many are gone. One that has changed since it was listed stays."""
    try:
        return sum(store.delete(file.name, etag=file.etag) for file in files)
    except Unreachable:
        raise
    except StorageError as error:
        # No reason not to close the other days.
        raise plan.DayError("NotDeleted", f"the day is closed, and its raw files can't be deleted: {error}") from None
