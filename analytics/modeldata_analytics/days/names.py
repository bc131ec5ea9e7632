"""What names become in a path: the same as the client makes of them (docs/contract/names.json)."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^\w.()-]+")
_MOST = 128


def safe(name: str) -> str:
    """Return the part of a path that a model, version, designation or workspace of this name has."""
    cleaned = _UNSAFE.sub("-", name).strip(".-")
    if cleaned == name:
        return _short(name, _MOST) or "default"
    return f"{_short(cleaned, _MOST - 9) or 'default'}-{_digest(name)}"


def _short(part: str, most: int) -> str:
    return part if len(part) <= most else f"{part[: most - 9]}-{_digest(part)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
