"""Sources of rows, as SQL: each gives columns by place, of which it says names and types."""

from __future__ import annotations

import pathlib
import typing

from .. import columns

LEADING = ("$Timestamp", "$CorrelationId", "$RequestId")
AZUREML = {
    "$aml_dc_scoring_timestamp": "$Timestamp",
    "$aml_dc_correlation_id": "$CorrelationId",
    "$aml_request_id": "$RequestId",
}
"""What Azure ML's columns are called here; their time has no zone, and is UTC."""
AZUREML_OTHERS = frozenset(
    {"$aml_dc_boundary", "$aml_workspace", "$aml_service_name", "$aml_model_name", "$aml_model_version"}
)
"""What a file's path says too."""

MOMENT = "TIMESTAMP WITH TIME ZONE"

_LINE_BYTES = 8 * 1024 * 1024
"""A row has 4 MiB at most; DuckDB takes 2 MiB unless told."""


Columns = tuple[tuple[str, str], ...]
"""Names and types."""

_ARROW = {
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[us, tz=UTC]": MOMENT,
    "string": columns.TEXT,
    "large_string": columns.TEXT,
}


class ColumnError(Exception):
    """A closed part has a column of a type that no column of ours has."""


class Source(typing.NamedTuple):
    """Rows of one origin with the same columns."""

    sql: str
    """What may stand after FROM. Its columns are ``c0``, ``c1``, …"""
    columns: Columns
    """All names are different."""
    rows: int
    """-1: not known."""
    told: tuple[str, ...] = ()
    """What the path tells of them, where it is asked for: such as the version."""


def of_csv(paths: typing.Sequence[pathlib.Path], names: typing.Sequence[str], rows: int) -> Source:
    """Return the rows of files without headers, all cells as text."""
    places = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    files = ", ".join(_text(str(path)) for path in paths)
    sql = (
        f"read_csv([{files}], header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"',"
        f" new_line = '\\r\\n', allow_quoted_nulls = false, max_line_size = {_LINE_BYTES}, columns = {{{places}}})"
    )
    return Source(sql, tuple((name, columns.TEXT) for name in different(names)), rows)


def of_parquet(paths: typing.Sequence[pathlib.Path], named: typing.Sequence[tuple[str, str]], rows: int) -> Source:
    """Return the rows of Parquet files that all have these columns in this order."""
    files = ", ".join(_text(str(path)) for path in paths)
    places = ", ".join(f"c{place}" for place in range(len(named)))
    return Source(f"(select * from read_parquet([{files}])) as t({places})", tuple(named), rows)


def named(path: pathlib.Path) -> Columns:
    """Return the columns of a Parquet file.

    Raises ``ColumnError``.
    """
    from pyarrow import parquet

    found = []
    for field in parquet.read_schema(path):
        if str(field.type) not in _ARROW:
            raise ColumnError(f"the column {field.name!r} of a closed part is of the type {field.type}")
        found.append((field.name, _ARROW[str(field.type)]))
    return tuple(found)


def different(names: typing.Sequence[str]) -> tuple[str, ...]:
    """Return names of which the second of one name has ``_1`` behind it, as DuckDB does."""
    taken = set(names)
    seen: set[str] = set()
    made = []
    for name in names:
        other, number = name, 0
        while other in seen or (number and other in taken):
            number += 1
            other = f"{name}_{number}"
        seen.add(other)
        made.append(other)
    return tuple(made)


def standard(source: Source) -> Source:
    """Return the source with the three columns of all rows in front, whichever layout it has."""
    places = {name: f"c{place}" for place, (name, _) in enumerate(source.columns)}
    kinds = dict(source.columns)
    leads = tuple(name for name, _ in source.columns[:3]) == LEADING
    if leads and places.keys().isdisjoint({*AZUREML, *AZUREML_OTHERS}):
        return source
    terms: list[str] = []
    named: list[tuple[str, str]] = []
    for name in LEADING:
        other = next(each for each, ours in AZUREML.items() if ours == name)
        found = [places[name]] if name in places else []
        kind = kinds.get(name, columns.TEXT)
        if other in places:
            term = places[other]
            if name == "$Timestamp":
                if kinds[other] == columns.TEXT:
                    term = f"{term} || 'Z'"
                elif kinds[other] == "TIMESTAMP":
                    term, kinds[other] = f"timezone('UTC', {term})", MOMENT
                kind = kind if name in places else kinds[other]
                if kind != kinds[other]:
                    found = [columns.text(each, kind) for each in found]
                    term, kind = columns.text(term, kinds[other]), columns.TEXT
            found.append(term)
        terms.append(f"coalesce({', '.join(found)})" if len(found) > 1 else found[0] if found else "null::varchar")
        named.append((name, kind))
    for name, kind in source.columns:
        if name not in LEADING and name not in AZUREML and name not in AZUREML_OTHERS:
            terms.append(places[name])
            named.append((name, kind))
    chosen = ", ".join(f"{term} as c{place}" for place, term in enumerate(terms))
    return source._replace(sql=f"(select {chosen} from {source.sql})", columns=tuple(named))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


literal = _text
