"""What waits in a pod's spool, as an onlooker sees it: nothing is changed, created or locked.

For a process that has no part in the spool.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib

from ..delivery import batches, journal
from ..spool import locks, segments, waiting


@dataclasses.dataclass(frozen=True)
class Process:
    """One process's directory in the spool."""

    name: str
    alive: bool
    waiting_bytes: int


@dataclasses.dataclass(frozen=True)
class Taken:
    """The batch under way: rows taken from the spool and not all delivered."""

    rows: int
    blocks: int
    since: float
    """Seconds since the epoch."""
    into: str
    """Endpoint and container of its first block; empty if it has none."""
    intent: str
    """The blob that an append is under way to, and the position in it; empty before the first try."""


@dataclasses.dataclass(frozen=True)
class Backlog:
    """One look at the spool."""

    processes: tuple[Process, ...] = ()
    used_bytes: int = 0
    """What counts against the spool's bound: segments, and blocks set aside."""
    oldest: float = 0.0
    """When the oldest waiting row was collected: seconds since the epoch, 0 if none waits."""
    taken: Taken | None = None
    aside: tuple[int, int] = (0, 0)
    """Blocks that storage refused and that were set aside to be tried again: how many, and their bytes."""
    shipped: bool = False
    """Whether a living process holds the shipper's lock."""
    unreadable: tuple[str, ...] = ()
    """Segments that could not be read."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not delivered."""
        return sum(each.waiting_bytes for each in self.processes)


def look(directory: pathlib.Path) -> Backlog:
    """Return what waits in a spool's directory.

    Raises:
        OSError: the directory can't be read.

    """
    shippers = directory / ".shipper"
    consumed = journal.consumed(shippers)
    processes, used, oldest, unreadable = [], 0, 0.0, []
    for name in sorted(each.name for each in directory.iterdir() if each.is_dir() and not each.name.startswith(".")):
        left = 0
        for path in sorted(each for each in (directory / name).iterdir() if segments.format_of(each.name)):
            key = f"{name}/{path.name}"
            try:
                size = path.stat().st_size
                used += size
                if size <= consumed.get(key, 0):
                    continue
                left += size - consumed.get(key, 0)
                with path.open("rb"):  # may it be read?
                    seconds = waiting.moment(path, consumed.get(key, 0))
            except FileNotFoundError:  # delivered and removed meanwhile
                continue
            except OSError as error:
                unreadable.append(f"{key}: {error.strerror}")
                continue
            if seconds:
                oldest = min(oldest or seconds, seconds)
        processes.append(Process(name, locks.is_taken(directory / name / locks.ALIVE), left))
    try:
        taken = _taken(shippers)
    except batches.NewerError as error:
        taken = None
        unreadable.append(f".shipper/journal: of a newer version of this package ({error})")
    blocks = _sizes(shippers / "aside")
    return Backlog(
        tuple(processes),
        used + sum(blocks),
        oldest,
        taken,
        (len(blocks), sum(blocks)),
        locks.is_taken(shippers / locks.SHIPPER),
        tuple(unreadable),
    )


def _taken(shippers: pathlib.Path) -> Taken | None:
    saved = journal.load(shippers)
    if saved.batch is None:
        return None
    first = saved.batch.blocks[0] if saved.batch.blocks else None
    return Taken(
        rows=sum(block.rows for block in saved.batch.blocks),
        blocks=len(saved.batch.blocks),
        since=(shippers / f"batch.{saved.area}").stat().st_mtime,
        into=f"{first.endpoint}/{first.container}" if first is not None else "",
        intent=f"{saved.intent.name} at {saved.intent.position}"
        if saved.intent is not None and saved.intent.name
        else "",
    )


def _sizes(directory: pathlib.Path) -> list[int]:
    sizes = []
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # delivered and removed meanwhile
                if not path.name.endswith(".new"):
                    sizes.append(path.stat().st_size)
    return sizes
