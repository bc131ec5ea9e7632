"""What the shipper must know after it was killed: rows taken from the spool, and the append under way.

In ``spool/.shipper/``, each file replaced as a whole (written aside and renamed):

``state``   how far each segment has been delivered, and the last batch that was
``batch``   rows taken from the spool, as the very bytes to be appended
``intent``  the block of the batch under way, and the position in the blob that it goes to

A block's bytes and position are on disk before the first try, so that any later process can repeat the same request or
find out that it was applied.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pathlib
import typing
import zlib

import orjson

logger = logging.getLogger("modeldata")

Value = typing.TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Block:
    """Whole rows for one file, to be appended in one request."""

    endpoint: str
    container: str
    path: str
    """The blob's name, with ``{file}`` where the file's name goes."""
    header: bytes
    data: bytes
    rows: int


@dataclasses.dataclass(frozen=True)
class Batch:
    """Blocks made of a piece of the spool; delivered in order, then forgotten together."""

    id: str
    blocks: tuple[Block, ...]
    upto: dict[str, int]
    """For each segment it was taken from: the offset behind the last record taken."""


@dataclasses.dataclass(frozen=True)
class Intent:
    """An append that may have been tried."""

    batch: str
    block: int
    name: str
    position: int


class Journal:
    """The shipper's files. Used by the one process that holds the shipper's lock."""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.consumed: dict[str, int] = {}
        """For each segment: the offset up to which its rows are in Blob Storage."""
        self.batch: Batch | None = None
        self.intent: Intent | None = None
        self._last = ""
        """The id of the last batch that was finished."""
        self._saved = self._batch_saved = True
        self._complained: set[str] = set()
        self._load()

    def begin(self, batch: Batch) -> None:
        """Take a batch on."""
        blocks = [
            {
                "endpoint": block.endpoint,
                "container": block.container,
                "path": block.path,
                "header": block.header.decode(),
                "bytes": len(block.data),
                "rows": block.rows,
            }
            for block in batch.blocks
        ]
        checksum = 0
        for block in batch.blocks:
            checksum = zlib.crc32(block.data, checksum)
        document = {"id": batch.id, "upto": batch.upto, "blocks": blocks, "crc32": checksum}
        head = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        self.save()
        self.batch, self.intent = batch, None
        self._batch_saved = self._replace("batch", [head, *(block.data for block in batch.blocks)])

    def intend(self, intent: Intent) -> None:
        """Write down the append that comes next."""
        self.intent = intent
        # Not beside an older batch: that one's own intent may still be needed.
        if self._batch_saved:
            self._replace("intent", [orjson.dumps(dataclasses.asdict(intent))])

    def finish(self, existing: typing.Container[str]) -> None:
        """Close the batch: all its rows are delivered.

        Args:
            existing: keys of the segments that still exist; others need not be remembered.

        """
        assert self.batch is not None
        merged = {**self.consumed, **self.batch.upto}
        self.consumed = {key: offset for key, offset in merged.items() if key in existing}
        self._last = self.batch.id
        self.batch = self.intent = None
        self._saved = False
        self.save()

    def save(self) -> None:
        """Write the state if that has failed so far. Until then the last batch is kept, which tells the same."""
        if self._saved:
            return
        self._saved = self._replace("state", [orjson.dumps({"batch": self._last, "consumed": self.consumed})])
        if self._saved:
            with contextlib.suppress(OSError):
                for name in ("batch", "intent"):
                    (self._directory / name).unlink(missing_ok=True)

    def _load(self) -> None:
        state = self._read("state", lambda content: dict(orjson.loads(content))) or {}
        self.consumed = {str(key): int(offset) for key, offset in state.get("consumed", {}).items()}
        self._last = str(state.get("batch", ""))
        batch = self._read("batch", _batch)
        if batch is None or batch.id == self._last:
            return  # killed between the state and the removal of the batch: it was delivered
        self.batch = batch
        intent = self._read("intent", lambda content: Intent(**orjson.loads(content)))
        if intent is not None and intent.batch == batch.id:
            self.intent = intent

    def _read(self, name: str, parse: typing.Callable[[bytes], Value]) -> Value | None:
        try:
            return parse((self._directory / name).read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Files are replaced as a whole, so only a power cut does this: go on, rather than never deliver again.
            logger.warning("modeldata: the shipper's %s is damaged (%s): rows may be sent again", name, error)
            return None

    def _replace(self, name: str, parts: typing.Iterable[bytes]) -> bool:
        aside = self._directory / f"{name}.new"
        try:
            with aside.open("wb") as file:
                file.writelines(parts)
            aside.replace(self._directory / name)
            return True
        except OSError as error:
            # A full disk must not stop delivery: delivery is what empties it. Until it has room again, a shipper killed
            # in the middle of an append may repeat that append's rows.
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            if name not in self._complained:
                self._complained.add(name)
                logger.warning("modeldata: the shipper's %s is kept in memory only: %s", name, error.strerror)
            return False


def _batch(content: bytes) -> Batch:
    head, _, data = content.partition(b"\n")
    document = orjson.loads(head)
    if zlib.crc32(data) != document["crc32"]:
        raise ValueError("wrong checksum")
    blocks, start = [], 0
    for block in document["blocks"]:
        end = start + block.pop("bytes")
        block["header"] = block["header"].encode()
        blocks.append(Block(**block, data=data[start:end]))
        start = end
    return Batch(document["id"], tuple(blocks), document["upto"])


def consumed(directory: pathlib.Path) -> dict[str, int]:
    """Return what another process's shipper has delivered of each segment."""
    try:
        document = orjson.loads((directory / "state").read_bytes())
        return {str(key): int(offset) for key, offset in document.get("consumed", {}).items()}
    except (OSError, ValueError, AttributeError):
        return {}
