"""Blocks that storage refuses for a reason of their own, set aside so that those behind them get through.

In ``spool/.shipper/aside/``, a file each, as the journal writes a batch. A block is not dropped there: a lease ends, a
policy is changed, so it is tried again (``detour`` says when). It counts as part of the spool, whose
bound holds for both. What comes every few seconds for the same file is joined to what waits for it already: the pod's
disk has no room for a file of 4 KiB for each row, and storage's file none for a block.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pathlib
import typing

import orjson

from ..spool import sharing
from . import batches, detour, journal

logger = logging.getLogger("modeldata")

JOIN_BYTES = 256 * 1024
"""Up to so much is joined: for each block that comes, it is written anew."""


class Aside:
    """The blocks set aside. Used by the one process that holds the shipper's lock."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Find what is there.

        Raises:
            OSError: it can't be read.

        """
        self._directory = directory
        self.sizes: dict[str, int] = {}
        """Bytes of each, by name; those set aside first come first."""
        self._places: dict[str, detour.Place] = {}
        self._by_place: dict[detour.Place, dict[str, None]] = {}
        with contextlib.suppress(FileNotFoundError):
            for path in sorted(directory.iterdir()):
                if path.name.endswith(".new"):  # of a process that was killed: it would take the spool's room for good
                    path.unlink()
                else:
                    self._note(path.name, path.stat().st_size, _place(path))

    @property
    def bytes(self) -> int:
        """What all of them take on disk."""
        return sum(self.sizes.values())

    def put(self, name: str, block: batches.Block, intent: journal.Intent | None) -> None:
        """Set a block aside, or the same one again.

        Args:
            name: the same for the same block, whoever sets it aside.
            block: the block.
            intent: the append of it that may have been applied.

        Raises:
            OSError: it can't be written.

        """
        sharing.make(self._directory)
        before = self._last(block) if intent is None and name not in self.sizes else None
        if before is None:
            self._write(batches.Batch(name, (block,), {}, aside=name), intent)
            return
        (first,) = before.blocks
        whole = dataclasses.replace(
            first,
            data=first.data + block.data,
            rows=first.rows + block.rows,
            writers=tuple(dict.fromkeys((*first.writers, *block.writers))),
        )
        joined = batches.Joined(name, len(block.data), block.rows)
        self._write(dataclasses.replace(before, blocks=(whole,), joined=joined), None)

    def take_back(self, name: str) -> None:
        """Undo a ``put``, the last one, whose process was killed before it could note that the block is here.

        Raises:
            OSError: it is still here.

        """
        if name in self.sizes:
            self.remove(name)
            return
        for each in list(self.sizes):
            if _last_joined(self._directory / each) != name:
                continue
            try:
                found = self.get(each)
            except batches.NewerError:
                continue  # whoever wrote that took it back, or will
            if found is not None and found[0].joined is not None:
                (block,), joined = found[0].blocks, found[0].joined
                rest = dataclasses.replace(block, data=block.data[: -joined.bytes], rows=block.rows - joined.rows)
                self._write(dataclasses.replace(found[0], blocks=(rest,), joined=None), found[1])

    def _last(self, block: batches.Block) -> batches.Batch | None:
        """Return what another block for the same file can be joined to."""
        waiting = self._by_place.get(detour.place(block))
        name = next(reversed(waiting)) if waiting else ""
        if not name or self.sizes[name] + len(block.data) > JOIN_BYTES:
            return None
        try:
            found = self.get(name)
        except batches.NewerError:
            return None
        if found is None or found[1] is not None:  # in doubt: only these very bytes at their place may be sent
            return None
        (there,) = found[0].blocks
        return found[0] if (there.header, there.owner) == (block.header, block.owner) else None

    def _write(self, batch: batches.Batch, intent: journal.Intent | None) -> None:
        name = batch.aside
        doubt = orjson.dumps(
            dataclasses.asdict(intent) if intent is not None else None, option=orjson.OPT_APPEND_NEWLINE
        )
        parts = [doubt, *batches.encode(batch)]
        sharing.replace(self._directory / name, parts)
        self._note(name, sum(map(len, parts)), detour.place(batch.blocks[0]))

    def next(self, now: float, around: detour.Detour) -> str:
        """Return the name of the next block whose file is to be tried; empty if there is none.

        Args:
            now: by the monotonic clock.
            around: which files are not.

        """
        for place, names in self._by_place.items():
            if around.around(place, now) is None:
                return next(iter(names))
        return ""

    def _note(self, name: str, size: int, place: detour.Place) -> None:
        if self._places.get(name) != place:
            self._forget(name)
        self.sizes[name], self._places[name] = size, place
        self._by_place.setdefault(place, {})[name] = None

    def _forget(self, name: str) -> None:
        if self.sizes.pop(name, None) is None:
            return
        place = self._places.pop(name)
        names = self._by_place[place]
        del names[name]
        if not names:
            del self._by_place[place]

    def leave(self, name: str) -> None:
        """Leave a block where it is, for another process."""
        self._forget(name)

    def get(self, name: str) -> tuple[batches.Batch, journal.Intent | None] | None:
        """Return a block as a batch, and the append of it that may have been applied; None if it is damaged.

        Raises:
            batches.NewerError: see there.
            OSError: it can't be read at this time.

        """
        try:
            doubt, _, content = (self._directory / name).read_bytes().partition(b"\n")
            batch, document = batches.decode(content), orjson.loads(doubt)
            if document is None:
                return batch, None
            return batch, journal.Intent(**{**document, "batch": name, "block": 0})
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno not in journal.DAMAGED:
                raise
            logger.warning("modeldata: a block that was set aside can't be read: %s", type(error).__name__)
            self._forget(name)
            return None

    def remove(self, name: str) -> None:
        """Forget a block: it was delivered.

        Raises:
            OSError: its file is still there.

        """
        if name in self.sizes:
            (self._directory / name).unlink(missing_ok=True)
            self._forget(name)


def holds(directory: pathlib.Path, writer: str) -> bool:
    """Return whether rows that a process collected are among those set aside; any process may ask.

    Args:
        directory: where they are.
        writer: the name of the process's directory in the spool.

    """
    try:
        names = [each for each in directory.iterdir() if not each.name.endswith(".new")]
    except OSError:
        return False
    return any(writer in _writers(each) for each in names)


def _last_joined(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            file.readline()
            document = orjson.loads(file.readline()[8:])
            return str(document["joined"][0]) if "joined" in document else ""
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""


def _writers(path: pathlib.Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            file.readline()
            return tuple(each for block in _head(file.readline()) for each in block.get("writers", ()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()  # delivered meanwhile, or damaged


def _place(path: pathlib.Path) -> detour.Place:
    try:
        with path.open("rb") as file:
            file.readline()
            (block,) = _head(file.readline())
            return detour.Place(block["endpoint"], block["container"], block["path"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return detour.Place("", "", path.name)  # found out when it is tried


def _head(line: bytes) -> typing.Any:
    return orjson.loads(line[8:])["blocks"]
