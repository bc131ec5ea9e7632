"""A directory for a run's files, which goes with it."""

from __future__ import annotations

import contextlib
import pathlib
import typing

from .. import scratch


class ScratchError(Exception):
    """No directory can be made where one is wanted."""


@contextlib.contextmanager
def directory(parent: pathlib.Path) -> typing.Iterator[pathlib.Path]:
    """Make a directory of one's own for a while. Raises ``ScratchError``."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        held = scratch.make(parent, "modeldata-closing-")
    except OSError as error:
        raise ScratchError(f"{parent}: {error.strerror}") from None
    try:
        yield held.path
    finally:
        held.remove()
