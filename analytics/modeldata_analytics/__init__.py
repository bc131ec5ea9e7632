"""Reads what was collected as one table, and closes its days."""

from .catalog import StoreAddressError
from .days.manifest import ManifestError
from .days.template import TemplateError
from .reading import AmbiguousError, CountError, Model, NotFoundError, ReadingError, RepeatsWarning, Store
from .storage import StorageError

__all__ = [
    "AmbiguousError",
    "CountError",
    "ManifestError",
    "Model",
    "NotFoundError",
    "ReadingError",
    "RepeatsWarning",
    "StorageError",
    "Store",
    "StoreAddressError",
    "TemplateError",
]
