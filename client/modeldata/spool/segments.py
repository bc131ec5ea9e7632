"""The spool: rows on the pod's disk until they are in Blob Storage.

``spool/<pod uid>-<pid>-<random>/<sequence>.seg``, one directory for each process, written by it alone; whoever ships
reads all of them. A segment is a sequence of lines (see ``records``). One ``write()`` a call: when it has returned, the
rows outlive the process. They are not synced to disk: a power cut may take the last seconds.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing

from . import locks, records


class Segment:
    """One segment as its reader sees it."""

    def __init__(self, key: str, path: pathlib.Path) -> None:
        self.key = key
        self.path = path
        self._reader = records.Reader()
        self._known = 0
        """Up to where the reader has seen the segment's streams."""

    def read(self, start: int) -> typing.Iterator[tuple[records.Record | records.Run | None, int]]:
        """Yield the whole records from an offset on, each with the offset behind it; None for a damaged one.

        Ends at the first one that is not (or not yet) whole. Offsets are those that an earlier ``read`` yielded.
        """
        first = min(start, self._known)  # after a restart, the streams defined before are needed
        with self.path.open("rb") as file:
            file.seek(first)
            content = file.read()
        for found, end in self._reader.read(content, start - first):
            self._known = max(self._known, first + end)
            yield found, first + end


class Found(typing.NamedTuple):
    """A segment in the spool, with what its place in its directory says about it."""

    spool: pathlib.Path
    key: str
    size: int
    complete: bool
    """Nothing will be added any more: its writer went on to the next segment, or is dead."""

    @property
    def path(self) -> pathlib.Path:
        """Where it is."""
        return self.spool / self.key


def scan(spool: pathlib.Path, own: typing.Callable[[], str]) -> list[Found]:
    """Return every segment, oldest first within each process.

    Args:
        spool: the spool's directory.
        own: gives the name of this pipeline's own directory, whose lock need not be asked for.

    """
    found = []
    # os instead of pathlib: this runs twice a second in each process, and costs a third of it.
    base = os.fspath(spool)
    names = sorted(os.listdir(spool))  # noqa: PTH208
    # Asked for after the list was made: our own may have come to be in it just now, with the first row.
    ours = own()
    for name in names:
        if name.startswith("."):
            continue
        directory = spool / name
        dead = name != ours and not _alive(directory)
        try:
            segments = sorted(each for each in os.listdir(directory) if each.endswith(".seg"))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # gone, no process's, another user's
            continue
        for segment in segments:
            key = f"{name}/{segment}"
            try:
                size = os.stat(f"{base}/{key}").st_size  # noqa: PTH116
            except FileNotFoundError:
                continue
            found.append(Found(spool, key, size, complete=dead or segment is not segments[-1]))
        if dead and not segments:
            _remove(directory)
    return found


def _alive(directory: pathlib.Path) -> bool:
    try:
        return locks.is_taken(directory / locks.ALIVE)
    except OSError:  # it can't be told
        return True


def _remove(directory: pathlib.Path) -> None:
    """Remove a dead process's directory, which holds nothing but its lock any more."""
    with contextlib.suppress(OSError):
        (directory / locks.ALIVE).unlink(missing_ok=True)
        directory.rmdir()
