"""The difference between two manifests as a JSON patch (RFC 6902)."""

from typing import Any


def operations(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """Say what makes ``after`` of ``before``. Lists are compared place by place: an injection only appends to them."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        found = [{"op": "remove", "path": _inside(path, name)} for name in before if name not in after]
        for name, value in after.items():
            if name in before:
                found += operations(before[name], value, _inside(path, name))
            else:
                found.append({"op": "add", "path": _inside(path, name), "value": value})
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) <= len(after):
        found = []
        for place, (old, new) in enumerate(zip(before, after, strict=False)):
            found += operations(old, new, f"{path}/{place}")
        return found + [{"op": "add", "path": f"{path}/-", "value": value} for value in after[len(before) :]]
    return [{"op": "replace", "path": path, "value": after}]


def _inside(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
