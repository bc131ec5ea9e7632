"""What the shipper must know after it was killed: rows taken from the spool, and the append under way.

In ``spool/.shipper/``, each file replaced as a whole (written aside and renamed):

``state``   how far each segment has been delivered, and the last batch that was
``batch``   rows taken from the spool, as the very bytes to be appended
``intent``  the block of the batch under way, and the position in the blob that it goes to

A block's bytes and position are on disk before the first try, so that any later process can repeat the same request or
find out that it was applied.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import typing

import orjson

logger = logging.getLogger("modeldata")


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
        head = orjson.dumps({"id": batch.id, "upto": batch.upto, "blocks": blocks}, option=orjson.OPT_APPEND_NEWLINE)
        self.batch, self.intent = batch, None
        self._replace("batch", [head, *(block.data for block in batch.blocks)])

    def intend(self, intent: Intent) -> None:
        """Write down the append that comes next."""
        self.intent = intent
        self._replace("intent", [orjson.dumps(dataclasses.asdict(intent))])

    def finish(self, existing: typing.Container[str]) -> None:
        """Close the batch: all its rows are delivered.

        Args:
            existing: keys of the segments that still exist; others need not be remembered.

        """
        assert self.batch is not None
        merged = {**self.consumed, **self.batch.upto}
        self.consumed = {key: offset for key, offset in merged.items() if key in existing}
        self._replace("state", [orjson.dumps({"batch": self.batch.id, "consumed": self.consumed})])
        self.batch = self.intent = None
        for name in ("batch", "intent"):
            (self._directory / name).unlink(missing_ok=True)

    def _load(self) -> None:
        state = self._read_json("state")
        self.consumed = {str(key): int(offset) for key, offset in state.get("consumed", {}).items()}
        batch = self._read_batch()
        if batch is None or batch.id == state.get("batch"):
            return  # killed between the state and the removal of the batch: it was delivered
        self.batch = batch
        intent = self._read_json("intent")
        if intent and intent["batch"] == batch.id:
            self.intent = Intent(**intent)

    def _read_json(self, name: str) -> dict[str, typing.Any]:
        try:
            document = orjson.loads((self._directory / name).read_bytes())
        except FileNotFoundError:
            return {}
        return document if isinstance(document, dict) else {}

    def _read_batch(self) -> Batch | None:
        try:
            content = (self._directory / "batch").read_bytes()
        except FileNotFoundError:
            return None
        head, _, data = content.partition(b"\n")
        document = orjson.loads(head)
        blocks, start = [], 0
        for block in document["blocks"]:
            end = start + block["bytes"]
            blocks.append(
                Block(
                    block["endpoint"],
                    block["container"],
                    block["path"],
                    block["header"].encode(),
                    data[start:end],
                    block["rows"],
                )
            )
            start = end
        return Batch(document["id"], tuple(blocks), document["upto"])

    def _replace(self, name: str, parts: typing.Iterable[bytes]) -> None:
        aside = self._directory / f"{name}.new"
        try:
            with aside.open("wb") as file:
                file.writelines(parts)
            aside.replace(self._directory / name)
        except OSError as error:
            # A full disk must not stop delivery: delivery is what empties it. Until it has room again, a shipper killed
            # in the middle of an append may repeat that append's rows.
            aside.unlink(missing_ok=True)
            logger.warning("modeldata: the shipper's %s could not be written (%s): it is kept in memory", name, error)


def consumed(directory: pathlib.Path) -> dict[str, int]:
    """Return what another process's shipper has delivered of each segment."""
    try:
        document = orjson.loads((directory / "state").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {str(key): int(offset) for key, offset in document.get("consumed", {}).items()}
