"""Which requests are collected, where a percentage of them is.

By a keyed hash of the id, as callers choose ids: without the key, nobody can choose one that is always collected, or
never. Inputs, predictions and labels that come later have the same id, so they are kept or left together, in every
process and pod that has the key.
"""

from __future__ import annotations

import pathlib
import re
import time
import typing

from .. import settings

if typing.TYPE_CHECKING:
    import hashlib

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ROW = re.compile(r"(.+)-(?:0|[1-9]\d{0,6})", re.ASCII)
_OWN_NUMBER = re.compile(r"(?:.*\.)?\d+|(?=.*\d).{8,}", re.ASCII)
"""The last part of an id to which a row's number may have been added: a number, a part's number, or something long with
a digit in it. ``order`` and ``eu1`` are none: so ``order-17`` is a request, and ``order-17-3`` a row of it."""

_AGAIN_SECONDS = 5.0
"""How often a key that is missing is looked for: the Secret may be mounted after the model has begun."""


class Sampler:
    """Decides, with the key of a collection. Looks at the key again with each new settings.

    Args:
        key_file: the key of hashes. Without it, a key is made of what all replicas know: the names of the collection
            and of its container. That is no secret.

    """

    def __init__(self, key_file: pathlib.Path) -> None:
        self._file = key_file
        self._of: settings.Settings | None = None
        self._hash: hashlib.blake2b | None = None
        self._look_at = 0.0

    def keeps(self, request_id: str, percent: int, current: settings.Settings) -> bool:
        """Return whether a request is among the percentage that is collected: the same for each row of it."""
        found = self._hash
        if found is None or current is not self._of or (self._look_at and time.monotonic() >= self._look_at):
            found = self._learn(current)
        each = found.copy()
        each.update(request_of(request_id).encode())
        return int.from_bytes(each.digest(), "big") % 100 < percent

    def _learn(self, current: settings.Settings) -> hashlib.blake2b:
        import hashlib  # with OpenSSL behind it: 8 ms and 3 MB that only models with a sampling need

        try:
            key, again = self._file.read_bytes().strip(), 0.0
        except OSError:
            key, again = b"", 0.0
        if not key:
            again = time.monotonic() + _AGAIN_SECONDS
            where = current.storage
            names = (
                (current.collection, where.endpoint, where.container) if where is not None else (current.collection,)
            )
            key = "\n".join(names).encode()
        key = hashlib.blake2b(key).digest()
        made = hashlib.blake2b(key=key, person=b"modeldata/sample", digest_size=8)
        self._hash, self._look_at, self._of = made, again, current
        return made


def request_of(row_id: str) -> str:
    """Return the id of the request that a row is of: labels may come later, with the id of one row.

    A row's number behind a UUID, or behind an id that has a number of its own, is left out of account.
    """
    if _UUID.match(row_id):
        return row_id[:36]
    found = _ROW.fullmatch(row_id)
    if found is None or not _OWN_NUMBER.fullmatch(found.group(1).rpartition("-")[2]):
        return row_id
    return found.group(1)
