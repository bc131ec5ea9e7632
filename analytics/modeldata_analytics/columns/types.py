"""Types that a column of texts may have, as SQL that DuckDB runs: how to cast, and whether a value survives it.

DuckDB's casts are kind: ``' 1'``, ``1_0`` and ``01`` are numbers to it, ``inf`` is a time, nanoseconds are cut, and
digits that a double can't hold are dropped. So each cast has a test of its own beside it.
"""

from __future__ import annotations

TEXT = "VARCHAR"

TYPES = ("BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", TEXT)
"""In the order in which they are tried: the first that all values of a column survive is its type."""

IDS = frozenset(
    {
        "$CorrelationId",
        "$RequestId",
        "$aml_dc_correlation_id",
        "$aml_workspace",
        "$aml_service_name",
        "$aml_model_name",
        "$aml_model_version",
        "$aml_request_id",
    }
)
"""Columns that are text on each day: ids that look like numbers today are joined with others tomorrow."""

INFINITIES = ("1e999", "-1e999")
"""What the client writes for them (docs/reading.md); other texts of numbers that are too large stay text."""

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = _DATE + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_PATTERNS = {"DATE": _DATE, "TIMESTAMP": _TIME, "TIMESTAMP WITH TIME ZONE": _TIME + r"(Z|\+00:00)"}


def quoted(name: str) -> str:
    """Return a column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def cast(column: str, kind: str) -> str:
    """Return the SQL of a column of texts, itself SQL, as a type."""
    return column if kind == TEXT else f"cast({column} as {kind})"


def fits(column: str, kind: str) -> str:
    """Return a condition in SQL: whether a text survives as a type. It is null where the text is."""
    return f"case when {column} is null then null {_verdict(column, kind)} end"


def survives(column: str, value: str, kind: str) -> str:
    """Return whether a text survives, given its ``try_cast`` too: it costs a third of ``fits``. Never null."""
    if kind == "BIGINT":
        proof = f"coalesce(cast({value} as varchar) = {column}, false)"
        return f"case when {column} is null then true else {proof} end"
    quick = {
        "DOUBLE": f"cast({value} as varchar) = {column} and isfinite({value})",
        # What the client writes. The pattern takes three times as long, and what else is so long does not pass either.
        "TIMESTAMP WITH TIME ZONE": (
            f"length({column}) = 27 and suffix({column}, 'Z') and {column}[20] = '.' and {column}[5] = '-'"
            f" and not contains({column}, ' ') and {value} is not null"
        ),
    }
    if kind not in quick:
        return f"coalesce({fits(column, kind)}, true)"
    return f"case when {column} is null then true when {quick[kind]} then true else {fits(column, kind)} end"


def text(column: str, kind: str) -> str:
    """Return the SQL of a typed column as text, as the client writes such values."""
    if kind == TEXT:
        return column
    written = f"cast({column} as varchar)"
    if kind == "DOUBLE":
        plus, minus = INFINITIES
        return (
            f"case when isnan({column}) then 'NaN' when isfinite({column}) or {column} is null then {written}"
            f" when {column} > 0 then '{plus}' else '{minus}' end"
        )
    if kind == "TIMESTAMP":
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%f')"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {column}), '%Y-%m-%dT%H:%M:%S.%fZ')"
    return written


def _verdict(column: str, kind: str) -> str:
    if kind == TEXT:
        return "else true"
    if kind == "BOOLEAN":
        return f"else {column} in ('true', 'false')"
    if kind == "BIGINT":
        return f"else coalesce(cast(try_cast({column} as bigint) as varchar) = {column}, false)"
    if kind == "DOUBLE":
        return _survives_double(column)
    pattern = _PATTERNS[kind]
    return f"else regexp_full_match({column}, '{pattern}') and try_cast({column} as {kind}) is not null"


def _survives_double(column: str) -> str:
    value = f"try_cast({column} as double)"
    text = f"cast({value} as varchar)"
    infinities = ", ".join(f"'{each}'" for each in INFINITIES)
    # Most texts are the shortest of their number, as the client writes it, and as the cast back does. Of the others all
    # digits must come back: the shortest text of a double has no digit that another text of its value has not.
    return (
        f"when {text} = {column} and isfinite({value}) then true "
        f"when {column} in ('NaN', {infinities}) then true "
        f"when not regexp_full_match({column}, '{_NUMBER}') then false "
        f"else isfinite({value}) and {_digits(column)} = {_digits(text)}"
    )


def _digits(number: str) -> str:
    """Return the SQL of a number's digits: without sign, point, exponent, and the zeros at both ends."""
    mantissa = f"regexp_replace({number}, '[eE].*$', '')"
    return f"trim(replace(replace({mantissa}, '-', ''), '.', ''), '0')"
