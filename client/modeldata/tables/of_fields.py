"""Objects with fields: dataclasses."""

from __future__ import annotations

import dataclasses
import typing

from . import adapter


class Fields(adapter.Adapter):
    """Dataclasses."""

    def cell(self, value: typing.Any) -> object:  # noqa: D102 (see adapter)
        fields = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]  # as orjson
        return {name: adapter.cell(getattr(value, name)) for name in fields}


FIELDS = Fields()


def has_fields(kind: type) -> bool:
    """Return whether a type's values have fields."""
    return dataclasses.is_dataclass(kind)
