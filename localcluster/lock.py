"""One at a time: two clones share this machine's cluster and cache."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from console import note


@contextlib.contextmanager
def held(path: Path, other: str) -> Iterator[None]:
    """Holds the lock at this path, after saying so where it waits for the other. The kernel frees a killed one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"waiting for {other} to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
