"""Which file of the container a row belongs to."""

from __future__ import annotations

import re
import typing

from . import record, settings, text

_FIELD = re.compile(r"\{(\w+)\}")
_UNSAFE = re.compile(r"[^\w.()-]+")
DEFAULT_WORKSPACE = "default/default/default"


def directory(stream: record.Stream, microseconds: int, of: settings.Settings, template: str) -> str:
    """Return the path of a row's file, with ``{file}`` left for the appender to fill.

    What the collector was told (version, workspace, webservice) goes before what the operator knows. Text from outside
    is made safe: no part of it can climb out of its folder.
    """
    day = text.timestamp(microseconds)[:10].split("-")
    subscription, resource_group, workspace = _workspace(stream, of.identity)
    fields = {
        "subscription": subscription,
        "resourceGroup": resource_group,
        "workspace": workspace,
        "webservice": stream.webservice or of.identity.webservice,
        "model": stream.model,
        "version": stream.version or of.identity.model_version,
        "designation": stream.designation,
        "year": day[0],
        "month": day[1],
        "day": day[2],
    }

    def fill(found: typing.Match[str]) -> str:
        name = found.group(1)
        return "{file}" if name == "file" else safe(fields.get(name, name))

    path = _FIELD.sub(fill, template).strip("/")
    # Without a place for the file's name, rows of other columns would have no other file to go to.
    return path if "{file}" in path else f"{path}/{{file}}"


def safe(part: str) -> str:
    """Return text as one part of a path: letters and digits of any script, ``._-()``; never empty, ``.`` or ``..``."""
    cleaned = _UNSAFE.sub("-", part).strip(".-")
    return cleaned[:128] or "default"


def _workspace(stream: record.Stream, identity: settings.Identity) -> tuple[str, str, str]:
    parts = stream.workspace.split("/")
    if stream.workspace and len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return identity.subscription, identity.resource_group, stream.workspace or identity.workspace
