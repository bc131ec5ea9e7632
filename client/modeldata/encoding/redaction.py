"""Features that must not be written as they are: left out, or replaced by a keyed hash.

Done by the shipper, so that it costs the model nothing. Rows obey the settings under which they were collected and
those under which they are sent: neither a redaction lifted nor one ordered in between shows what it should not.

A value's path is the name of its column and the keys that lead to it within the cell, each of them split where it is a
path itself (``customer.email``). A feature is found where its own parts stand in that path, one behind the other, in
letters of any case: so under its exact name, under another spelling of it, as the last part of a path, and as a part
that has others below it. Then all that is below it is redacted too.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import re
import typing

from .. import settings
from ..tables import cells
from ..threads import turns
from . import layout

HASH_CHARACTERS = 32
"""Of the hash, in hexadecimal: 128 bits, by which equal values stay equal and different ones different."""

_BETWEEN_PARTS = re.compile(r"[./\[\]]+")
_NAMING = frozenset(
    ("name", "feature", "column", "key", "field", "names", "features", "columns", "keys", "fields", "variable")
)
"""Keys of an object that may hold the name of what else is in it: ``{"name": "ssn", "data": [...]}``."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_MOST_KNOWN = 200
"""Characters of a name whose parts are remembered: a key may be anything that a caller sends."""
_MOST_LEVELS = 200
"""Of what is nested: orjson refuses more than 254."""

_PLAIN = frozenset((int, float, bool, type(None)))

Parts = typing.Tuple[str, ...]  # noqa: UP006 (evaluated at run time by 3.9)
Rows = typing.List[typing.List[typing.Any]]  # noqa: UP006 (as above)
"""Cells as they lie in the spool, or as their texts; None is an empty cell."""


class KeyMissing(Exception):  # noqa: N818 (not an error: rows wait for the key)
    """There are values to be hashed, and no key."""


class Redacted(typing.NamedTuple):
    """What may be seen of some rows."""

    columns: tuple[str, ...]
    rows: Rows
    matched: frozenset[settings.Redaction]
    """Redactions that had something to redact."""


def apply(
    columns: tuple[str, ...],
    rows: Rows,
    redactions: typing.Iterable[settings.Redaction],
    key: bytes,
    *,
    also: tuple[str, ...] = (),
) -> Redacted:
    """Return columns and rows without what must not be seen.

    Args:
        columns: a name for each cell of the longest row.
        rows: may be shorter than ``columns``.
        redactions: where a value is both dropped and hashed, it is dropped.
        key: of the hash; empty where there is none.
        also: a second name for each column, which counts as the first one does.

    Raises:
        KeyMissing: a value must be hashed, and there is no key.

    """
    ours = _Redactor(redactions, key)
    paths = list(map(parts, columns))
    actions = [ours.action(path) for path in paths]
    for place, name in enumerate(also):
        actions[place] = _stronger(actions[place], ours.action(parts(name)))
    kept = [place for place, action in enumerate(actions) if action != settings.Action.DROP]
    hashed = {place for place in kept if actions[place] == settings.Action.HASH}
    naming = any(not _NAMING.isdisjoint(path) for path in paths)
    found: Rows = []
    for whole in rows:
        row = whole
        if naming or list in map(type, row):
            row = ours.row(columns, row)
        found.append(
            [
                ours.hash(row[place])
                if place in hashed
                else row[place]
                if type(row[place]) in _PLAIN
                else ours.value(row[place], paths[place])
                for place in kept
                if place < len(row)
            ]
        )
        turns.give_way()
    return Redacted(tuple(columns[place] for place in kept), found, frozenset(ours.matched))


def parts(name: str) -> Parts:
    """Return the parts of a name, as they are compared."""
    return _known_parts(name) if len(name) <= _MOST_KNOWN else _parts(name)


def _parts(name: str) -> Parts:
    whole = _folded(name).strip()
    return tuple(part for part in map(str.strip, _BETWEEN_PARTS.split(whole)) if part) or (whole,)


_known_parts = functools.lru_cache(maxsize=4096)(_parts)


def _folded(text: str) -> str:
    import unicodedata  # as hmac below

    return unicodedata.normalize("NFKC", text).casefold()


