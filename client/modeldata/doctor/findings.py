"""One line of the doctor's report."""

from __future__ import annotations

import enum
import typing


class Level(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(typing.NamedTuple):
    """What was found of a subject, and where it is not well, what to do."""

    level: Level
    subject: str
    text: str
    way_out: str = ""

    def __str__(self) -> str:
        way_out = f"\n{'':21}{self.way_out}" if self.way_out else ""
        return f"{self.level.value:<8} {self.subject:<11} {self.text}{way_out}"


def ok(subject: str, text: str) -> Finding:
    """Return that a subject is well."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, way_out: str) -> Finding:
    """Return that a subject should be looked after."""
    return Finding(Level.WARNING, subject, text, way_out)


def wrong(subject: str, text: str, way_out: str) -> Finding:
    """Return that rows are lost, or wait, for this."""
    return Finding(Level.WRONG, subject, text, way_out)


def amount(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


def span(seconds: float) -> str:
    """Return a length of time as a person reads it."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
