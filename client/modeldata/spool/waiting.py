"""What waits in the spool: how much, and since when."""

from __future__ import annotations

import os
import pathlib
import re
import time
import typing

from . import segments

_MOMENT = re.compile(rb"A?\[\d+,(\d+),")
"""The beginning of a record with its microseconds (see ``records``)."""

_PEEK_BYTES = 4096
"""What is read at a time to find a moment: the definition of a stream may come before the record."""


_SETTLED_NANOSECONDS = 2_000_000_000
"""A directory's time of change has the kernel's clock tick: what follows a change at once may not change it again."""


class Waiting(typing.NamedTuple):
    """One look."""

    used_bytes: int = 0
    """All that is in the spool, delivered or not, and what is set aside."""
    bytes: int = 0
    """What is not delivered, and what is set aside."""
    owed_bytes: int = 0
    """What is not delivered and could be: of it, all but what is set aside or can't be read."""
    oldest: float = 0.0
    """When the oldest row that is not delivered was collected, in seconds since the epoch; 0 where none waits."""
    shared: bool = False
    """Whether other processes write too."""
    aside_bytes: int = 0
    """What is set aside."""
    newer_bytes: int = 0
    """What is in a format that this version does not know."""
    newer_lives: bool = False
    """Whether a process that writes such a format lives."""


class Onlooker:
    """Looks again and again, at little cost: what has not changed is not read again."""

    def __init__(self, directory: pathlib.Path, own: typing.Callable[[], str]) -> None:
        self._spool = directory
        self._own = own
        self._moments: dict[tuple[str, int], float] = {}
        self._apart = (0, 0)

    def look(self, *, consumed: typing.Mapping[str, int], unreadable: typing.Container[str]) -> Waiting:
        """Return what waits.

        Args:
            consumed: how far each segment is delivered.
            unreadable: keys of segments that can't be read.

        """
        every, ours = segments.scan_all(self._spool, self._own), self._own()
        found = [each for each in every if each.format in segments.READS]
        newer = [each for each in every if each.format not in segments.READS]
        newer_bytes = sum(each.size for each in newer)
        apart = self._set_aside_bytes()
        waiting = {each.key: each for each in found if each.size > consumed.get(each.key, 0)}
        owed = sum(each.size - consumed.get(key, 0) for key, each in waiting.items() if key not in unreadable)
        moments: dict[tuple[str, int], float] = {}
        seen = ""
        for key, each in waiting.items():
            writer = key.partition("/")[0]
            if writer != seen and key not in unreadable:  # a writer's later segments hold later rows
                seen = writer
                place = (key, consumed.get(key, 0))
                moments[place] = self._moments.get(place) or moment(each.path, place[1])
        self._moments = moments
        return Waiting(
            sum(each.size for each in every) + apart,
            sum(each.size - consumed.get(key, 0) for key, each in waiting.items()) + apart + newer_bytes,
            owed,
            min(filter(None, moments.values()), default=0.0),
            any(not each.complete and each.key.partition("/")[0] != ours for each in every),
            apart,
            newer_bytes,
            any(each.alive for each in newer),
        )

    def _set_aside_bytes(self) -> int:
        directory = self._spool / ".shipper" / "aside"
        try:
            changed = os.stat(directory).st_mtime_ns  # noqa: PTH116
        except OSError:
            return 0
        # Thousands of blocks may wait there for long, and each change replaces a file.
        if changed != self._apart[0] or time.time_ns() - changed < _SETTLED_NANOSECONDS:
            self._apart = (changed, set_aside_bytes(directory))
        return self._apart[1]


def moment(path: pathlib.Path, offset: int) -> float:
    """Return when the first row behind an offset was collected; 0 if that can't be told."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline(_PEEK_BYTES)
            while line.startswith(b"S"):
                while line and not line.endswith(b"\n"):  # many columns
                    line = file.readline(_PEEK_BYTES)
                line = file.readline(_PEEK_BYTES)
    except OSError:
        return 0.0
    found = _MOMENT.match(line)
    return int(found.group(1)) / 1e6 if found is not None else 0.0


def set_aside_bytes(directory: pathlib.Path) -> int:
    """Return what the blocks set aside take on disk, in bytes; any process may ask."""
    try:
        return sum(os.stat(directory / name).st_size for name in os.listdir(directory))  # noqa: PTH116, PTH208 (cheaper)
    except OSError:
        return 0
