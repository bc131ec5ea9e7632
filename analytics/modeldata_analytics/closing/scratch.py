"""A directory for a run's files, which goes with it; what runs that were killed have left goes too."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
import typing

from ..storage import locking

_PREFIX = "modeldata-closing-"


class ScratchError(Exception):
    """No directory can be made where one is wanted."""


@contextlib.contextmanager
def directory(parent: pathlib.Path) -> typing.Iterator[pathlib.Path]:
    """Make a directory of one's own for a while. Raises ``ScratchError``."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f"{_PREFIX}*"):
            _remove(left)
        made = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise ScratchError(f"{parent}: {error.strerror}") from None
    with (made / "lock").open("ab") as lock:
        locking.exclusive(lock, wait=True)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _remove(left: pathlib.Path) -> None:
    # One without a lock's file may have been made this moment; it is empty, so it costs nothing.
    with contextlib.suppress(OSError), (left / "lock").open("rb") as lock:
        locking.exclusive(lock, wait=False)
        shutil.rmtree(left, ignore_errors=True)
