"""Sources of rows, as SQL: each gives columns by place, of which it says names and types."""

from __future__ import annotations

import pathlib
import typing

from .. import columns
from ..days import manifest
from ..engines import dialect
from . import errors

Name = tuple[str, int]
"""A column's name, and its number among those of a file that have the same."""
Columns = tuple[tuple[Name, str], ...]
"""Names and types."""

TIME, CORRELATION, REQUEST = ("$Timestamp", 0), ("$CorrelationId", 0), ("$RequestId", 0)
LEADING = (TIME, CORRELATION, REQUEST)
"""What each row has, whatever the layout of its file."""
AZUREML: dict[Name, Name] = {
    TIME: ("$aml_dc_scoring_timestamp", 0),
    CORRELATION: ("$aml_dc_correlation_id", 0),
    REQUEST: ("$aml_request_id", 0),
}
"""The same columns in Azure ML's layout. Their time has no zone, and is UTC."""
STANDARD = frozenset(
    {
        *LEADING,
        *AZUREML.values(),
        *((name, 0) for name in ("$aml_dc_boundary", "$aml_workspace", "$aml_service_name")),
        *((name, 0) for name in ("$aml_model_name", "$aml_model_version")),
    }
)
"""Columns that are no features. Those that are not above say what a file's path says."""

MOMENT = "TIMESTAMP WITH TIME ZONE"

_LINE_BYTES, _BUFFER_BYTES = 8 * 1024 * 1024, 16 * 1024 * 1024
"""A row has 4 MiB at most; DuckDB takes 2 MiB unless told. By itself it makes buffers of 32 such lines: 400 MiB."""

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


class Source(typing.NamedTuple):
    """Rows of one origin with the same columns."""

    sql: str
    """What may stand after FROM. Its columns are ``c0``, ``c1``, …"""
    columns: Columns
    rows: int
    told: tuple[str, ...] = ()
    """What the path tells of them, where it is asked for: such as the version."""
    proved: bool = True
    """If not, there is a column ``fits`` too, which says of each row whether its texts survive their types."""


class Part(typing.NamedTuple):
    """What a Parquet file of closed rows has."""

    columns: Columns
    rescued: tuple[tuple[int, str], ...]
    """Columns, by place, of which some texts lie in ``columns.RESCUED``, under the name that stands behind."""


def of_csv(paths: typing.Sequence[pathlib.Path], header: typing.Sequence[str], rows: int) -> Source:
    """Return the rows of files, all cells as text."""
    sql = dialect.read_csv(paths, len(header), "c", line_bytes=_LINE_BYTES, buffer_bytes=_BUFFER_BYTES)
    return Source(sql, tuple((name, columns.TEXT) for name in columns.occurrences(header)), rows)


def part(path: pathlib.Path, closed: manifest.Manifest, rescued: typing.Collection[str]) -> Part:
    """Return what a Parquet file has: the first columns of its day, and one for texts that don't fit.

    Raises ``ColumnError``.
    """
    from pyarrow import parquet

    fields = [field for field in parquet.read_schema(path) if field.name != columns.RESCUED]
    names = [each.name for each in closed.columns][: len(fields)]
    tabled = columns.tabled(names)
    if [field.name for field in fields] != tabled:
        raise errors.ColumnError(f"a closed part has other columns than its manifest says: {path.name}")
    unknown = next((field for field in fields if str(field.type) not in _ARROW), None)
    if unknown is not None:
        raise errors.ColumnError(f"the column {unknown.name!r} of a closed part is of the type {unknown.type}")
    kinds = [_ARROW[str(field.type)] for field in fields]
    return Part(
        tuple(zip(columns.occurrences(names), kinds, strict=True)),
        tuple((place, name) for place, name in enumerate(tabled) if name in rescued),
    )


def of_parts(paths: typing.Sequence[pathlib.Path], of: Part, rows: int) -> Source:
    """Return the rows of Parquet files that have the same columns."""
    files = ", ".join(dialect.literal(path) for path in paths)
    width = len(of.columns)
    places = ", ".join(f"c{place}" for place in range(width))
    # What is not given a name here keeps the one it has.
    sql = f"(select * from read_parquet([{files}], hive_partitioning = false)) as t({places})"
    if not of.rescued:
        return Source(f"(select {places} from {sql})", of.columns, rows)
    kinds = [kind for _, kind in of.columns]
    terms = [f"c{place}" for place in range(width)]
    for place, name in of.rescued:
        text = f"json_extract_string({columns.quoted(columns.RESCUED)}, {pointer(name)})"
        terms[place] = f"coalesce({text}, {columns.text(terms[place], kinds[place])}) as c{place}"
        kinds[place] = columns.TEXT
    named = tuple((name, kind) for (name, _), kind in zip(of.columns, kinds, strict=True))
    return Source(f"(select {', '.join(terms)} from {sql})", named, rows)


def standard(source: Source) -> Source:
    """Return the source with ``LEADING`` in front, whichever layout its files have, and no other standard columns."""
    names = [name for name, _ in source.columns]
    if tuple(names[:3]) == LEADING and STANDARD.isdisjoint(names[3:]):
        return source
    made = [_leading(source, name) for name in LEADING]
    made += [(name, f"c{place}", kind) for place, (name, kind) in enumerate(source.columns) if name not in STANDARD]
    chosen = ", ".join(f"{term} as c{place}" for place, (_, term, _) in enumerate(made))
    return source._replace(
        sql=f"(select {chosen} from {source.sql})", columns=tuple((name, kind) for name, _, kind in made)
    )


def pointer(name: str) -> str:
    """Return, as SQL, what leads to a name in a JSON object."""
    return dialect.literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _leading(source: Source, name: Name) -> tuple[Name, str, str]:
    """Return one of the three columns, as SQL and with its type: from the one layout's column, else the other's."""
    there = {each: (f"c{place}", kind) for place, (each, kind) in enumerate(source.columns)}
    found = []
    if name in there:
        found.append(there[name])
    if AZUREML[name] in there:
        term, kind = there[AZUREML[name]]
        if name == TIME and kind == columns.TEXT:
            term = f"{term} || 'Z'"
        elif name == TIME and kind == "TIMESTAMP":
            term, kind = f"timezone('UTC', {term})", MOMENT
        found.append((term, kind))
    if len({kind for _, kind in found}) > 1:
        found = [(columns.text(term, kind), columns.TEXT) for term, kind in found]
    terms = [term for term, _ in found] or ["null::varchar"]
    return name, f"coalesce({', '.join(terms)})", found[0][1] if found else columns.TEXT
