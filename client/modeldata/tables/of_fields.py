"""Objects with fields: dataclasses, named tuples, models of pydantic, attrs, msgspec. A row each, a field a column."""

from __future__ import annotations

import dataclasses
import typing

from . import adapter, cells


class Fields(adapter.Adapter):
    """What has fields."""

    def content(self, data: typing.Any, call: adapter.Call) -> adapter.Content:  # noqa: D102 (see adapter, as all)
        return call.by_label([data])

    def rows(self, values: typing.Sequence[typing.Any], call: adapter.Call) -> adapter.Content | None:  # noqa: D102
        return call.by_label(values)

    def listed(self, value: typing.Any) -> typing.Sequence[object] | None:  # noqa: D102
        return value if isinstance(value, tuple) else None

    def labelled(self, value: typing.Any) -> typing.Mapping[object, object] | None:  # noqa: D102
        found = {name: getattr(value, name, None) for name in names(type(value))}
        if not hasattr(type(value), "model_fields") and isinstance(getattr(value, "__fields__", None), dict):
            return {**found, **vars(value)}  # pydantic's 1 has further fields beside its own
        return {**found, **(getattr(value, "__pydantic_extra__", None) or {})}

    def cell(self, value: typing.Any) -> object:  # noqa: D102
        if isinstance(value, tuple):
            return [adapter.cell(inner) for inner in value]
        return {cells.name_text(name): adapter.cell(inner) for name, inner in (self.labelled(value) or {}).items()}


FIELDS = Fields()


def names(kind: typing.Any) -> list[str]:
    """Return the names of a type's fields; none where it has no such."""
    if issubclass(kind, tuple):
        return list(getattr(kind, "_fields", ()))
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")]  # as orjson
    found = getattr(kind, "model_fields", None) or getattr(kind, "__fields__", None)  # pydantic's 2 and 1
    if isinstance(found, dict):
        return list(found)
    own = getattr(kind, "__struct_fields__", ())  # msgspec's
    return list(own) or [field.name for field in getattr(kind, "__attrs_attrs__", ())]


def has_fields(kind: type) -> bool:
    """Return whether a type's values have fields."""
    return bool(names(kind))
