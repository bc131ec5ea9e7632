"""Types of columns: a column has one only where every value survives; else it stays text. And their names."""

from .choosing import SAMPLE, choose
from .names import KEYS, RESCUED, occurrences, places, tabled, union
from .types import IDS, TEXT, TYPES, cast, fits, quoted, survives, text

__all__ = [
    "IDS",
    "KEYS",
    "RESCUED",
    "SAMPLE",
    "TEXT",
    "TYPES",
    "cast",
    "choose",
    "fits",
    "occurrences",
    "places",
    "quoted",
    "survives",
    "tabled",
    "text",
    "union",
]
