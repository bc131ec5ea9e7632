"""What a file's columns are, and what stands in those that are not features."""

from __future__ import annotations

import datetime
import functools
import typing

from .. import settings

LEADING = ("$Timestamp", "$CorrelationId", "$RequestId")
"""The columns before the features, as Azure ML's first collectors wrote them."""

AZUREML = (
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
)
"""The columns behind the features, as its later ones did, and as ``add_correlations`` appends them."""

BOUNDARY = 1440
"""Minutes that a file covers."""

_EPOCH = datetime.datetime(1970, 1, 1)
_MUST_QUOTE = frozenset(',"\r\n')


class Layout(typing.NamedTuple):
    """What a file's columns are, beside the features."""

    redactions: tuple[settings.Redaction, ...] = ()
    key: bytes = b""
    """For redactions by hash; empty where there is none."""
    azureml: tuple[str, str, str, str] | None = None
    """Workspace, service, model and version, for the columns ``AZUREML``; None for the columns ``LEADING``."""


@functools.lru_cache(maxsize=1000)
def names(given: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return a name for each column: those given, and ``feature_<n>`` for columns without one."""
    return (*given, *(f"feature_{number}" for number in range(len(given), width)))


@functools.lru_cache(maxsize=1000)
def header(columns: tuple[str, ...]) -> bytes:
    """Return the first line."""
    return ",".join(quote(name) for name in columns).encode() + b"\r\n"


def quote(text: str) -> str:
    """Return a cell's text, quoted if it must be (a lone CR too: readers take it for a line's end)."""
    if text and _MUST_QUOTE.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def timestamp(microseconds: int) -> str:
    """Return RFC 3339 UTC with microseconds."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{second(seconds)}{str(fraction + 1_000_000)[1:]}Z"


@functools.lru_cache(maxsize=100)
def second(seconds: int) -> str:
    """Return a timestamp up to its point."""
    return (_EPOCH + datetime.timedelta(seconds=seconds)).isoformat() + "."
