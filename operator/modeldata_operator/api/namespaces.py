"""Namespaces as slim records, and what is called after one: a container, a folder."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .keys import ObjectKey

FIELD = "{namespace}"
"""Stands in a container's name or a path for the namespace of the pod that writes."""

NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server gives it to every namespace, and keeps it."""

LONGEST = 63
LONGEST_CONTAINER = 63
_CONTAINER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its labels."""

    key: ObjectKey
    """Without a namespace: it is in none."""
    labels: Mapping[str, str]


def namespace(body: Mapping[str, Any]) -> Namespace:
    """Parse a namespace."""
    metadata = body.get("metadata") or {}
    name = str(metadata.get("name") or "")
    labels = {str(key): str(value) for key, value in (metadata.get("labels") or {}).items()}
    return Namespace(ObjectKey("", name), {**labels, NAME_LABEL: name})


def in_path(template: str, name: str) -> str:
    """Write a namespace's name into a path. It is always a safe part of one."""
    return template.replace(FIELD, name)


def in_container(template: str, name: str) -> str:
    """Write a namespace's name into a container's name: no two namespaces ever get the same.

    A namespace may be called what no container may: with two hyphens in a row, with 63 characters, with one. Such
    a name is cut and a digest of it follows; so it does where a name looks as if it had one, or somebody could call a
    namespace as another one's container is called.
    """
    if FIELD not in template:
        return template
    plain = template.replace(FIELD, name)
    looks_cut = re.search(rf"-[0-9a-f]{{{_DIGEST}}}$", name) is not None
    if 3 <= len(plain) <= LONGEST_CONTAINER and _CONTAINER.fullmatch(plain) and not looks_cut:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    room = LONGEST_CONTAINER - len(template.replace(FIELD, "")) - _DIGEST - 1
    head = re.sub("-+", "-", name)[:room].strip("-")
    return template.replace(FIELD, f"{head}-{digest}")
