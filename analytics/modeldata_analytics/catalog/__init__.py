"""Which days a store holds, and the files of each."""

from .finding import find
from .opening import StoreAddressError, open_store

__all__ = ["StoreAddressError", "find", "open_store"]
