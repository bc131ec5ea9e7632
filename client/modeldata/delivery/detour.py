"""Which files storage takes nothing into at present, so that the others' rows go around them.

A file is tried again in growing intervals, by one block; the rows that come meanwhile are set aside untried. What is
known is written down for the doctor, who runs in a process of his own, and forgotten with this one.

One request is under way at a time, so a file that does not answer costs the others what is waited for it. Hence little
patience at first, and then an eighth of the time at most.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
import typing

import orjson

from ..spool import sharing
from . import batches
from .azure import answers, refusal

RETRY_SECONDS = (5.0, 600.0)
"""Between two tries of a file: the first, and the most."""

PATIENCE_SECONDS = 5.0
"""How long an answer is waited for at first; twice as long each time that there was none, up to
``answers.READ_SECONDS``: a storage that is merely slow must get through."""

TIME_SHARE = 8
"""What is waited for files that do not answer is at most one part in so many of the time."""

_MOST = 1000
"""Files kept in mind; one that is forgotten is only tried sooner."""


class Place(typing.NamedTuple):
    """Where a block goes to."""

    endpoint: str
    container: str
    path: str


class Told(typing.NamedTuple):
    """What the doctor is told of one cause."""

    cause: str
    detail: str
    path: str
    """One of the files."""
    files: int
    since: float
    """Seconds since the epoch."""


@dataclasses.dataclass
class Trouble:
    """A file that storage takes nothing into."""

    reply: answers.Reply
    since: float
    """All times are those of the monotonic clock."""
    retry_at: float
    failures: int = 0
    silences: int = 0
    """So many tries in a row were waited for in vain."""
    apart: bool = False
    """Whether its blocks are set aside: storage is known to take others."""
    asked: bool = False
    """Whether it was asked since the last try, if others arrive, in the place of another try."""
    left_at: float = 0.0
    """When it was first asked though the settings name another storage; 0 before."""

    def lasted(self, now: float) -> float:
        """Return for how many seconds it has been so."""
        return now - self.since


class Detour:
    """The files in trouble. Used by the one process that ships.

    Args:
        file: where the doctor finds them.

    """

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self._troubles: dict[Place, Trouble] = {}
        self._told: list[Told] | None = None
        self._next_silence = 0.0
        """Before this time no file is tried that did not answer the last time."""
        self._silences = 0
        """So many doublings of the patience did the last answer take that came late."""
        self._tell()

    def failed(
        self, place: Place, reply: answers.Reply, now: float, *, spent: float = 0.0, most: float = RETRY_SECONDS[1]
    ) -> Trouble:
        """Note that storage refused a block, or did not answer.

        Args:
            place: where it was to go.
            reply: what it said.
            now: by the monotonic clock.
            spent: seconds that the try took.
            most: after so many seconds it is tried again at the latest.

        """
        trouble = self._troubles.get(place)
        if trouble is None:
            if len(self._troubles) >= _MOST:
                del self._troubles[next(iter(self._troubles))]
            trouble = self._troubles[place] = Trouble(reply, now - spent, now)
        trouble.reply, trouble.asked = reply, False
        pause = max(reply.retry_after, RETRY_SECONDS[0] * 2 ** min(trouble.failures, 20), TIME_SHARE * spent)
        trouble.retry_at = now + min(pause, RETRY_SECONDS[1], most)
        trouble.failures += 1
        waited = refusal.is_silence(reply) and spent >= PATIENCE_SECONDS / 2
        trouble.silences = trouble.silences + 1 if waited else 0
        if waited:
            self._next_silence = now + (TIME_SHARE - 1) * spent
        self._tell()
        return trouble

    def recovered(self, place: Place, *, spent: float = 0.0) -> None:
        """Note that storage took a block, and how many seconds that took."""
        trouble = self._troubles.pop(place, None)
        if trouble is not None:
            self._silences = max(self._silences, trouble.silences)
            self._tell()
        elif spent < PATIENCE_SECONDS / 2:
            self._silences = 0

    def patience(self, place: Place) -> float:
        """Return how many seconds an answer about a file is to be waited for."""
        trouble = self._troubles.get(place)
        doublings = max(self._silences, trouble.silences if trouble is not None else 0)
        return min(float(answers.READ_SECONDS), PATIENCE_SECONDS * (1 << min(doublings, 10)))

    def around(self, place: Place, now: float) -> Trouble | None:
        """Return why a file's blocks are to be set aside untried at present; None if they are not."""
        trouble = self._troubles.get(place)
        return trouble if trouble is not None and trouble.apart and self.waits(place, now) else None

    def waits(self, place: Place, now: float) -> bool:
        """Return whether a file is not to be tried yet."""
        trouble = self._troubles.get(place)
        if trouble is None:
            return False
        return now < max(trouble.retry_at, self._next_silence if trouble.silences else 0.0)

    def throttled(self, place: Place, now: float, *, seconds: float) -> Trouble | None:
        """Return the trouble of a file of which storage has asked for so long to be left alone, if it is next to be
        asked whether others arrive.
        """
        trouble = self._troubles.get(place)
        if trouble is None or trouble.apart or trouble.asked or not trouble.reply.retry_after:
            return None
        return trouble if trouble.lasted(now) >= seconds else None

    def is_known(self, trouble: Trouble) -> bool:
        """Return whether blocks of another file are set aside for the same: then one try tells enough."""
        return any(
            each.apart and each is not trouble and each.reply[:2] == trouble.reply[:2]
            for each in self._troubles.values()
        )

    def hasten(self, *, silent: bool) -> None:
        """Have files tried again at once: something may be better now.

        Args:
            silent: those too that do not answer: they hold up the others.

        """
        for trouble in self._troubles.values():
            if silent or not trouble.silences:
                trouble.retry_at = 0.0
        if silent:
            self._next_silence, self._silences = 0.0, 0
            for trouble in self._troubles.values():
                trouble.silences = min(trouble.silences, 1)

    def _tell(self) -> None:
        causes: dict[str, Told] = {}
        offset = time.time() - time.monotonic()
        for place, trouble in self._troubles.items():
            name = refusal.cause(trouble.reply).value
            path = f"{place.endpoint}/{place.container}/{place.path}"
            known = causes.get(name, Told(name, trouble.reply.detail, path, 0, trouble.since + offset))
            causes[name] = known._replace(files=known.files + 1, since=min(known.since, trouble.since + offset))
        told = list(causes.values())
        shown = [each._replace(since=0.0) for each in told]
        if shown == self._told:
            return
        self._told = shown
        with contextlib.suppress(OSError):  # a disk that is full: the log has it all the same
            if not told:
                self._file.unlink(missing_ok=True)
                return
            sharing.replace(self._file, [orjson.dumps([list(each) for each in told])])


def place(block: batches.Block) -> Place:
    """Return where a block goes to."""
    return Place(block.endpoint, block.container, block.path)


def told(directory: pathlib.Path) -> list[Told]:
    """Return what the process that ships has written down in its directory; any process may ask."""
    try:
        return [Told(*each) for each in orjson.loads((directory / FILE).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


FILE = "refusals"
