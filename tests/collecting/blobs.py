"""A service in memory, with answers that get lost on cue. Everything else is tested against a real Azurite."""

from __future__ import annotations

import typing

from modeldata.delivery.azure import answers

Answer, Reply = answers.Answer, answers.Reply


class Killed(BaseException):
    """The process ends here."""


class Service:
    """Append blobs, by the service's rules."""

    def __init__(self, most_blocks: int = 50_000) -> None:
        self.blobs: dict[str, bytes] = {}
        self.blocks: dict[str, int] = {}
        self.block_blobs: set[str] = set()
        self.most_blocks = most_blocks
        self.without_write = False
        """A SAS that may create but not write answers 403 where the blob exists."""
        self.without_read = False
        """A SAS ``ac`` answers 403 to whoever wants to know what or how much is there."""
        self.refused: dict[str, answers.Answer] = {}
        """What every append to a blob is answered."""

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        if name in self.refused:
            return Reply(self.refused[name])
        if name in self.block_blobs:
            return Reply(Answer.SEALED)
        if name not in self.blobs:
            return Reply(Answer.NO_BLOB)
        if len(self.blobs[name]) != position:
            return Reply(Answer.POSITION)
        if self.blocks[name] >= self.most_blocks:
            return Reply(Answer.SEALED)
        self.blobs[name] += data
        self.blocks[name] += 1
        return Reply(Answer.DONE, blocks=self.blocks[name])

    def create(self, name: str) -> answers.Reply:
        if name in self.blobs:
            return Reply(Answer.DENIED if self.without_write else Answer.EXISTS)
        self.blobs[name], self.blocks[name] = b"", 0
        return Reply(Answer.DONE)

    def size(self, name: str) -> tuple[answers.Reply, int]:
        if self.without_read:
            return Reply(Answer.DENIED), 0
        if name not in self.blobs:
            return Reply(Answer.NO_BLOB), 0
        return Reply(Answer.DONE), len(self.blobs[name])

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        if self.without_read:
            return Reply(Answer.DENIED), b""
        if name not in self.blobs:
            return Reply(Answer.NO_BLOB), b""
        return Reply(Answer.DONE), self.blobs[name][start : start + length]

    def remove(self, name: str) -> None:
        del self.blobs[name], self.blocks[name]


class Connection:
    """One process's way to the service. ``fate`` says what becomes of each request."""

    def __init__(self, service: Service, fate: typing.Callable[[int, str], str] = lambda number, request: "") -> None:
        self._service = service
        self._fate = fate
        self.requests = 0

    def append(self, name: str, data: bytes, position: int) -> answers.Reply:
        return self._send("append", lambda: self._service.append(name, data, position), Reply(Answer.AMBIGUOUS))

    def create(self, name: str) -> answers.Reply:
        return self._send("create", lambda: self._service.create(name), Reply(Answer.AMBIGUOUS))

    def size(self, name: str) -> tuple[answers.Reply, int]:
        return self._send("size", lambda: self._service.size(name), (Reply(Answer.AMBIGUOUS), 0))

    def read(self, name: str, start: int, length: int) -> tuple[answers.Reply, bytes]:
        return self._send("read", lambda: self._service.read(name, start, length), (Reply(Answer.AMBIGUOUS), b""))

    def _send(self, request: str, apply: typing.Callable[[], typing.Any], lost: typing.Any) -> typing.Any:
        fate = self._fate(self.requests, request)
        self.requests += 1
        if fate == "killed before":
            raise Killed
        if fate == "lost before":
            return lost
        answer = apply()
        if fate == "killed after":
            raise Killed
        return lost if fate == "lost after" else answer
