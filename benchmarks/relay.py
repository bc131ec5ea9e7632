"""Stands before storage and can make it hang: connections are accepted, what comes is read, and nothing is answered.

Argument: the port of the storage. Prints its own port. A line ``hang`` or ``pass`` on its input switches it, and is
printed when it holds. Connections that saw it hang are closed when it passes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys


class Relay:
    def __init__(self, port: int) -> None:
        self._port = port
        self._hanging = False
        self._connections: set[asyncio.StreamWriter] = set()

    def switch(self, *, hanging: bool) -> None:
        if self._hanging and not hanging:
            for writer in self._connections:
                writer.close()
            self._connections.clear()
        self._hanging = hanging

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        storage_reader, storage_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._pump(reader, storage_writer), self._pump(storage_reader, writer))
        finally:
            self._connections.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while piece := await reader.read(256 * 1024):
                if not self._hanging:
                    writer.write(piece)
                    await writer.drain()


async def main(port: int) -> None:
    relay = Relay(port)
    server = await asyncio.start_server(relay.connect, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while command := (await commands.readline()).decode().strip():
        relay.switch(hanging=command == "hang")
        print(json.dumps({"now": command}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
