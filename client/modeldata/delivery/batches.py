"""What is sent: blocks of whole rows, one file each, in batches; and how a batch lies on disk."""

from __future__ import annotations

import dataclasses
import typing
import zlib

import orjson

FORMAT = 1
"""Of the journal, of batches and of blocks set aside: whatever is added to them is a new one. Versions before wrote
this one without saying so."""


class NewerError(Exception):
    """What is on disk is in a format that this version does not know. It is not damaged: it waits for one that does."""


def check_format(document: typing.Mapping[str, typing.Any]) -> None:
    """Check that a document is of a format that this version knows.

    Raises:
        NewerError: it is not.

    """
    if document.get("format", FORMAT) != FORMAT:
        raise NewerError(f"format {document['format']}")


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
    owner: str = ""
    """The pod whose own file it goes to; empty for the file that all pods share."""
    writers: tuple[str, ...] = ()
    """The directories in the spool of the processes that collected its rows; who waits for them asks."""


class Joined(typing.NamedTuple):
    """A block that was joined to one that had been set aside before, at its end."""

    name: str
    """Under which it would have been set aside alone."""
    bytes: int
    rows: int


@dataclasses.dataclass(frozen=True)
class Batch:
    """Blocks made of a piece of the spool; delivered in order, then forgotten together."""

    id: str
    blocks: tuple[Block, ...]
    upto: dict[str, int]
    """For each segment it was taken from: the offset behind the last record taken."""
    aside: str = ""
    """The name under which its one block was set aside (see ``aside``)."""
    joined: Joined | None = None
    """What was joined to that block last."""


def encode(batch: Batch) -> list[bytes]:
    """Return a batch as it lies on disk, in pieces: a line that describes it, then the blocks' bytes."""
    blocks = [
        {
            "endpoint": block.endpoint,
            "container": block.container,
            "path": block.path,
            "header": block.header.decode(),
            "bytes": len(block.data),
            "rows": block.rows,
            "owner": block.owner,
            "writers": block.writers,
        }
        for block in batch.blocks
    ]
    checksum = 0
    for block in batch.blocks:
        checksum = zlib.crc32(block.data, checksum)
    document: dict[str, object] = {
        "format": FORMAT,
        "id": batch.id,
        "upto": batch.upto,
        "aside": batch.aside,
        "blocks": blocks,
        "crc32": checksum,
    }
    if batch.joined is not None:
        document["joined"] = list(batch.joined)
    head = orjson.dumps(document)
    return [b"%08x%b\n" % (zlib.crc32(head), head), *(block.data for block in batch.blocks)]


def decode(content: bytes) -> Batch:
    """Read what ``encode`` made, whatever lies behind it.

    Raises:
        NewerError: see there.
        ValueError, LookupError, TypeError, AttributeError: it is damaged.

    """
    start = content.index(b"\n") + 1
    head = content[8 : start - 1]
    if zlib.crc32(head) != int(content[:8], 16):
        raise ValueError("wrong checksum")
    document = orjson.loads(head)
    check_format(document)
    blocks, checksum = [], 0
    for block in document["blocks"]:
        end = start + block.pop("bytes")
        block["header"], block["writers"] = block["header"].encode(), tuple(block.get("writers", ()))
        blocks.append(Block(**block, data=content[start:end]))
        checksum = zlib.crc32(blocks[-1].data, checksum)
        start = end
    if checksum != document["crc32"] or start > len(content):
        raise ValueError("wrong checksum")
    joined = Joined(*document["joined"]) if "joined" in document else None
    return Batch(document["id"], tuple(blocks), document["upto"], document["aside"], joined)
