"""Features that must not be written as they are: left out, or replaced by a keyed hash.

Done by the shipper, so that it costs the model nothing. Rows obey the settings under which they were collected and
those under which they are sent: neither a redaction lifted nor one ordered in between shows what it should not.
"""

from __future__ import annotations

import pathlib
import typing

from .. import settings

HASH_CHARACTERS = 32
"""Of the hash, in hexadecimal: 128 bits, by which equal values stay equal and different ones different."""


class KeyMissing(Exception):  # noqa: N818 (not an error: rows wait for the key)
    """There are values to be hashed, and no key."""


Rows = typing.List[typing.List[typing.Optional[str]]]  # noqa: UP006 (evaluated at run time by 3.9)
"""Texts of cells, not quoted; None is an empty cell."""


def apply(
    columns: tuple[str, ...], rows: Rows, redactions: typing.Iterable[settings.Redaction], key: bytes
) -> tuple[tuple[str, ...], Rows]:
    """Return columns and rows without what must not be seen. All columns of a feature's name are redacted.

    Args:
        columns: a name for each cell of the longest row.
        rows: may be shorter than ``columns``.
        redactions: where a feature is both dropped and hashed, it is dropped.
        key: of the hash; empty where there is none.

    Raises:
        KeyMissing: a column must be hashed, and there is no key.

    """
    dropped = {each.feature for each in redactions if each.action == settings.Action.DROP}
    hashed = {each.feature for each in redactions if each.action == settings.Action.HASH} - dropped
    if hashed & set(columns) and not key:
        raise KeyMissing
    kept = [place for place, name in enumerate(columns) if name not in dropped]
    secret = {place for place in kept if columns[place] in hashed}
    texts = [
        [_hash(row[place], key) if place in secret else row[place] for place in kept if place < len(row)]
        for row in rows
    ]
    return tuple(columns[place] for place in kept), texts


def read_key(path: pathlib.Path) -> bytes:
    """Return the key that lies beside the credential; empty where there is none, or it can't be read."""
    try:
        return path.read_bytes().strip()
    except OSError:
        return b""


def _hash(text: str | None, key: bytes) -> str | None:
    import hmac  # with OpenSSL behind it: 8 ms and 3 MB that few models need

    return None if text is None else hmac.digest(key, text.encode(), "sha256").hex()[:HASH_CHARACTERS]
