"""A directory for a run's files, which goes with it; what runs that were killed have left goes too."""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import shutil
import tempfile
import typing

_PREFIX = "modeldata-closing-"


@contextlib.contextmanager
def directory(parent: pathlib.Path) -> typing.Iterator[pathlib.Path]:
    """Make a directory of one's own for a while. Raises ``OSError``."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{_PREFIX}*"):
        _remove(left)
    made = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    with (made / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _remove(left: pathlib.Path) -> None:
    # One without a lock's file may have been made this moment; it is empty, so it costs nothing.
    with contextlib.suppress(OSError), (left / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
