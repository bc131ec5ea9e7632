"""What was collected, as one table."""

from .model import Model
from .repeats import RepeatsWarning
from .selecting import AmbiguousError, NotFoundError
from .store import Store

__all__ = ["AmbiguousError", "Model", "NotFoundError", "RepeatsWarning", "Store"]
