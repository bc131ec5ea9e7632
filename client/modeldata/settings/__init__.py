"""What is asked for: the settings that the operator writes, and that are obeyed while the model serves."""

from .document import (
    DEFAULT_FLUSH_SECONDS,
    DEFAULT_PATH,
    DEFAULT_SPOOL_BYTES,
    OFF,
    PER_POD,
    SHARED,
    Action,
    Columns,
    OnMissing,
    Origin,
    Redaction,
    Settings,
    SettingsError,
    Storage,
    WorkloadIdentity,
    parse,
)
from .endpoints import directory
from .live import LOOK_MICROSECONDS, LiveSettings

__all__ = [
    "DEFAULT_FLUSH_SECONDS",
    "DEFAULT_PATH",
    "DEFAULT_SPOOL_BYTES",
    "LOOK_MICROSECONDS",
    "OFF",
    "PER_POD",
    "SHARED",
    "Action",
    "Columns",
    "LiveSettings",
    "OnMissing",
    "Origin",
    "Redaction",
    "Settings",
    "SettingsError",
    "Storage",
    "WorkloadIdentity",
    "directory",
    "parse",
]
