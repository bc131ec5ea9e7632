"""What the shipper must know after it was killed: rows taken from the spool, and the append under way.

In ``spool/.shipper/``, allocated when the shipper is elected and only overwritten afterwards, as a disk that fills up
must not keep it from noting what it is about to do:

``journal``          two slots, written in turn, each with a number and a checksum; the newer whole one counts: how far
                     each segment is delivered, which batch is open, the append under way, where own files end (all but
                     the latest of those are in ``files.0`` or ``files.1``, see ``ownfiles``)
``batch.0 batch.1``  rows taken from the spool, as the very bytes to be appended; a new batch goes to the file that the
                     open one is not in

A block's bytes and position are on disk before the first try, so that any later process can repeat the same request or
find out that it was applied. Where they can't be written, nothing is appended: the rows wait, and none is sent twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import pathlib
import struct
import typing
import zlib

import orjson

from ..spool import sharing
from . import batches, ownfiles

logger = logging.getLogger("modeldata")

SLOT_BYTES = 64 * 1024
"""Room for the offsets of some 1000 segments. A journal that needs more gets it, if the disk has it."""

BATCH_BYTES = 9 * 512 * 1024
"""Room for a usual batch: the 3 MiB that the shipper takes, and the rows of the call that went beyond."""

_SLOT = struct.Struct("<QII")
DAMAGED = ownfiles.DAMAGED
_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


@dataclasses.dataclass(frozen=True)
class Intent:
    """An append that may have been tried."""

    batch: str
    block: int
    """Those before it are delivered."""
    name: str
    """Empty once it is known that the block is not there: then only ``block`` counts."""
    position: int


@dataclasses.dataclass(frozen=True)
class Saved:
    """What is on disk."""

    number: int = 0
    pod: str = ""
    consumed: dict[str, int] = dataclasses.field(default_factory=dict)
    files: typing.Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)
    """What ``ownfiles`` reads."""
    batch: batches.Batch | None = None
    area: int = -1
    """Which of the batch files holds the open batch; -1 for none."""
    intent: Intent | None = None


class Journal:
    """The shipper's files. Used by the one process that holds the shipper's lock."""

    def __init__(self, directory: pathlib.Path, *, batch_bytes: int = BATCH_BYTES) -> None:
        """Read what is there, and make what is not.

        Args:
            directory: where the files are.
            batch_bytes: room for a usual batch: less than ``BATCH_BYTES`` where the pod may use little disk.

        Raises:
            batches.NewerError: see there.
            OSError: what is there can't be read at this time.

        """
        sharing.make(directory)
        self._directory = directory
        self._batch_bytes = batch_bytes
        self._slot_bytes = min(SLOT_BYTES, batch_bytes)
        saved = load(directory)
        self.pod = saved.pod or os.urandom(4).hex()
        """A name for this spool, where nobody else gives the pod one."""
        self.consumed = saved.consumed
        """For each segment: the offset up to which its rows are in Blob Storage."""
        self._own = ownfiles.OwnFiles(
            directory, most=min(ownfiles.MOST_BYTES, max(ownfiles.LEAST_BYTES, batch_bytes // 4))
        )
        if saved.files:
            self._own.read(saved.files)
        self.files: typing.Mapping[str, ownfiles.OwnFile] = self._own.known
        """This pod's own files, by their address."""
        self.batch = saved.batch
        self.intent = saved.intent
        self._number = saved.number
        self._area = self._open_area = saved.area
        self._saved = True
        self.allocate()

    def allocate(self) -> None:
        """Make the files that are not there. Where the disk has no room, that is tried again when they are needed."""
        with contextlib.suppress(OSError):
            sharing.make(self._directory)
            for name, size in (
                ("journal", 2 * self._slot_bytes),
                ("batch.0", self._batch_bytes),
                ("batch.1", self._batch_bytes),
            ):
                if not (self._directory / name).exists():
                    _allocate(self._directory / name, size)

    def exists(self) -> bool:
        """Return whether there is a journal on disk."""
        return (self._directory / "journal").exists()

    def restore(self) -> None:
        """Write everything anew: somebody removed the directory.

        Raises:
            OSError: it can't be written.

        """
        self.allocate()
        self._own.restore()
        batch, intent = self.batch, self.intent
        if batch is not None:
            self.begin(batch, intent)
        self._write()

    def begin(self, batch: batches.Batch, intent: Intent | None = None) -> None:
        """Take a batch on, in the place of the open one.

        Args:
            batch: the batch.
            intent: the append of its block that may have been tried already, as its aside file tells.

        Raises:
            OSError: it can't be written down. What was open stays open.

        """
        area = 1 if self._open_area == 0 else 0
        path = self._directory / f"batch.{area}"
        parts = batches.encode(batch)
        needed = sum(map(len, parts))
        descriptor = sharing.create(path, os.O_WRONLY)
        try:
            _write(descriptor, parts, 0)
            usual = max(needed, self._batch_bytes)
            if os.fstat(descriptor).st_size > usual:  # an earlier one was larger
                os.ftruncate(descriptor, usual)
        finally:
            os.close(descriptor)
        self.batch, self.intent, self._area = batch, intent, area

    def intend(self, intent: Intent) -> None:
        """Write down the append that comes next.

        Raises:
            OSError: it can't be written down, so it must not be tried.

        """
        before, self.intent = self.intent, intent
        try:
            self._write()
        except OSError:
            self.intent = before
            raise

    def settle(self) -> None:
        """Note that the intent's block is not there; on disk by ``save``."""
        assert self.intent is not None
        self.intent, self._saved = dataclasses.replace(self.intent, name="", position=0), False

    def remember(self, address: str, file: ownfiles.OwnFile) -> None:
        """Note where an own file ends; on disk with the next intent, or by ``save``."""
        self._own.remember(address, file)
        self._saved = False

    def finish(self, existing: typing.Container[str]) -> None:
        """Close the batch: all its rows are delivered, or set aside.

        Args:
            existing: keys of the segments that still exist; others need not be remembered.

        Raises:
            OSError: it can't be written down. It is closed all the same; ``save`` tries again.

        """
        assert self.batch is not None
        merged = {**self.consumed, **self.batch.upto}
        self.consumed = {key: offset for key, offset in merged.items() if key in existing}
        self.batch = self.intent = None
        self._saved = False
        self.save()

    def save(self) -> None:
        """Write down what is not yet.

        Raises:
            OSError: it can't be written.

        """
        if not self._saved:
            self._write()

    def _write(self) -> None:
        document = {
            "format": batches.FORMAT,
            "pod": self.pod,
            "consumed": self.consumed,
            **self._own.document(),
            "open": {"id": self.batch.id, "area": self._area} if self.batch is not None else None,
            "intent": dataclasses.asdict(self.intent) if self.intent is not None else None,
        }
        content = orjson.dumps(document)
        number = self._number + 1
        slot = [_SLOT.pack(number, len(content), zlib.crc32(content)), content]
        path = self._directory / "journal"
        descriptor = sharing.create(path, os.O_WRONLY)
        try:
            half = os.fstat(descriptor).st_size // 2
            if half >= _SLOT.size + len(content):
                _write(descriptor, slot, half * (number % 2))
            else:
                half = max(self._slot_bytes, 2 * (_SLOT.size + len(content)))
                _allocate(path, 2 * half, slot, half * (number % 2))
        finally:
            os.close(descriptor)
        self._number, self._saved = number, True
        self._own.written()
        self._open_area = self._area if self.batch is not None else -1


