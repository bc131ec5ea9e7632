"""The spool: rows on the pod's disk until they are in Blob Storage.

``spool/<pod uid>-<pid>-<random>/<sequence>.seg``, one directory for each process, written by it alone; whoever ships
reads all of them. A segment is a sequence of lines (see ``records``). One ``write()`` a call: when it has returned, the
rows outlive the process. They are not synced to disk: a power cut may take the last seconds.

A segment's name carries its format: ``.seg`` is 1, ``.seg2`` is 2, and so on. One that this version does not know is
not read, and waits for a process that does; versions before leave it alone too. Whatever is added to a record or to a
stream's definition is a new format.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import typing

from . import locks, records

FORMAT = 1
"""What this version writes."""
READS = frozenset({1})
"""What it reads."""

WINDOW_BYTES = 4 * 1024 * 1024
"""Of a segment that are read at a time: more than a usual one has. Doubled for a record that is longer."""

_NAME = re.compile(r"\d+\.seg(\d*)")


def name(sequence: int) -> str:
    """Return what the next segment of a process is called."""
    return f"{sequence:09d}.seg{FORMAT if FORMAT > 1 else ''}"


def format_of(name: str) -> int:
    """Return the format of a file in a directory of the spool; 0 if it is no segment."""
    found = _NAME.fullmatch(name)
    return int(found.group(1) or 1) if found is not None else 0


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
        size = WINDOW_BYTES
        with self.path.open("rb") as file:
            while True:
                file.seek(first)
                content = file.read(size)
                for found, end in self._reader.read(content, max(0, start - first)):
                    self._known = max(self._known, first + end)
                    yield found, first + end
                if len(content) < size:
                    return
                first += self._reader.passed
                size = WINDOW_BYTES if self._reader.passed else 2 * size


class Found(typing.NamedTuple):
    """A segment in the spool, with what its place in its directory says about it."""

    spool: pathlib.Path
    key: str
    size: int
    complete: bool
    """Nothing will be added any more: its writer went on to the next segment, or is dead."""
    format: int = FORMAT
    alive: bool = False
    """Whether its writer is."""

    @property
    def path(self) -> pathlib.Path:
        """Where it is."""
        return self.spool / self.key


def scan(spool: pathlib.Path, own: typing.Callable[[], str]) -> list[Found]:
    """Return every segment that this version reads, oldest first within each process; see ``scan_all``."""
    return [each for each in scan_all(spool, own) if each.format in READS]


def scan_all(spool: pathlib.Path, own: typing.Callable[[], str]) -> list[Found]:
    """Return every segment, oldest first within each process.

    Args:
        spool: the spool's directory.
        own: gives the name of this pipeline's own directory, whose lock need not be asked for.

    """
    found = []
    # os instead of pathlib: this runs twice a second in each process, and costs a third of it.
    base = os.fspath(spool)
    writers = sorted(os.listdir(spool))  # noqa: PTH208
    # Asked for after the list was made: our own may have come to be in it just now, with the first row.
    ours = own()
    for name in writers:
        if name.startswith("."):
            continue
        directory = spool / name
        dead = name != ours and not _alive(directory)
        try:
            names = sorted(os.listdir(directory))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # gone, no process's, another user's
            continue
        segments = [(each, version) for each in names if (version := format_of(each))]
        for segment, version in segments:
            key = f"{name}/{segment}"
            try:
                size = os.stat(f"{base}/{key}").st_size  # noqa: PTH116
            except FileNotFoundError:
                continue
            complete = dead or segment is not segments[-1][0]
            found.append(Found(spool, key, size, complete, version, not dead))
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
