"""The manifest of a day, ``_closed.json``: which bytes of which raw files are closed, and in which parts they lie."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing

VERSION = 1
"""The form of the file; one that is newer is left alone."""
MOST_BYTES = 16 * 1024 * 1024
"""No manifest of ours is longer: 10,000 sources of 200 bytes are 2 MB."""

CSV, PARQUET = "CSV", "Parquet"
FORMATS = (CSV, PARQUET)

_SOURCE = re.compile(r"data[^/]*\.csv")
_PART = re.compile(r"part-[0-9]{4,}\.parquet")
_TYPE = re.compile(r"[A-Z]+( [A-Z]+)*")


class ManifestError(Exception):
    """A manifest that can't be obeyed; nothing of its day may be changed."""


class Damaged(ManifestError):  # noqa: N818
    """It is not what any version wrote."""


class Newer(ManifestError):  # noqa: N818
    """A later version of this package wrote it."""


class Source(typing.NamedTuple):
    """How much of a raw file is closed: always from its beginning."""

    created: str
    """Tells the file from another one that later has its name."""
    first: str
    """Digest of its header and first row (``records.first``): tells it in a copy of the container, too."""
    to: int
    """Bytes."""
    rows: int


class Range(typing.NamedTuple):
    """Bytes of a raw file that a pass closes: from the end of a row to the end of a row."""

    name: str
    created: str
    first: str
    start: int
    end: int
    rows: int
    """In these bytes, the header not counted; some may be closed already, and are dropped."""


class Part(typing.NamedTuple):
    """An immutable file of typed rows: those that one pass closed."""

    name: str
    rows: int
    rescued: tuple[str, ...]
    """Its columns with texts that don't fit their type: they are null there, and lie in ``columns.RESCUED``."""


class Column(typing.NamedTuple):
    """A column of a day: its name as in the raw files, of which several may be the same, and its type."""

    name: str
    type: str
    """As DuckDB calls it."""


