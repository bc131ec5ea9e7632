"""Kubernetes label selectors."""

from collections.abc import Mapping
from dataclasses import dataclass

from . import fields
from .fields import ResourceError


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of matchExpressions."""

    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet this requirement, as the API server would."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A Kubernetes label selector."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet every requirement. A selector without requirements matches nothing.

        Kubernetes lets an empty selector match everything; a selector emptied by mistake must not collect a namespace.
        """
        return bool(self.requirements) and all(requirement.matches(labels) for requirement in self.requirements)


def label_selector(value: object, path: str) -> LabelSelector:
    """Parse a label selector."""
    selector = fields.mapping(value, path)
    # A label's value may be empty: those that only have to be there often are.
    requirements = [
        Requirement(key, "In", frozenset((fields.string(label, f"{path}.matchLabels.{key}"),)))
        for key, label in sorted(fields.mapping(selector.get("matchLabels"), f"{path}.matchLabels").items())
    ]
    for where, expression in fields.items(selector.get("matchExpressions"), f"{path}.matchExpressions"):
        operator = fields.text(expression.get("operator"), f"{where}.operator")
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ResourceError(f"{where}.operator is {operator!r}: use In, NotIn, Exists or DoesNotExist")
        values = frozenset(fields.strings(expression.get("values"), f"{where}.values"))
        requirements.append(Requirement(fields.text(expression.get("key"), f"{where}.key"), operator, values))
    return LabelSelector(tuple(requirements))
