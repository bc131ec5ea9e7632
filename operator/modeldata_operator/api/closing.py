"""Closing days, as a DataCollection asks for it, and what a Job that closed some says of it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from . import fields
from .fields import ResourceError

DEFAULT_AFTER = "6h"
REPORT_VERSION = 1
REPORT_BYTES = 4096
"""What a kubelet keeps of a termination message."""
MOST_FAILED, MOST_STREAMS = 10, 10
LONGEST_TEXT = 256
_SIGNATURE = re.compile(r"(?i)\bsig=[^&\s\"']*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Format(StrEnum):
    """What a closed day is written as."""

    CSV = "CSV"
    PARQUET = "Parquet"


class Engine(StrEnum):
    """What closes a day."""

    DUCKDB = "DuckDB"


@dataclass(frozen=True, slots=True)
class Closing:
    """What spec.closing says."""

    after: str
    """A number and ``m`` or ``h``."""
    formats: tuple[Format, ...]
    delta: bool
    delete_after: str | None
    """A number and ``h``; None: raw files are never deleted."""
    suspend: bool
    engine: Engine

    @property
    def waits(self) -> timedelta:
        """Say how long after its end a day is closed."""
        return timedelta(**{{"m": "minutes", "h": "hours"}[self.after[-1]]: int(self.after[:-1])})


@dataclass(frozen=True, slots=True)
class Runner:
    """How Jobs are made here: what the chart's values say."""

    template: Mapping[str, Any]
    """The pod's template, as the chart has it, with one container. It is passed on and not looked into."""
    labels: Mapping[str, str]
    """Of the Job."""
    memory: str
    threads: int
    at_once: int
    """How many Jobs may run at a time, over all collections."""
    deadline: timedelta
    """How long a Job may take, and so how long its SAS lives."""


@dataclass(frozen=True, slots=True)
class FailedDay:
    """A day that could not be closed, as the Job says it."""

    day: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One of the streams that were closed."""

    stream: str
    """``<webservice>/<model>/<version>/<designation>``."""
    through: str
    rows: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a Job says at its end: docs/contract/closing.schema.json."""

    through: str | None
    """The last day of which everything that is there is closed."""
    days: int
    rows: int
    late_days: int
    late_rows: int
    pending_days: int
    deleted_files: int
    failed: tuple[FailedDay, ...]
    streams: tuple[StreamReport, ...]


def closing(value: object) -> Closing | None:
    """Parse spec.closing; None: no day is closed.

    Raises:
        ResourceError: it makes no sense.

    """
    if value is None:
        return None
    spec = fields.mapping(value, "spec.closing")
    formats = tuple(
        fields.choice(each, "spec.closing.formats", Format)
        for each in fields.strings(spec.get("formats", list(Format)), "spec.closing.formats")
    )
    if not formats:
        raise ResourceError("spec.closing.formats must not be empty")
    delta = fields.boolean(spec.get("delta", False), "spec.closing.delta")
    if delta and Format.PARQUET not in formats:
        raise ResourceError("spec.closing.delta needs Parquet among spec.closing.formats")
    delete_after = spec.get("deleteAfter")
    engine = fields.mapping(spec.get("engine"), "spec.closing.engine")
    return Closing(
        after=_duration(spec.get("after", DEFAULT_AFTER), "spec.closing.after", r"[1-9][0-9]{0,3}(m|h)"),
        formats=formats,
        delta=delta,
        delete_after=None
        if delete_after is None
        else _duration(delete_after, "spec.closing.deleteAfter", r"[1-9][0-9]{2,4}h"),
        suspend=fields.boolean(spec.get("suspend", False), "spec.closing.suspend"),
        engine=fields.choice(engine.get("name", Engine.DUCKDB), "spec.closing.engine.name", Engine),
    )


def runner(text: str) -> Runner | None:
    """Parse what the chart says of the Jobs, JSON; None: it says that none are made.

    Raises:
        ResourceError: it makes no sense.

    """
    if not text:
        return None
    try:
        content = json.loads(text)
    except ValueError:
        raise ResourceError("it is no JSON") from None
    given = fields.mapping(content, "closing")
    template = fields.mapping(given.get("template"), "template")
    spec = fields.mapping(template.get("spec"), "template.spec")
    if len(fields.items(spec.get("containers"), "template.spec.containers")) != 1:
        raise ResourceError("template.spec.containers must be one container")
    labels = fields.mapping(given.get("labels"), "labels")
    seconds = fields.integer(given.get("deadlineSeconds"), "deadlineSeconds", least=60, most=7 * 86400)
    return Runner(
        template=template,
        labels={str(name): str(label) for name, label in labels.items()},
        memory=fields.text(given.get("memory"), "memory"),
        threads=fields.integer(given.get("threads"), "threads", least=1, most=256),
        at_once=fields.integer(given.get("atOnce"), "atOnce", least=1, most=1000),
        deadline=timedelta(seconds=seconds),
    )


def report(text: str) -> Report | None:
    """Parse a Job's report; None if it is none, or of another version.

    What tenants wrote is in it (names of models), and it goes into a status: it is cut, and has no control characters.
    """
    if len(text.encode()) > REPORT_BYTES:
        return None
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("version") != REPORT_VERSION:
            return None
        closed, late = fields.mapping(content.get("closed"), "closed"), fields.mapping(content.get("late"), "late")
        through = closed.get("through")
        return Report(
            through=None if through is None else _day(through),
            days=_count(closed.get("days")),
            rows=_count(closed.get("rows")),
            late_days=_count(late.get("days")),
            late_rows=_count(late.get("rows")),
            pending_days=_count(fields.mapping(content.get("pending"), "pending").get("days")),
            deleted_files=_count(fields.mapping(content.get("deleted"), "deleted").get("files")),
            failed=tuple(
                FailedDay(_text(each.get("day")), _text(each.get("reason")), _text(each.get("message")))
                for _, each in fields.items(content.get("failed"), "failed")[:MOST_FAILED]
            ),
            streams=tuple(
                StreamReport(_text(each.get("stream")), _day(each.get("through")), _count(each.get("rows")))
                for _, each in fields.items(content.get("streams"), "streams")[:MOST_STREAMS]
            ),
        )
    except (ValueError, RecursionError):
        return None


def cleaned(text: str) -> str:
    """Make a text from outside one line of a bounded length, without what signs a SAS: it goes where people read."""
    return _SIGNATURE.sub("sig=...", _CONTROL.sub(" ", text))[:LONGEST_TEXT]


def _duration(value: object, path: str, pattern: str) -> str:
    text = fields.text(value, path)
    if not re.fullmatch(pattern, text):
        raise ResourceError(f"{path} is {text!r}: write a duration such as 6h")
    return text


def _day(value: object) -> str:
    return date.fromisoformat(fields.text(value, "through", most=10)).isoformat()


def _count(value: object) -> int:
    return fields.integer(0 if value is None else value, "a count", least=0, most=2**53)


def _text(value: object) -> str:
    return cleaned(value) if isinstance(value, str) else ""
