"""What a shared access signature says of itself: everything but whether its signature is right."""

import re
import urllib.parse
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..api.resources import FileKind, Storage

NEEDED = {FileKind.SHARED: "rac", FileKind.PER_POD: "ac"}
"""Shared files are appended to and read back after a conflict. A pod's own file is only created and appended to: its
SAS can neither read, list, overwrite nor delete. `w` would let a retry truncate a file."""

# Five times what any has. Whoever may write a Secret could make it a megabyte of fields, over which everybody would
# wait for a second or two, at each look.
_TOKEN = re.compile(r"[A-Za-z0-9%._~:/+*=&,-]{1,4096}")


@dataclass(frozen=True, slots=True)
class Sas:
    """The public parts of a token. What it does not say itself may stand in a stored access policy."""

    token: str = field(repr=False)
    start: datetime | None
    expiry: datetime | None
    permissions: str | None
    resource: str | None
    """`c` for a container, `b` for one blob; None for an account SAS."""
    services: str | None
    resource_types: str | None
    https_only: bool
    signed: bool


def parse(token: str) -> Sas:
    """Read a token; what is no token has no signature."""
    values = urllib.parse.parse_qs(token) if _TOKEN.fullmatch(token) else {}

    def value(name: str) -> str | None:
        return values[name][-1] if name in values else None

    return Sas(
        token=token,
        start=_moment(value("st")),
        expiry=_moment(value("se")),
        permissions=value("sp"),
        resource=value("sr"),
        services=value("ss"),
        resource_types=value("srt"),
        https_only=value("spr") == "https",
        signed=value("sig") is not None and value("sv") is not None,
    )


def cleaned(text: str) -> str:
    """Remove what people and tools leave around a token: white space, and the question mark of a URL's query."""
    return text.strip().removeprefix("?").strip()


def shortcomings(sas: Sas, storage: Storage) -> list[str]:
    """Say what keeps pods from writing with this SAS, as far as it tells; empty if nothing does."""
    found = []
    if sas.resource is not None and sas.resource != "c":
        found.append(f"it is for sr={sas.resource} and not for a container (sr=c): files are made every day")
    if sas.resource is None and "b" not in (sas.services or ""):
        found.append(f"it is for the services ss={sas.services or ''} and not for blobs (ss=b)")
    if sas.resource is None and "o" not in (sas.resource_types or ""):
        found.append(f"it is for srt={sas.resource_types or ''} and not for objects (srt=o)")
    needed = NEEDED[storage.file]
    if sas.permissions is not None and not set(needed) <= set(sas.permissions):
        found.append(f"its permissions are sp={sas.permissions}, and {storage.file} files need {needed}")
    if sas.https_only and storage.endpoint.startswith("http:"):
        found.append("it is for https only (spr=https), and the endpoint is http")
    return found


def closing_needs(*, deletes: bool) -> str:
    """Say what closing days needs: to list and read raw files, to write closed ones, and to delete only if asked to.

    `w` creates and replaces block blobs. `c` would add nothing, `a` appends to raw files, which closing never does.
    """
    return "rwdl" if deletes else "rwl"


def closing_shortcomings(sas: Sas, *, deletes: bool) -> list[str]:
    """Say what keeps days from being closed with this SAS, as far as it tells, beside what keeps pods from writing."""
    found, needed = [], closing_needs(deletes=deletes)
    if sas.resource is None and not set("co") <= set(sas.resource_types or ""):
        found.append(f"it is for srt={sas.resource_types or ''}, and files are listed by srt=co")
    if sas.permissions is not None and not set(needed) <= set(sas.permissions):
        found.append(f"its permissions are sp={sas.permissions}, and closing days needs {needed}")
    return found


def surplus(sas: Sas, storage: Storage) -> str:
    """Name the permissions that pods don't need."""
    return "".join(letter for letter in sas.permissions or "" if letter not in NEEDED[storage.file])


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    # A date alone, as some tools write it, is UTC too.
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) if moment else None
