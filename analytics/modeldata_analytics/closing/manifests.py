"""The manifest of a day in its store, always replaced under its ETag."""

from __future__ import annotations

import typing

from ..days import manifest, template
from ..storage import Blobs, Changed
from .plan import DayError


class Held(typing.NamedTuple):
    """A manifest as it was read."""

    manifest: manifest.Manifest
    etag: str | None
    """None: there is none yet."""


def load(store: Blobs, day: template.Day) -> Held:
    """Read a day's manifest. Raises ``DayError`` where it can't be obeyed, and ``StorageError``."""
    content = store.get(day.manifest)
    if content is None:
        return Held(manifest.Manifest(), None)
    try:
        return Held(manifest.read(content.data), content.etag)
    except manifest.ManifestError as error:
        raise DayError(type(error).__name__, f"{day.manifest}: {error}") from None


def replace(store: Blobs, day: template.Day, held: Held, by: manifest.Manifest) -> Held:
    """Write a manifest in the place of one that was read. Raises ``Changed`` where another one closes this day."""
    try:
        return Held(by, store.put(day.manifest, by.to_bytes(), replaces=held.etag, metadata={}))
    except Changed:
        # Ours, whose answer was lost; or that of another one who does just the same: who goes on is all one.
        found = load(store, day)
        if found.manifest != by:
            raise
        return found
