"""What a person sees while days are closed: bars on a terminal, else lines."""

from __future__ import annotations

import contextlib
import sys
import threading
import typing

from ..closing import Outcome, State
from ..days import template

if typing.TYPE_CHECKING:
    import rich.progress


class Lines:
    """One line a day, where nobody looks at it as it grows."""

    def begun(self, day: template.Day) -> None:
        """Say nothing yet."""

    def step(self, name: str) -> None:
        """Say nothing."""

    def arrived(self, count: int) -> None:
        """Say nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Say what became of a day, if anything did."""
        text = told(outcome)
        if text:
            print(text, file=sys.stderr, flush=True)


class Bars:
    """A bar that says what is done to which day."""

    def __init__(self, progress: rich.progress.Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("looking for days", total=None, mib=0.0)
        self._bytes = 0
        self._lock = threading.Lock()
        self._day = ""

    def begun(self, day: template.Day) -> None:
        """Show the day."""
        self._day, self._bytes = f"{day.stream} {day.date}", 0
        self._show("looking")

    def step(self, name: str) -> None:
        """Show the step."""
        self._show(name)

    def arrived(self, count: int) -> None:
        """Show the bytes."""
        with self._lock:
            self._bytes += count
            self._progress.update(self._task, mib=self._bytes / 2**20)

    def ended(self, outcome: Outcome) -> None:
        """Leave a line behind."""
        text = told(outcome)
        if text:
            self._progress.console.print(text, markup=False, highlight=False)

    def _show(self, step: str) -> None:
        self._progress.update(self._task, description=f"{self._day}: {step}", mib=self._bytes / 2**20)


@contextlib.contextmanager
def watch() -> typing.Iterator[Lines | Bars]:
    """Return who is told, by what standard error is."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich import console, progress

    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.TextColumn("{task.fields[mib]:,.0f} MiB"),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as shown:
        yield Bars(shown)


def told(outcome: Outcome) -> str:
    """Return a line about a day; empty where there is nothing new."""
    name = f"{outcome.day.stream} {outcome.day.date}"
    if outcome.state is State.FAILED:
        return f"{name}: NOT CLOSED: {outcome.reason}: {outcome.message}"
    if outcome.state is State.WAITING:
        return f"{name}: not closed: {outcome.message}"
    parts = []
    if outcome.new:
        parts.append(f"{outcome.new} {'late ' if outcome.late else ''}rows closed")
    if outcome.deleted:
        parts.append(f"{outcome.deleted} raw files deleted")
    return f"{name}: {', '.join(parts)}" if parts else ""
