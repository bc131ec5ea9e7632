"""Reads what was collected as one table, and closes its days."""

from .reading import AmbiguousError, Model, NotFoundError, RepeatsWarning, Store

__all__ = ["AmbiguousError", "Model", "NotFoundError", "RepeatsWarning", "Store"]