@dataclasses.dataclass(frozen=True)
class Next:
    """A pass that has begun. Whoever goes on with it reads just these bytes."""

    number: int
    ranges: tuple[Range, ...]
    columns: tuple[Column, ...]
    """Those of the day, behind this pass."""
    rows: int
    """That are new: rows of the ranges without those that are closed already."""
    rescued: tuple[str, ...]
    """As in ``Part``."""
    formats: tuple[str, ...]

    @property
    def part(self) -> str:
        """The last part of the name of its typed part."""
        return f"part-{self.number:04}.parquet"

    def digest(self, folder: str) -> str:
        """Return what tells this pass from all others, also of days whose manifest somebody removed."""
        return hashlib.sha256(json.dumps([folder, _next_document(self)]).encode()).hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is closed of a day."""

    number: int = 0
    """The last pass that was finished; 0: none was."""
    rows: int = 0
    columns: tuple[Column, ...] = ()
    """In the order of the closed file."""
    sources: typing.Mapping[str, Source] = dataclasses.field(default_factory=dict)
    """By the raw file's last part of its name."""
    parts: tuple[Part, ...] = ()
    formats: tuple[str, ...] = ()
    """What the day is closed as: ``CSV``, ``Parquet``. Each has all closed rows."""
    next: Next | None = None

    def covered(self, name: str, created: str) -> int:
        """Return how many bytes of a raw file are closed."""
        source = self.sources.get(name)
        return source.to if source is not None and created in {source.created, source.first} else 0

    def advanced(self) -> Manifest:
        """Return what is closed when the pass that has begun is finished."""
        done = self.next
        assert done is not None
        before = {each.name: self.covered(each.name, each.created) for each in done.ranges}
        sources = dict(self.sources)
        for each in done.ranges:
            rows = sources[each.name].rows if before[each.name] else 0
            sources[each.name] = Source(each.created, each.first, each.end, rows + each.rows)
        part = (Part(done.part, done.rows, done.rescued),) if PARQUET in done.formats and done.rows else ()
        return Manifest(
            done.number, self.rows + done.rows, done.columns, sources, (*self.parts, *part), done.formats, None
        )

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        document = {
            "version": VERSION,
            "pass": self.number,
            "rows": self.rows,
            "columns": [list(each) for each in self.columns],
            "sources": {name: source._asdict() for name, source in self.sources.items()},
            "parts": [each._asdict() for each in self.parts],
            "formats": list(self.formats),
            "next": None if self.next is None else _next_document(self.next),
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode()


def _next_document(of: Next) -> dict[str, object]:
    return {
        "pass": of.number,
        "ranges": [each._asdict() for each in of.ranges],
        "columns": [list(each) for each in of.columns],
        "rows": of.rows,
        "rescued": list(of.rescued),
        "formats": list(of.formats),
    }


def read(content: bytes) -> Manifest:
    """Return what a manifest says.

    Raises ``Newer`` or ``Damaged``, with what is wrong.
    """
    try:
        document = _Object(json.loads(content), "it")
        version = document.number("version", least=1)
        if version > VERSION:
            raise Newer(f"it has version {version}, and this release knows {VERSION}: upgrade modeldata-analytics")
        following = document.get("next")
        return Manifest(
            number=document.number("pass"),
            rows=document.number("rows"),
            columns=tuple(_column(each) for each in document.list("columns")),
            sources={
                _named(name, _SOURCE): _source(_Object(each, name))
                for name, each in _Object(document.get("sources"), "sources").items()
            },
            parts=tuple(_part(_Object(each, "a part")) for each in document.list("parts")),
            formats=tuple(_format(each) for each in document.list("formats")),
            next=None if following is None else _next(_Object(following, "next")),
        )
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is no manifest: {error}") from None


class _Object:
    """An object of a document, read with what it must hold."""

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{name} is no object")
        self._value: dict[str, object] = value
        self._name = name

    def get(self, key: str) -> object:
        if key not in self._value:
            raise ValueError(f"{self._name} has no {key!r}")
        return self._value[key]

    def items(self) -> typing.Iterable[tuple[str, object]]:
        return self._value.items()

    def number(self, key: str, *, least: int = 0) -> int:
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{key!r} of {self._name} is no number from {least} on")
        return value

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise ValueError(f"{key!r} of {self._name} is no text")
        return value

    def list(self, key: str) -> list[typing.Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise ValueError(f"{key!r} of {self._name} is no list")
        return value


def _named(name: str, pattern: re.Pattern[str]) -> str:
    # A name from a file that others may write must not lead out of the day's folder.
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a file of a day")
    return name


def _column(value: object) -> Column:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(each, str) for each in value):
        raise ValueError("a column is no pair of name and type")
    # The type becomes SQL: anything else than a type of ours must not.
    if not _TYPE.fullmatch(value[1]):
        raise ValueError(f"{value[1]!r} is no type")
    return Column(value[0], value[1])


def _format(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a format is no text")
    return value


def _texts(values: list[object]) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in values):
        raise ValueError("a name is no text")
    return tuple(str(each) for each in values)


def _source(found: _Object) -> Source:
    return Source(found.text("created"), found.text("first"), found.number("to"), found.number("rows"))


def _part(found: _Object) -> Part:
    return Part(_named(found.text("name"), _PART), found.number("rows"), _texts(found.list("rescued")))


def _next(found: _Object) -> Next:
    ranges = []
    for each in (_Object(value, "a range") for value in found.list("ranges")):
        one = Range(
            _named(each.text("name"), _SOURCE),
            each.text("created"),
            each.text("first"),
            each.number("start"),
            each.number("end", least=1),
            each.number("rows"),
        )
        if one.end <= one.start:
            raise ValueError(f"the range of {one.name} ends before it begins")
        ranges.append(one)
    return Next(
        found.number("pass", least=1),
        tuple(ranges),
        tuple(_column(each) for each in found.list("columns")),
        found.number("rows"),
        _texts(found.list("rescued")),
        tuple(_format(each) for each in found.list("formats")),
    )
