"""What was collected, as one table."""

from .errors import AmbiguousError, CountError, NotFoundError, ReadingError
from .model import Model
from .repeats import RepeatsWarning
from .store import Store

__all__ = ["AmbiguousError", "CountError", "Model", "NotFoundError", "ReadingError", "RepeatsWarning", "Store"]
