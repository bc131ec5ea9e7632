"""The StorageGrant as a typed, frozen record: who may use the operator's own Azure identity, and for what."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import endpoints, fields, namespaces, selectors
from .endpoints import Endpoint
from .fields import ResourceError
from .keys import ObjectKey
from .selectors import LabelSelector, Requirement

_CONTAINER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class StorageGrant:
    """Namespaces, and the containers of one account that the operator may sign a SAS for there."""

    key: ObjectKey
    """Without a namespace: it is in none."""
    namespaces: LabelSelector
    endpoint: Endpoint
    containers: tuple[str, ...]
    """As written, that is with ``{namespace}``."""
    closing: bool = False
    """Whether the operator may close days there for these namespaces: it reads, writes and, if asked to, deletes."""


def grant(body: Mapping[str, Any]) -> StorageGrant:
    """Parse a StorageGrant.

    Raises:
        ResourceError: it makes no sense, and grants nothing.

    """
    name = str((body.get("metadata") or {}).get("name") or "")
    spec = fields.mapping(body.get("spec"), "spec")
    namespaces_ = selectors.label_selector(spec.get("namespaces"), "spec.namespaces")
    if not namespaces_.requirements:
        raise ResourceError("spec.namespaces must not be empty")
    return StorageGrant(
        ObjectKey("", name),
        namespaces_,
        _endpoint(spec.get("endpoint"), "spec.endpoint"),
        _containers(spec.get("containers"), "spec.containers"),
        fields.boolean(spec.get("closing", False), "spec.closing"),
    )


def given(text: str) -> tuple[StorageGrant, ...]:
    """Parse the chart's list of grants, which name their namespaces: JSON.

    Raises:
        ResourceError: the list, or one of it, makes no sense.

    """
    try:
        content = json.loads(text)
    except ValueError:
        raise ResourceError("the grants are no JSON") from None
    found = []
    for path, item in fields.items(content, "grants"):
        names = fields.strings(item.get("namespaces"), f"{path}.namespaces")
        if not names:
            raise ResourceError(f"{path}.namespaces must not be empty")
        found.append(
            StorageGrant(
                ObjectKey("", path),
                LabelSelector((Requirement(namespaces.NAME_LABEL, "In", frozenset(names)),)),
                _endpoint(item.get("endpoint"), f"{path}.endpoint"),
                _containers(item.get("containers"), f"{path}.containers"),
                fields.boolean(item.get("closing", False), f"{path}.closing"),
            )
        )
    return tuple(found)


def _endpoint(value: object, path: str) -> Endpoint:
    text = fields.text(value, path)
    endpoint = endpoints.parse(text)
    if endpoint is None or not endpoint.secure or str(endpoint) != text:
        raise ResourceError(f"{path} must be an https URL in its shortest form, with the host in lower case")
    return endpoint


def _containers(value: object, path: str) -> tuple[str, ...]:
    containers = fields.strings(value, path)
    if not containers:
        raise ResourceError(f"{path} must not be empty")
    for container in containers:
        if not _CONTAINER.fullmatch(container.replace(namespaces.FIELD, "n", 1)):
            raise ResourceError(f"{path} has {container!r}, which no container may be called")
    return containers
