"""Generated tables: columns of one kind each, with cells that have gone wrong in one reader or another."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import struct
import typing

import numpy
import pandas
import polars
from hypothesis import strategies

WORDS = [
    *("", " ", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "true", "Inf", "-", "007", "1e5", "2026-01-02"),
    *("\r", "\n", "\r\n", "a\rb", "a\nb", "a\r\nb", '"', '""', 'a"b', "\\", '\\"', ",", ";", "|", "\t", "\0", '\0"'),
    *(" x", "x ", "#", "'", "=1", "\ufeff", "\x85", "\u2028", "\x1a", "é", "\U0001f600"),
]
_CHARACTERS = strategies.characters(exclude_categories=["Cs"], exclude_characters="\ue000")  # readers.SPARK's null
TEXTS = strategies.sampled_from(WORDS) | strategies.text(_CHARACTERS, max_size=12)
_JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a column holds."""

    name: str
    cells: strategies.SearchStrategy[typing.Any]
    dtype: str
    """As a pandas column."""


# Between these years every reader has every microsecond; what is outside is said in docs/reading.md.
_MOMENTS = strategies.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
_DAYS = strategies.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1))

KINDS = {
    kind.name: kind
    for kind in (
        Kind("integer", strategies.integers(-(2**63), 2**63 - 1), "Int64"),
        Kind("float", strategies.floats(), "float64"),
        Kind("boolean", strategies.booleans(), "boolean"),
        Kind("text", TEXTS, "object"),
        Kind("moment", _MOMENTS, "datetime64[us]"),
        Kind("day", _DAYS, "object"),
        Kind(
            "nested", strategies.lists(_JSON, max_size=3) | strategies.dictionaries(TEXTS, _JSON, max_size=3), "object"
        ),
    )
}
NUMBERS = ("integer", "float", "boolean")


@dataclasses.dataclass(frozen=True)
class Table:
    """A generated table, by columns."""

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[tuple[typing.Any, ...], ...]

    @property
    def rows(self) -> list[tuple[typing.Any, ...]]:
        return list(zip(*self.columns, strict=True))

    def of_kind(self, *kinds: str) -> dict[str, tuple[typing.Any, ...]]:
        """Return the columns of these kinds by name."""
        return {
            name: cells for kind, name, cells in zip(self.kinds, self.names, self.columns, strict=True) if kind in kinds
        }


@strategies.composite
def tables(draw: strategies.DrawFn, kinds: tuple[str, ...] | None = None) -> Table:
    """Draw a table, of columns of the kinds given or of any."""
    if kinds is None:
        kinds = tuple(draw(strategies.lists(strategies.sampled_from(list(KINDS)), min_size=1, max_size=4)))
    height = draw(strategies.integers(1, 6))
    columns = []
    for kind in kinds:
        cells = KINDS[kind].cells
        if draw(strategies.booleans()):
            cells = strategies.none() | cells
        columns.append(tuple(draw(strategies.lists(cells, min_size=height, max_size=height))))
    return Table(kinds, tuple(f"{kind}_{number}" for number, kind in enumerate(kinds)), tuple(columns))


def as_lists(table: Table) -> object:
    return [list(row) for row in table.rows]


def as_dicts(table: Table) -> object:
    return [dict(zip(table.names, row, strict=True)) for row in table.rows]


def as_pandas(table: Table) -> object:
    return pandas.DataFrame(
        {
            name: pandas.Series(list(cells), dtype=KINDS[kind].dtype)
            for kind, name, cells in zip(table.kinds, table.names, table.columns, strict=True)
        }
    )


def as_polars(table: Table) -> object:
    types = {
        "integer": polars.Int64,
        "float": polars.Float64,
        "boolean": polars.Boolean,
        "text": polars.String,
        "moment": polars.Datetime("us"),
        "day": polars.Date,
        "nested": polars.Object,
    }
    return polars.DataFrame(
        [
            polars.Series(name, list(cells), dtype=types[kind])
            for kind, name, cells in zip(table.kinds, table.names, table.columns, strict=True)
        ]
    )


def as_array(table: Table) -> object:
    array = numpy.empty((len(table.rows), len(table.columns)), object)
    for number, row in enumerate(table.rows):
        for column, cell in enumerate(row):
            array[number, column] = cell
    return array


SHAPES: dict[str, typing.Callable[[Table], object]] = {
    "lists": as_lists,
    "dicts": as_dicts,
    "pandas": as_pandas,
    "polars": as_polars,
    "array": as_array,
}


def collected(table: Table, shape: str) -> list[tuple[typing.Any, ...]]:
    """Return the rows that a table has in this shape: a column of floats of pandas has NaN where it has a gap."""
    if shape != "pandas":
        return table.rows
    return [
        tuple(
            math.nan if cell is None and kind == "float" else cell for kind, cell in zip(table.kinds, row, strict=True)
        )
        for row in table.rows
    ]


def same(read: object, collected: object) -> bool:
    """Return whether a value is what was collected, floats bit for bit (any NaN is the same as any other)."""
    if isinstance(collected, float):
        if not isinstance(read, float) or math.isnan(read) or math.isnan(collected):
            return isinstance(read, float) and math.isnan(read) and math.isnan(collected)
        return struct.pack("d", read) == struct.pack("d", collected)
    return type(read) is type(collected) and read == collected


def text_is(text: str, collected: object) -> bool:
    """Return whether the text of a cell is the one that docs/reading.md names."""
    if collected is None:
        return text == ""
    if isinstance(collected, bool):
        return text == ("true" if collected else "false")
    if isinstance(collected, float):
        return same(float(text), collected)
    if isinstance(collected, (datetime.datetime, datetime.date)):
        return text == collected.isoformat()
    if isinstance(collected, (list, dict)):
        return bool(json.loads(text) == collected)
    return text == str(collected)
