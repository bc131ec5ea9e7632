"""Days that are wanted, found by walking through folders: never a listing of all files."""

from __future__ import annotations

import typing

from ..days import template
from ..storage import Blobs


def find(store: Blobs, path: template.Template, wanted: template.Wanted) -> typing.Iterator[template.Day]:
    """Yield the days whose folders there are, stream by stream as the path sorts them, each stream's in their order.

    A folder may be empty of raw files: they may all be deleted, as they are closed.
    """
    yield from _below(store, path, wanted, [])


def _below(
    store: Blobs, path: template.Template, wanted: template.Wanted, folders: list[str]
) -> typing.Iterator[template.Day]:
    depth = len(folders)
    if depth == len(path.parts):
        day = path.day("/".join(folders))
        if day is not None:
            yield day
        return
    name = path.literal(depth, wanted)
    names = [name] if name is not None else sorted(store.folders("".join(f"{each}/" for each in folders)))
    for each in names:
        found = path.match([*folders, each])
        if found is not None and wanted.takes(found):
            yield from _below(store, path, wanted, [*folders, each])
