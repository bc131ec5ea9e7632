"""Types of columns: a column has one only where every value survives; else it stays text."""

from .choosing import choose
from .types import TEXT, TYPES, cast, fits, quoted

__all__ = ["TEXT", "TYPES", "cast", "choose", "fits", "quoted"]
