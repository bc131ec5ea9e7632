"""Where collected files lie: a container of Azure Blob Storage, or a directory. One interface for both."""

from .blobs import Blobs, Changed, Content, Entry, Location, Missing, Refused, StorageError, Unreachable

__all__ = ["Blobs", "Changed", "Content", "Entry", "Location", "Missing", "Refused", "StorageError", "Unreachable"]
