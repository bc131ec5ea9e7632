"""Send requests to a model server over some connections that stay open, each when its last one is answered.

Waits for a line ``<port> <seconds>`` on its input, prints the microseconds of each request, and so on.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

CONNECTIONS = 4
_BODY = b'{"data": [[0.12573022, -0.13210486, 0.64042265, 0.10490012, -0.53566937, 0.36159505]]}'
_REQUEST = b"POST /score HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer = b""
        self.sent = 0

    def send(self) -> None:
        self._answer = b""
        self.sent = time.perf_counter_ns()
        self.socket.sendall(_REQUEST)

    def receive(self) -> bool:
        """Take what has come; return whether the answer is whole."""
        self._answer += self.socket.recv(65536)
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            if not self._answer:
                raise ConnectionError("the server closed the connection")
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return len(body) >= int(length.partition(b":")[2])


def load(port: int, seconds: float) -> list[float]:
    connections = [_Connection(port) for _ in range(CONNECTIONS)]
    taken = []
    end = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        waiting = len(connections)
        while waiting:
            for key, _ in selector.select():
                if key.data.receive():
                    now = time.perf_counter_ns()
                    taken.append((now - key.data.sent) / 1000)
                    if time.perf_counter() < end:
                        key.data.send()
                    else:
                        waiting -= 1
    for connection in connections:
        connection.socket.close()
    return taken


def main() -> None:
    for line in sys.stdin:
        port, seconds = line.split()
        print(json.dumps({"us": load(int(port), float(seconds))}), flush=True)


if __name__ == "__main__":
    main()
