"""Two days of a model, closed: what the examples read. Their cells have gone wrong in one reader or another."""

from __future__ import annotations

import datetime
import pathlib
import typing

import duckdb

from ..reading import readers
from ..reading.conftest import Write

PATH = "subscription/group/workspace/webservice/churn/10"
TABLE = "subscription/group/workspace/webservice/churn"

Row = tuple[typing.Any, ...]

COLUMNS = ("age", "income", "member", "note", "since")
INPUTS: dict[str, Row] = {
    "0007": (41, 1.5, True, 'say "hi", twice\r\nover', None),
    "r-2": (None, -0.0, None, "", None),
    "r-1": (29, 0.1, False, "line\nend", None),
    "r-4": (30, None, True, None, datetime.date(2026, 1, 2)),
    "r-3": (31, 2.5, None, "é", datetime.date(1999, 12, 31)),
}
"""What was collected, by request: the last two in the new year, when there was a column more."""
PREDICTIONS: dict[str, Row] = {request: (number / 8,) for number, request in enumerate(INPUTS)}
DAYS = {"2026/11/28": ("0007", "r-2"), "2026/11/29": ("r-1",), "2027/01/01": ("r-4", "r-3")}
LAST = datetime.date(2027, 1, 1)


def close(root: pathlib.Path, write: Write) -> None:
    """Collect and close the days in a directory."""
    for designation, rows, names in (("inputs", INPUTS, COLUMNS), ("predictions", PREDICTIONS, ("risk",))):
        for day, requests in DAYS.items():
            kept = names[:-1] if designation == "inputs" and day < "2027" else names
            files = [write([list(rows[each][: len(kept)])], list(kept), request=each) for each in requests]
            _close(root, designation, day, files)


def _close(root: pathlib.Path, designation: str, day: str, files: list[pathlib.Path]) -> None:
    closed = root / f"closed/{PATH}/{designation}/{day}/data.csv"
    part = root / f"tables/{TABLE}/{designation}/version=10/day={day.replace('/', '-')}/part-0001.parquet"
    for each in (closed, part):
        each.parent.mkdir(parents=True, exist_ok=True)
    text = f"read_csv({[str(each) for each in files]}, {readers.DUCKDB}, all_varchar = true)"
    duckdb.sql(
        f"copy (from {text} order by \"$RequestId\") to '{closed}' (header, quote '\"', escape '\"', new_line '\\r\\n')"
    )
    types = {"age": "bigint", "income": "double", "member": "boolean", "since": "date", "risk": "double"}
    casts = ", ".join(f'"{name}"::{kind} as "{name}"' for name, kind in types.items() if name in _header(closed))
    duckdb.sql(
        f'copy (select * replace ("$Timestamp"::timestamptz as "$Timestamp", {casts}) from {text}'
        f" order by \"$RequestId\") to '{part}' (format parquet, compression zstd)"
    )


def _header(file: pathlib.Path) -> list[str]:
    return file.read_bytes().partition(b"\r\n")[0].decode().split(",")
