"""Who owns pods, as a person calls it and as the API server does, and the mark of a restart."""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import bounds
from .keys import ObjectKey

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What an object may be called. A name with a slash in it would lead elsewhere, where it becomes part of a path."""

# As the API server takes them; the kinds of what it does not know itself too.
_OWNER = {
    "apiVersion": re.compile(r"[-A-Za-z0-9./]{0,317}"),
    "kind": re.compile(r"[A-Za-z0-9]{0,63}"),
    "name": OBJECT_NAME,
    "uid": re.compile(r"[-A-Za-z0-9]{0,63}"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of a pod, or of a workload."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """Kind, namespace and name of a workload: what tells it from all others."""

    kind: str
    key: ObjectKey


@dataclass(frozen=True, slots=True)
class Workload:
    """What a person calls a pod's workload and would restart, and the object of it whose uid is known, for Events."""

    kind: str
    key: ObjectKey
    subject: Owner

    def __str__(self) -> str:
        return f"{self.kind} {self.key.name}"

    @property
    def name(self) -> WorkloadName:
        """Tell it from all others."""
        return WorkloadName(self.kind, self.key)


@dataclass(frozen=True, slots=True)
class RestartMark:
    """What a workload carries once it was restarted: for which injection, which revision that made, and when.

    A later revision is someone else's template; what becomes of its pods is not the restart's doing. The time is in
    seconds since 1970; 0 until the restart is made.
    """

    collection: ObjectKey
    hash: str
    revision: int | None
    at: int = 0

    def __str__(self) -> str:
        revision = "" if self.revision is None and not self.at else f"/{'' if self.revision is None else self.revision}"
        return f"{self.collection}/{self.hash}{revision}" + (f"/{self.at}" if self.at else "")

    def same_reason(self, collection: ObjectKey, injection_hash: str) -> bool:
        """Tell whether this restart was for that injection."""
        return (self.collection, self.hash) == (collection, injection_hash)


def restart_mark(text: str | None) -> RestartMark | None:
    """Parse the annotation that a restart leaves."""
    parts = text.split("/") if text and len(text) <= bounds.LONGEST_NAME else []
    if len(parts) not in (3, 4, 5) or not all(parts[:3]):
        return None
    revision, at = (*parts[3:], "", "")[:2]
    return RestartMark(ObjectKey(parts[0], parts[1]), parts[2], number(revision), number(at) or 0)


def number(text: object) -> int | None:
    """Read a number that somebody wrote as a text."""
    # Of many thousand digits Python makes no number, and says so with an error.
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 19 else None


def controller(references: Iterable[Mapping[str, Any]] | None) -> Owner | None:
    """Find who controls an object; nobody if the reference could name no object.

    The API server takes any text there, and people are told to copy commands with this name in it.
    """
    for reference in references or ():
        if reference.get("controller"):
            fields = {field: str(reference.get(field) or "") for field in _OWNER}
            if all(pattern.fullmatch(fields[field]) for field, pattern in _OWNER.items()):
                return Owner(*(sys.intern(value) for value in fields.values()))
    return None
