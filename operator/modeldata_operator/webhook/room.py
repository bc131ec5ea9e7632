"""How much of the world's requests the webhook holds at once: whoever asks for more must not cost it its memory.

Any pod may reach the webhook, and most clusters give the API server no certificate to show, so nobody is known. What is
over the bound is closed or answered at once; a pod that is being created starts uncollected then, and is not refused.
"""

from collections import Counter

MAX_BYTES = 3 * 1024 * 1024
"""Of a review. The API server takes requests of 3 MiB at most, and etcd stores half of that; what is created has no
older version beside it."""

SMALL_BYTES = 256 * 1024
"""Of a review that has the room of the small ones, as nearly all pods' have: some ten kilobytes."""

ROOM_BYTES = 12 * 1024 * 1024
"""Of all small reviews together, and of all others: four of the largest. Parsed, one may take 25 times its bytes, which
is why only one at a time is (review.py)."""

CONNECTIONS = 256
"""Each takes some 300 KiB, most of it for TLS. An API server opens as many as it has pods to create at that moment."""


class Room:
    """Counts what is held. One address gets half of everything at most, so that it can't turn all others away."""

    def __init__(self) -> None:
        self._connections: Counter[str] = Counter()
        self._bytes: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}

    def connect(self, address: str) -> bool:
        """Take in a connection; False if there is no room for it."""
        return _take(self._connections, address, 1, CONNECTIONS)

    def disconnect(self, address: str) -> None:
        """Make room again."""
        _give_back(self._connections, address, 1)

    def read(self, address: str, size: int) -> bool:
        """Take in the body of a review; False if there is no room for it."""
        return _take(self._bytes[size <= SMALL_BYTES], address, size, ROOM_BYTES)

    def forget(self, address: str, size: int) -> None:
        """Make room again."""
        _give_back(self._bytes[size <= SMALL_BYTES], address, size)


def _take(held: Counter[str], address: str, size: int, most: int) -> bool:
    if held[address] + size > most // 2 or held.total() + size > most:
        return False
    held[address] += size
    return True


def _give_back(held: Counter[str], address: str, size: int) -> None:
    held[address] -= size
    if not held[address]:
        del held[address]
