"""Two days of a model, closed: what the examples read. Their cells have gone wrong in one reader or another."""

from __future__ import annotations

import datetime
import pathlib
import typing

from modeldata_analytics.catalog import open_store
from modeldata_analytics.closing import State
from modeldata_analytics.days import template

from ..analytics import stores
from ..reading.conftest import Write

PATH = "subscription/group/workspace/webservice/churn/10"

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


def close(root: pathlib.Path, scratch: pathlib.Path, write: Write) -> None:
    """Collect and close the days in a directory."""
    for designation, rows, names in (("inputs", INPUTS, COLUMNS), ("predictions", PREDICTIONS, ("risk",))):
        for day, requests in DAYS.items():
            kept = names[:-1] if designation == "inputs" and day < "2027" else names
            raw = root / PATH / designation / day / "data.csv"
            raw.parent.mkdir(parents=True)
            for request in requests:
                header, _, row = (
                    write([list(rows[request][: len(kept)])], list(kept), request=request)
                    .read_bytes()
                    .partition(b"\r\n")
                )
                with raw.open("ab") as file:
                    file.write(row if file.tell() else header + b"\r\n" + row)
    now = datetime.datetime.combine(LAST, datetime.time(), datetime.UTC) + datetime.timedelta(days=2)
    done = stores.close(open_store(str(root)), scratch, now=now, path=template.Template(), with_delta=True)
    assert [each.state for each in done] == [State.CLOSED] * 6
