"""Shows on a terminal how much was read; elsewhere nothing."""

from __future__ import annotations

import contextlib
import sys
import typing

_LEAST_BYTES = 16 * 1024 * 1024
"""What is less is read before anybody could see a bar."""


@contextlib.contextmanager
def bytes_read(total: int) -> typing.Iterator[typing.Callable[[int], None]]:
    """Show a bar on standard error while so many bytes are read; yield what tells of some more."""
    if total < _LEAST_BYTES or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich import console, progress

    bar = progress.Progress(
        progress.TextColumn("reading"),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def working(what: str) -> typing.Iterator[None]:
    """Show on standard error that something is being done whose length nobody knows."""
    if not sys.stderr.isatty():
        yield
        return
    from rich import console

    with console.Console(stderr=True).status(what):
        yield
