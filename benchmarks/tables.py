"""What one table costs beside pandas' read_csv and merge, of raw files and of closed days; and one request."""

from __future__ import annotations

import pathlib
import shutil

import ground
import report
import services

ROWS = 500_000
"""2.5 million: ``--rows 2500000``. One request is looked for among four times as many."""
REQUEST_ROWS = 4
DAY = "2025/11/28"
MOST_RAW, MOST_CLOSED = 0.5, 0.25
MOST_REQUEST = 0.3
"""Seconds."""

_IDS = "create or replace table ids as select range as n, cast(uuid() as varchar) as id from range({rows})"
_COLUMNS = {
    "inputs": "18 + n % 80 as age, n % 120 as tenure, n % 7 as products, random() as x, random() as y,"
    " random() as z, ['north', 'south', 'east', 'west'][1 + n % 4] as region",
    "predictions": "random() as risk",
    "labels": "n % 2 as churned",
}
_MADE = """
copy (
    select strftime(timestamp '2025-11-28' + to_microseconds(n * 31), '%Y-%m-%dT%H:%M:%S.%fZ') as "$Timestamp",
        id as "$CorrelationId", id as "$RequestId", {columns}
    from ids where n >= {first} and n < {last} and n % {every} = 0 order by n
) to '{path}' (format csv, header, delimiter ',', quote '"', escape '"', new_line '\\r\\n')
"""


def measure(here: ground.Ground) -> report.Part:
    rows = here.day_rows or (ROWS // 10 if here.quick else ROWS)
    store = here.fresh("store")
    some_id = _make(store, rows, ("inputs", "predictions", "labels"))
    turns = 1 if here.quick else 3
    pandas = [_run(here, "tables_pandas.py", store) for _ in range(turns)]
    raw = [_run(here, "tables_ours.py", store) for _ in range(turns)]
    _close(here, store)
    closed = [_run(here, "tables_ours.py", store) for _ in range(turns)]
    shutil.rmtree(store)
    many = here.fresh("many")
    some_id = _make(many, rows * REQUEST_ROWS, ("inputs",))
    _close(here, many)
    found = services.run("measured/tables_request.py", str(many), some_id, environment=_environment(here))
    shutil.rmtree(many)
    lines = [
        (name, min(each["seconds"] for each in runs), min(each["memory"] for each in runs) / 2**30)
        for name, runs in (("pandas: read_csv, merge", pandas), ("table(), raw", raw), ("table(), closed", closed))
    ]
    (_, slow, large), *ours = lines
    results = []
    for (name, seconds, memory), limit, runs in zip(ours, (MOST_RAW, MOST_CLOSED), (raw, closed), strict=True):
        whole = (("all rows", all(each["rows"] == rows for each in runs)),)
        detail = f"{seconds:.1f} s against {slow:.1f} s"
        results.append(report.Row(f"{name}: time, beside pandas", limit, seconds / slow, "x", False, whole, detail))
        detail = f"{memory:.2f} GiB against {large:.2f}; of both the frame, {runs[0]['frame'] / 2**30:.2f} GiB of ours"
        results.append(report.Row(f"{name}: memory, beside pandas", MOST_RAW, memory / large, "x", detail=detail))
    size = f"{rows * REQUEST_ROWS:,}"
    one = (("one row", found["rows"] == 1),)
    results.append(report.Row(f"one request among {size} closed", MOST_REQUEST, found["seconds"], "s", False, one))
    title = f"{rows:,} inputs, predictions, and labels for a tenth, joined"
    return report.Part(tuple(results), (report.Table(title, ("", "s", "GiB"), tuple(lines)),))


def _make(store: pathlib.Path, rows: int, designations: tuple[str, ...]) -> str:
    """Make the files of a day, two for each designation; return an id that is there."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(_IDS.format(rows=rows))
    for name in designations:
        folder = store / f"sub/rg/models/churn/churn/10/{name}/{DAY}"
        folder.mkdir(parents=True)
        for number, file in enumerate(("data.csv", "data.1.csv")):
            connection.execute(
                _MADE.format(
                    columns=_COLUMNS[name],
                    first=rows * number // 2,
                    last=rows * (number + 1) // 2,
                    every=10 if name == "labels" else 1,
                    path=folder / file,
                )
            )
    ((found,),) = connection.execute(f"select id from ids where n = {rows // 3}").fetchall()
    return str(found)


def _run(here: ground.Ground, script: str, store: pathlib.Path) -> dict[str, float]:
    return services.run(f"measured/{script}", str(store), environment=_environment(here))


def _close(here: ground.Ground, store: pathlib.Path) -> None:
    arguments = ["--format=Parquet", f"--scratch={here.directory / 'scratch'}"]
    services.run("measured/closing_day.py", str(store), *arguments, environment=_environment(here))


def _environment(here: ground.Ground) -> dict[str, str]:
    return here.environment(PYTHONPATH=str(here.client.with_name("analytics")))
