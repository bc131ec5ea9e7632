"""A stand-in for Blob Storage that does next to nothing, so that it takes no processor from what is measured.

It answers the requests that a writer of append blobs makes as the service does (positions and conditions included), but
keeps of each blob only its length, its beginning and its last block. It also takes the payloads of
azureml-ai-monitoring. ``GET /-/counts`` says what arrived. Prints its port.
"""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
import typing
import urllib.parse

HEAD_BYTES = 64 * 1024
_DATE = "Fri, 20 Nov 2026 10:00:00 GMT"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclasses.dataclass
class Blob:
    length: int = 0
    blocks: int = 0
    head: bytes = b""
    last: bytes = b""

    def append(self, block: bytes) -> None:
        self.head = (self.head + block[:HEAD_BYTES])[:HEAD_BYTES] if len(self.head) < HEAD_BYTES else self.head
        self.last = block
        self.length += len(block)
        self.blocks += 1

    def read(self, start: int, end: int) -> bytes:
        if end <= len(self.head):
            return self.head[start:end]
        behind = self.length - len(self.last)
        if start < behind:
            raise LookupError(f"bytes {start} to {end} are not kept")
        return self.last[start - behind : end - behind]


class Answer(typing.NamedTuple):
    status: int
    headers: typing.Mapping[str, str]
    body: bytes = b""


class Sink:
    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self._lines = 0
        self._uncounted: list[bytes] = []
        self.payloads = 0
        self.payload_bytes = 0
        self._lock = threading.RLock()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        path, _, query = target.partition("?")
        with self._lock:
            if method == "POST":
                self.payloads += 1
                self.payload_bytes += len(body)
                return Answer(200, {})
            if path == "/-/counts":
                return Answer(200, {}, json.dumps(self.counts()).encode())
            if method != "PUT":
                return self._read(method, self.blobs.get(path), headers)
            if urllib.parse.parse_qs(query).get("comp") == ["appendblock"]:
                return self._append(self.blobs.get(path), headers, body)
            if path in self.blobs and headers.get("if-none-match") == "*":
                return _refused(409, "BlobAlreadyExists")
            self.blobs[path] = Blob()
            return Answer(201, {"ETag": '"0"', "Last-Modified": _DATE})

    def count_lines(self) -> None:
        """Count those of the blocks that came: after the answer, as 4 MiB take 5 ms."""
        with self._lock:
            while self._uncounted:
                self._lines += self._uncounted.pop().count(b"\n")

    def counts(self) -> dict[str, int]:
        self.count_lines()
        return {
            "lines": self._lines,
            "blobs": sum(blob.length > 0 for blob in self.blobs.values()),
            "blocks": sum(blob.blocks for blob in self.blobs.values()),
            "bytes": sum(blob.length for blob in self.blobs.values()),
            "payloads": self.payloads,
            "payload_bytes": self.payload_bytes,
        }

    def _append(self, blob: Blob | None, headers: dict[str, str], body: bytes) -> Answer:
        if blob is None:
            return _refused(404, "BlobNotFound")
        if headers.get("x-ms-blob-condition-appendpos", str(blob.length)) != str(blob.length):
            return _refused(412, "AppendPositionConditionNotMet")
        position = blob.length
        blob.append(body)
        self._uncounted.append(body)
        said = {"x-ms-blob-append-offset": str(position), "x-ms-blob-committed-block-count": str(blob.blocks)}
        return Answer(201, {"ETag": f'"{blob.blocks}"', "Last-Modified": _DATE, **said})

    def _read(self, method: str, blob: Blob | None, headers: dict[str, str]) -> Answer:
        if blob is None:
            return _refused(404, "BlobNotFound")
        said = {"ETag": f'"{blob.blocks}"', "Last-Modified": _DATE, "x-ms-blob-type": "AppendBlob"}
        if method == "HEAD":
            return Answer(200, {**said, "Content-Length": str(blob.length)})
        asked = _RANGE.match(headers.get("x-ms-range") or headers.get("range") or "bytes=0-")
        assert asked is not None
        start = int(asked.group(1))
        if start >= blob.length:
            return _refused(416, "InvalidRange")
        end = min(blob.length, int(asked.group(2)) + 1) if asked.group(2) else blob.length
        said["Content-Range"] = f"bytes {start}-{end - 1}/{blob.length}"
        return Answer(206, said, blob.read(start, end))


def _refused(status: int, code: str) -> Answer:
    return Answer(status, {"x-ms-error-code": code})


def serve(connection: socket.socket, sink: Sink) -> None:
    """Answer what comes over one connection until it ends."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb", 256 * 1024) as reader:
        while True:
            line = reader.readline()
            if not line:
                return
            method, target, _ = line.decode().split(" ", 2)
            headers = {}
            while (header := reader.readline().strip()) != b"":
                name, _, value = header.decode().partition(":")
                headers[name.strip().lower()] = value.strip()
            length = int(headers.get("content-length") or 0)
            body = reader.read(length)
            if len(body) < length:
                return  # whoever sent it is gone
            status, said, content = sink.answer(method, target, headers, body)
            said = {"Content-Length": str(len(content)), "x-ms-version": "2025-01-05", **said}
            head = f"HTTP/1.1 {status} Sink\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
            connection.sendall(head.encode() + b"\r\n" + content)
            sink.count_lines()


def main() -> None:
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        print(json.dumps({"port": server.getsockname()[1]}), flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, sink), daemon=True).start()


if __name__ == "__main__":
    main()
