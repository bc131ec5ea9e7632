"""What a file's columns are, and what stands in those that are not features."""

from __future__ import annotations

import datetime
import functools
import typing

import orjson

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
    as_json: bool = False
    """Each row's features are one object, in the column ``ROW``."""


ROW = "row"
"""The column of files whose rows have their features in one object: of folders that have too many headers already."""

_MOST_CACHED = 1024 * 1024
"""Bytes of names that are remembered: not a number of headers, of which one may have a million columns."""
_NAME_BYTES = 57
"""What a text takes beside its characters, and its place in a tuple."""

Made = typing.TypeVar("Made")


class _Cache(typing.Dict[typing.Any, Made]):  # noqa: UP006 (evaluated at run time by 3.9)
    """What was made of some sets of columns; as many as fit."""

    bytes = 0

    def keep(self, columns: tuple[str, ...], key: object, made: Made) -> Made:
        """Remember what was made of columns, if it fits; in the place of all others where there is no room."""
        size = sum(map(len, columns)) + _NAME_BYTES * len(columns)
        if self.bytes + size > _MOST_CACHED:
            self.clear()
            self.bytes = 0
        if size <= _MOST_CACHED:
            self[key] = made
            self.bytes += size
        return made


_names: _Cache[tuple[str, ...]] = _Cache()
_headers: _Cache[bytes] = _Cache()


def names(given: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return a name for each column: those given, and ``feature_<n>`` for columns without one."""
    found = _names.get((given, width))
    if found is not None:
        return found
    made = (*given, *(f"feature_{number}" for number in range(len(given), width)))
    return _names.keep(made, (given, width), made)


def header(columns: tuple[str, ...]) -> bytes:
    """Return the first line."""
    found = _headers.get(columns)
    if found is not None:
        return found
    return _headers.keep(columns, columns, ",".join(map(quote, columns)).encode() + b"\r\n")


def cell_text(value: object) -> str | None:
    """Return the text of a cell as it lies in the spool; None for an empty one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return orjson.dumps(value).decode()
    return repr(value)


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
