"""Which file of the container a row belongs to."""

from __future__ import annotations

import re
import typing

from .. import settings
from ..spool import records
from . import layout

_FIELD = re.compile(r"\{(\w+)\}")
_UNSAFE = re.compile(r"[^\w.()-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]+")

MOST_CHARACTERS = 840
"""In a path. A blob's name may have 1,024, and the file's name some 180: a pod's name, a digest and a number."""
DEFAULT_WORKSPACE = "default/default/default"


def directory(stream: records.Stream, microseconds: int, of: settings.Settings, template: str) -> str:
    """Return the path of a row's file, with ``{file}`` left for the appender to fill.

    What the collector was told (version, workspace, webservice) goes before what the operator knows. Text from outside
    is made safe: no part of it can climb out of its folder.
    """
    day = layout.timestamp(microseconds)[:10].split("-")
    named = origin(stream, of.origin)
    fields = {
        "subscription": named.subscription,
        "resourceGroup": named.resource_group,
        "workspace": named.workspace,
        "webservice": named.webservice,
        "model": stream.model,
        "version": named.model_version,
        "designation": stream.designation,
        "year": day[0],
        "month": day[1],
        "day": day[2],
    }

    def fill(found: typing.Match[str]) -> str:
        name = found.group(1)
        return "{file}" if name == "file" else safe(fields.get(name, name))

    path = _named(_FIELD.sub(fill, template))
    # Without a place for the file's name, rows of other columns would have no other file to go to.
    return path if "{file}" in path else f"{path}/{{file}}"


def _named(path: str) -> str:
    """Return the path as the service takes it: a name that it refuses would keep its rows waiting."""
    parts = [_CONTROL.sub("-", part).rstrip(".") for part in path.split("/")]
    parts = [part for part in parts if part]
    while sum(map(len, parts)) + len(parts) > MOST_CHARACTERS:
        longest = max(range(len(parts)), key=lambda place: len(parts[place]) * ("{file}" not in parts[place]))
        parts[longest] = _short(parts[longest], len(parts[longest]) // 2)
    return "/".join(parts)


def safe(part: str) -> str:
    """Return text as one part of a path: letters and digits of any script, ``._-()``; never empty, ``.`` or ``..``.

    Where that changes something, with a digest: ``fraud/v1`` and ``fraud v1`` are two models.
    """
    cleaned = _UNSAFE.sub("-", part).strip(".-")
    if cleaned == part:
        return _short(part, 128) or "default"
    return f"{_short(cleaned, 119) or 'default'}-{_digest(part)}"


def _short(part: str, most: int) -> str:
    # With a digest: names that begin alike must not become one.
    return part if len(part) <= most else f"{part[: most - 9]}-{_digest(part)}"


def _digest(text: str) -> str:
    import hashlib  # as in delivery.files.shared

    return hashlib.sha256(text.encode()).hexdigest()[:8]


def origin(stream: records.Stream, known: settings.Origin) -> settings.Origin:
    """Return who the model is: as the collector was told, else as the operator knows."""
    parts = stream.workspace.split("/")
    if not stream.workspace or len(parts) != 3:
        parts = [known.subscription, known.resource_group, stream.workspace or known.workspace]
    return settings.Origin(
        subscription=parts[0],
        resource_group=parts[1],
        workspace=parts[2],
        webservice=stream.webservice or known.webservice,
        model_version=stream.version or known.model_version,
    )
