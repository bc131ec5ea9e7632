"""Types of columns: a column has one only where every value survives; else it stays text."""

from .choosing import SAMPLE, choose
from .types import IDS, TEXT, TYPES, cast, fits, quoted, survives, text

__all__ = ["IDS", "SAMPLE", "TEXT", "TYPES", "cast", "choose", "fits", "quoted", "survives", "text"]