def load(directory: pathlib.Path) -> Saved:
    """Return what a journal's files say; an onlooker may ask at any time.

    Raises:
        batches.NewerError: see there.
        OSError: they can't be read at this time, as where a process has no descriptor left.

    """
    saved = Saved()
    try:
        found = _newest(directory / "journal")
        if found is None:
            return saved
        number, document = found
        batches.check_format(document)
        saved = Saved(
            number,
            str(document["pod"]),
            {str(key): int(offset) for key, offset in document["consumed"].items()},
            {"files": document["files"], "checkpoint": document.get("checkpoint")},
        )
        if document["open"] is None:
            return saved
        area, intent = int(document["open"]["area"]), document["intent"]
        batch = batches.decode((directory / f"batch.{area}").read_bytes())
        if batch.id != document["open"]["id"]:
            raise ValueError("another batch")
        return dataclasses.replace(saved, batch=batch, area=area, intent=Intent(**intent) if intent else None)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno not in DAMAGED:
            raise  # taken for damage, it would send again what is delivered
        if (directory / "journal").exists():
            # They bear a kill at any moment, so only a power cut does this: go on, rather than never deliver again.
            logger.warning("modeldata: the shipper's journal is damaged (%s): rows may be sent again", error)
        return saved


def consumed(directory: pathlib.Path) -> dict[str, int]:
    """Return what another process's shipper has delivered of each segment."""
    try:
        found = _newest(directory / "journal")
        if found is None:
            return {}
        batches.check_format(found[1])
        return {str(key): int(offset) for key, offset in found[1]["consumed"].items()}
    except (batches.NewerError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _newest(path: pathlib.Path) -> tuple[int, typing.Any] | None:
    """Return the newer whole slot; None before the first was written.

    Raises:
        FileNotFoundError: there is no journal.
        ValueError: something was written, and neither slot is whole.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        half = os.fstat(descriptor).st_size // 2
        slots = []
        for start in (0, half):
            head = os.pread(descriptor, _SLOT.size, start)
            if len(head) == _SLOT.size:
                slots.append((*_SLOT.unpack(head), start + _SLOT.size))
        for number, length, checksum, start in sorted(slots, reverse=True):
            content = os.pread(descriptor, min(length, half), start)
            if number and zlib.crc32(content) == checksum and len(content) == length:
                return number, orjson.loads(content)
    finally:
        os.close(descriptor)
    if any(number for number, *_ in slots):
        raise ValueError("no whole slot")
    return None


def _write(descriptor: int, parts: typing.Iterable[bytes], offset: int) -> None:
    for part in parts:
        left = memoryview(part)
        while left:
            written = os.pwrite(descriptor, left, offset)
            left, offset = left[written:], offset + written


def _allocate(path: pathlib.Path, size: int, parts: typing.Iterable[bytes] = (), offset: int = 0) -> None:
    """Make a file of zeros that has its room on the disk, but for the given bytes; in one step, for who reads it."""
    aside = path.with_name(f"{path.name}.new")
    try:
        descriptor = sharing.create(aside, os.O_WRONLY | os.O_TRUNC)
        try:
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError as error:
                if error.errno not in _NO_ALLOCATION:
                    raise
                _write(descriptor, [bytes(size)], 0)
            _write(descriptor, parts, offset)
        finally:
            os.close(descriptor)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
