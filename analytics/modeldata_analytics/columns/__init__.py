"""Types of columns: a column has one only where every value survives; else it stays text. And their names."""

from .choosing import choose
from .names import KEYS, RESCUED, occurrences, places, tabled, union
from .types import IDS, TEXT, TYPES, cast, fits, quoted

__all__ = [
    "IDS",
    "KEYS",
    "RESCUED",
    "TEXT",
    "TYPES",
    "cast",
    "choose",
    "fits",
    "occurrences",
    "places",
    "quoted",
    "tabled",
    "union",
]
