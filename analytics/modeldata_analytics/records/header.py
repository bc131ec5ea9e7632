"""The first line of a collected file, written and read."""

from __future__ import annotations

import re
import typing

_FIELD = re.compile(r'(?:"((?:[^"]+|"")*)"|((?!")[^,\r\n]*))(,|\Z)')
"""As RFC 4180 has it. Python's own reader takes no field over 128 KiB, unless all of a process is told to."""


def line(names: typing.Iterable[str]) -> str:
    """Return names as the client writes them."""
    return ",".join(map(_quoted, names)) + "\r\n"


def names(text: str) -> tuple[str, ...]:
    """Return the names that a line has. Raises ``ValueError``."""
    text = text.removesuffix("\r\n")
    found: list[str] = []
    place, more = 0, bool(text)
    while more:
        field = _FIELD.match(text, place)
        if field is None:
            raise ValueError("it is no line of CSV")
        quoted, bare, comma = field.groups()
        found.append(bare if quoted is None else quoted.replace('""', '"'))
        place, more = field.end(), bool(comma)
    return tuple(found)


def _quoted(name: str) -> str:
    if name and not set(name) & set(',"\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'
