"""Reading fields of objects that the API server sent: each reader returns a typed value or names the field."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from . import bounds

Choice = TypeVar("Choice", bound=StrEnum)


class ResourceError(ValueError):
    """An object can't be understood; the message names the field."""


def mapping(value: object, path: str) -> Mapping[str, Any]:
    """Read an object; one that is absent is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ResourceError(f"{path} must be an object")
    return value


def string(value: object, path: str) -> str:
    """Read a text, which may be empty."""
    if not isinstance(value, str):
        raise ResourceError(f"{path} must be a string")
    return value


def text(value: object, path: str, *, most: int | None = None) -> str:
    """Read a text that is not empty, nor longer than so many bytes of a JSON document."""
    if not isinstance(value, str) or not value:
        raise ResourceError(f"{path} must be a non-empty string")
    if most is not None and bounds.size(value) > most:
        raise ResourceError(f"{path} must have {most} bytes at most")
    return value


def boolean(value: object, path: str) -> bool:
    """Read a truth value."""
    if not isinstance(value, bool):
        raise ResourceError(f"{path} must be true or false")
    return value


def integer(value: object, path: str, *, least: int, most: int) -> int:
    """Read a whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ResourceError(f"{path} must be a whole number from {least} to {most}")
    return value


def choice(value: object, path: str, kind: type[Choice]) -> Choice:
    """Read one of a few words."""
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        raise ResourceError(f"{path} is {value!r}: use {' or '.join(kind)}") from None


def strings(value: object, path: str) -> tuple[str, ...]:
    """Read a list of texts; one that is absent is empty."""
    if not isinstance(value, list | None) or not all(isinstance(item, str) for item in value or ()):
        raise ResourceError(f"{path} must be a list of strings")
    return tuple(value or ())


def items(value: object, path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Read a list of objects, each with its own path; one that is absent is empty."""
    if not isinstance(value, list | None):
        raise ResourceError(f"{path} must be a list")
    return [(f"{path}[{number}]", mapping(item, f"{path}[{number}]")) for number, item in enumerate(value or ())]
