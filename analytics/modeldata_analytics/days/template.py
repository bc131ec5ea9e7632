"""The path of collected files: what it tells of each file, and which folders may hold what is looked for."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
import typing

DEFAULT = (
    "{subscription}/{resourceGroup}/{workspace}/{webservice}/{model}/{version}/{designation}"
    "/{year}/{month}/{day}/{file}"
)
"""``spec.storage.path`` of a DataCollection that has none."""

OURS = frozenset({"closed", "tables", "monitors"})
"""First parts of what is made of collected files: no collected file lies below them."""

_FIELD = re.compile(r"{(\w+)}")
_FIELDS = frozenset(
    {"subscription", "resourceGroup", "workspace", "webservice", "model", "version", "designation", "namespace"}
)
_DATE = {"year": r"[0-9]{4}", "month": r"[0-9]{2}", "day": r"[0-9]{2}"}
_IN_THE_END = frozenset({"version", *_DATE})
_FILE = re.compile(r"data[^/]*\.csv")


class TemplateError(ValueError):
    """A path that no collected file can have."""


class Stream(typing.NamedTuple):
    """Files that continue each other from day to day: one designation of one version of a model."""

    webservice: str
    model: str
    version: str
    designation: str
    table: str
    """Its place below ``tables/``: the path without version, date and file, so that no two streams share one."""
    fields: tuple[tuple[str, str], ...]
    """All that its path tells, such as ``("workspace", "models")``."""

    def __str__(self) -> str:
        """Return ``webservice/model/version/designation``, for messages."""
        return f"{self.webservice}/{self.model}/{self.version}/{self.designation}"


class Day(typing.NamedTuple):
    """One day of a stream, and where what belongs to it lies."""

    stream: Stream
    date: datetime.date
    folder: str
    """Where its raw files lie, without a slash at the end."""

    @property
    def manifest(self) -> str:
        """The file that tells what is closed."""
        return f"{self.folder}/_closed.json"

    @property
    def closed(self) -> str:
        """The day as one file."""
        return f"closed/{self.folder}/data.csv"

    @property
    def parts(self) -> str:
        """The folder of its typed parts."""
        return f"tables/{self.stream.table}/version={self.stream.version}/day={self.date.isoformat()}"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which days are looked for."""

    fields: tuple[tuple[str, str], ...] = ()
    """What fields of the path must be; others may be anything."""
    since: datetime.date | None = None
    until: datetime.date | None = None
    """The last day, itself included."""

    def takes(self, found: typing.Mapping[str, str]) -> bool:
        """Return whether a folder of which so much is known may hold a day that is wanted."""
        if any(found.get(name, value) != value for name, value in self.fields):
            return False
        if self.since is None and self.until is None:
            return True
        first, last = _span(found)
        return (self.until is None or first <= self.until) and (self.since is None or last >= self.since)


@dataclasses.dataclass(frozen=True)
class Template:
    """A path with fields, as ``spec.storage.path``."""

    text: str = DEFAULT

    def __post_init__(self) -> None:
        unknown = set(_FIELD.findall(self.text)) - _FIELDS - set(_DATE) - {"file"}
        if unknown:
            raise TemplateError(f"the path {self.text!r} has the unknown field {{{min(unknown)}}}")
        missing = {"designation", *_DATE} - set(_FIELD.findall(self.text))
        if missing or not self.text.endswith("/{file}"):
            raise TemplateError(
                f"the path {self.text!r} must have {{designation}}, {{year}}, {{month}} and {{day}},"
                " and end with /{file}"
            )

    @functools.cached_property
    def parts(self) -> tuple[str, ...]:
        """The path's folders, as templates, without the file."""
        return tuple(self.text.removesuffix("/{file}").split("/"))

    def literal(self, depth: int, wanted: Wanted) -> str | None:
        """Return the name of the folder at this depth, where only one can be meant; None: it must be looked for."""
        known, part = dict(wanted.fields), self.parts[depth]
        if any(name not in known for name in _FIELD.findall(part)):
            return None
        return _FIELD.sub(lambda field: known[field[1]], part)

    def match(self, folders: typing.Sequence[str]) -> dict[str, str] | None:
        """Return what the first folders of a path tell; None where it is none of a collected file."""
        if len(folders) > len(self.parts) or (folders and folders[0] in OURS):
            return None
        found = _pattern(self.parts[: len(folders)]).fullmatch("/".join(folders))
        return found.groupdict() if found else None

    def day(self, folder: str) -> Day | None:
        """Return the day whose raw files lie in a folder; None where it is none of a day."""
        folders = folder.split("/")
        found = self.match(folders) if len(folders) == len(self.parts) else None
        if found is None:
            return None
        try:
            date = datetime.date(*(int(found.pop(name)) for name in _DATE))
        except ValueError:
            return None
        table = "/".join(name for name, part in zip(folders, self.parts, strict=True) if not _only(part, _IN_THE_END))
        stream = Stream(
            found.get("webservice", "default"),
            found.get("model", "default"),
            found.get("version", "default"),
            found["designation"],
            table,
            tuple(found.items()),
        )
        return Day(stream, date, folder)


def is_raw(name: str) -> bool:
    """Return whether a file of a day's folder, by its last part, is one that a client wrote."""
    return _FILE.fullmatch(name) is not None


def _only(part: str, fields: frozenset[str]) -> bool:
    there = _FIELD.findall(part)
    return bool(there) and fields.issuperset(there)


@functools.lru_cache(maxsize=256)
def _pattern(parts: tuple[str, ...]) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(name: str) -> str:
        if name in seen:  # a field that stands twice is the same twice
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_DATE.get(name, '[^/]+?')})"

    pieces = _FIELD.split("/".join(parts))  # text, field, text, …
    return re.compile("".join(group(piece) if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)))


def _span(found: typing.Mapping[str, str]) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last day that a folder may hold, of which the date is known in part."""
    try:
        year = found.get("year")
        if year is None:
            return datetime.date.min, datetime.date.max
        month = found.get("month")
        if month is None:
            return datetime.date(int(year), 1, 1), datetime.date(int(year), 12, 31)
        if "day" in found:
            day = datetime.date(int(year), int(month), int(found["day"]))
            return day, day
        first = datetime.date(int(year), int(month), 1)
        return first, (first + datetime.timedelta(days=31)).replace(day=1) - datetime.timedelta(days=1)
    except (ValueError, OverflowError):
        return datetime.date.max, datetime.date.min  # no date at all, such as month 13