def _json(value: object) -> str:
    """Return a value as JSON; as orjson writes it, but for what orjson refuses, which was within a text."""
    import json  # as above

    return cells.name_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _once(pairs: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    """Return an object of these pairs.

    Raises:
        ValueError: a key comes twice: the text would show a value that the object has not.

    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


class _Redactor:
    """Redacts values by where they stand."""

    def __init__(self, redactions: typing.Iterable[settings.Redaction], key: bytes) -> None:
        self._rules = [(parts(each.feature), each) for each in redactions]
        self._key = key
        self.matched: set[settings.Redaction] = set()

    def action(self, path: Parts) -> settings.Action | None:
        """Return what is to be done to the value at a path."""
        found = None
        for wanted, redaction in self._rules:
            if _is_within(wanted, path):
                self.matched.add(redaction)
                found = _stronger(found, redaction.action)
        return found

    def hash(self, value: object) -> str | None:
        """Return a value's hash.

        Raises:
            KeyMissing: there is no key.

        """
        import hmac  # with OpenSSL behind it: 8 ms and 3 MB that few models need

        if not self._key:
            raise KeyMissing
        text = _json(value) if isinstance(value, (list, dict)) else layout.cell_text(value)
        return (
            None
            if text is None
            else hmac.digest(self._key, text.encode(errors="replace"), "sha256").hex()[:HASH_CHARACTERS]
        )

    def row(self, columns: tuple[str, ...], row: list[typing.Any]) -> list[typing.Any]:
        """Return a row in which cells that say what others are about are obeyed, as in an object."""
        named = self._name_within(zip(columns, row), ())
        places = self._places(row, ())
        if named is None and not places:
            return row
        return [
            cell if named is None or _is_naming(name) else self._as(named, cell)
            for name, cell in zip(columns, (self._without(cell, places) for cell in row))
        ]

    def _as(self, action: settings.Action, value: object) -> str | None:
        return None if action == settings.Action.DROP else self.hash(value)

    def value(self, value: typing.Any, path: Parts, level: int = 0) -> typing.Any:
        """Return what may be seen of a value at a path that is not redacted itself."""
        kind = type(value)
        if kind is dict:
            return self._object(value, path, level) if level < _MOST_LEVELS else None
        if kind is list:
            return [self.value(each, path, level + 1) for each in value] if level < _MOST_LEVELS else None
        if kind is str and value[:1] in ("{", "[", " ", "\n", "\t", "\r"):
            return self._text(value, path, level)
        return value

    def _text(self, text: str, path: Parts, level: int) -> str | None:
        """Return a text that may be JSON: what such a text holds is found too."""
        import json  # it reads what models write, NaN and infinities included, and tells of keys that come twice

        if not text.lstrip().startswith(("{", "[")):
            return text
        try:
            inner = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            # What looks like an object and is none can't be looked through, so it is as if it were the feature.
            plain = _folded(_ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text))
            named = [redaction for wanted, redaction in self._rules if wanted[-1] in plain]
            if not named or "{" not in text:
                return text
            self.matched.update(named)
            return None
        seen = self.value(inner, path, level + 1)
        return text if seen == inner else _json(seen)

    def _object(self, value: dict[str, typing.Any], path: Parts, level: int) -> typing.Any:
        named = self._name_within(value.items(), path)
        if named == settings.Action.DROP:
            return None
        places = self._places(value.values(), path)
        seen: dict[str, typing.Any] = {}
        for key, inner in value.items():
            below = path + parts(key)
            action = self.action(below)
            if action == settings.Action.DROP:
                continue
            if action == settings.Action.HASH or (named == settings.Action.HASH and not _is_naming(key)):
                seen[key] = self.hash(inner)
            else:
                seen[key] = self.value(self._without(inner, places), below, level + 1)
        return seen

    def _name_within(self, items: typing.Iterable[tuple[str, typing.Any]], path: Parts) -> settings.Action | None:
        """Return what is to be done to an object that says in one of its values what it is about."""
        found = None
        for key, inner in items:
            if type(inner) is str and _is_naming(key):
                found = _stronger(found, self.action(path + parts(inner)))
        return found

    def _places(self, values: typing.Iterable[typing.Any], path: Parts) -> dict[int, dict[int, settings.Action]]:
        """Return which places of lists are redacted, by the lists' lengths: an object may name its columns in a list.

        As ``{"columns": ["age", "ssn"], "data": [[41, "1-2"]]}``.
        """
        found: dict[int, dict[int, settings.Action]] = {}
        for names in values:
            if type(names) is list and names and all(type(name) is str for name in names):
                actions = {place: self.action(path + parts(name)) for place, name in enumerate(names)}
                hidden = {place: action for place, action in actions.items() if action is not None}
                if hidden:
                    found.setdefault(len(names), {}).update(hidden)
        return found

    def _without(self, value: typing.Any, places: dict[int, dict[int, settings.Action]]) -> typing.Any:
        """Return a list, or a list of lists, without what stands at such places; names of what is hashed stay."""
        if not places or type(value) is not list:
            return value
        if any(type(inner) in (list, dict) for inner in value):
            value = [self._without(inner, places) for inner in value]
        actions = places.get(len(value))
        if not actions:
            return value
        kept = [(place, inner) for place, inner in enumerate(value) if actions.get(place) != settings.Action.DROP]
        return [self.hash(inner) if place in actions and not self._is_name(inner) else inner for place, inner in kept]

    def _is_name(self, value: object) -> bool:
        return type(value) is str and self.action(parts(value)) is not None


def _is_naming(key: str) -> bool:
    return parts(key)[-1] in _NAMING


def _is_within(wanted: Parts, path: Parts) -> bool:
    length = len(wanted)
    if length == 1:
        return wanted[0] in path
    return any(path[start : start + length] == wanted for start in range(len(path) - length + 1))


def _stronger(one: settings.Action | None, other: settings.Action | None) -> settings.Action | None:
    return settings.Action.DROP if settings.Action.DROP in (one, other) else one or other


def read_key(path: pathlib.Path) -> bytes:
    """Return the key that lies beside the credential; empty where there is none, or it can't be read."""
    with contextlib.suppress(OSError):
        return path.read_bytes().strip()
    return b""
