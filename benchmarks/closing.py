"""What closing a day costs: beside `cat` of the same files and pandas, and for appends while their day is closed."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import time
import typing

import ground
import report
import services

ROWS = 2_000_000
FILES = 8
FOLDER = "inputs/2025/11/28"
PATH = "{designation}/{year}/{month}/{day}/{file}"
MEMORY = "1GB"
MOST_TIMES_CAT = 15.0
"""For each of the two outputs. Sorting is what it is bound by."""
MOST_RESIDENT = 1.6
"""GiB, with 1 GB for DuckDB."""
MOST_APPENDS = 1.1
APPENDS, AGAIN = "measured/closing_appends.py", "measured/closing_again.py"

_MADE = """
copy (
    select
        strftime(timestamp '2025-11-28' + to_microseconds(range * 7919), '%Y-%m-%dT%H:%M:%S.%fZ') as "$Timestamp",
        id as "$CorrelationId", id as "$RequestId",
        18 + cast(floor(random() * 80) as bigint) as age,
        round(random() * 1e5, 2) as income, random() as score,
        ['north', 'south', 'east', 'west'][1 + cast(floor(random() * 4) as int)] as region, random() < 0.5 as member,
        cast(floor(random() * 1e9) as bigint) as account,
        'said "' || cast(range % 97 as varchar) || '", then left' as note
    from (select range, cast(uuid() as varchar) as id from range({rows}))
) to '{path}' (format csv, header, delimiter ',', quote '"', escape '"', new_line '\\r\\n')
"""


def measure(here: ground.Ground) -> report.Part:
    rows = here.day_rows or (ROWS // 10 if here.quick else ROWS)
    made = _make(here, rows)
    floors = [_cat(here, made) for _ in range(1 if here.quick else 3)]
    floor = min(floors)
    closed = {name: _close(here, made, formats) for name, formats in CASES.items()}
    found, lines = [], [("cat", floor, 0.0, 1.0)]
    for name, case in closed.items():
        outputs = len(CASES[name])
        conditions = (("all rows closed", case["rows"] == rows),)
        times = case["seconds"] / floor / outputs
        lines.append((name, case["seconds"], case["memory"] / 2**30, times))
        if outputs == 1:
            continue
        detail = f"{case['seconds']:.1f} s for {rows:,} rows; cat {floor:.2f} s"
        found.append(
            report.Row(f"a day as {name}, beside cat, for each", MOST_TIMES_CAT, times, "x", False, conditions, detail)
        )
    peak = max(case["memory"] for case in closed.values()) / 2**30
    found.append(report.Row(f"memory, with {MEMORY} for DuckDB", MOST_RESIDENT, peak, "GiB"))
    pandas = services.run(
        "measured/closing_pandas.py", str(made), str(here.fresh("pandas")), environment=_environment(here)
    )
    lines.append(("pandas: read, sort, to_csv", pandas["seconds"], pandas["memory"] / 2**30, pandas["seconds"] / floor))
    shutil.rmtree(made)
    found.append(_felt(here))
    size = f"{rows:,} rows x 10 columns in {FILES} files"
    table = report.Table(f"Closing a day of {size}", ("", "s", "GiB", "times cat, each output"), tuple(lines))
    return report.Part(tuple(found), (table,))


CASES = {"CSV": ("CSV",), "Parquet": ("Parquet",), "CSV and Parquet": ("CSV", "Parquet")}


def _make(here: ground.Ground, rows: int) -> pathlib.Path:
    import duckdb

    store = here.fresh("day")
    (store / FOLDER).mkdir(parents=True)
    names = ["data.csv", *(f"data.{number}.csv" for number in range(1, FILES))]
    for number, name in enumerate(names):
        share = rows // FILES + (rows % FILES if number == 0 else 0)
        duckdb.sql(_MADE.format(rows=share, path=store / FOLDER / name))
    return store


def _cat(here: ground.Ground, store: pathlib.Path) -> float:
    into = here.directory / "cat"
    begin = time.monotonic()
    with into.open("wb") as file:
        subprocess.run(["cat", *sorted(map(str, (store / FOLDER).glob("data*.csv")))], stdout=file, check=True)
    seconds = time.monotonic() - begin
    into.unlink()
    return seconds


def _close(here: ground.Ground, store: pathlib.Path, formats: tuple[str, ...]) -> dict[str, typing.Any]:
    arguments = [*(f"--format={each}" for each in formats), f"--memory={MEMORY}", "--threads=2"]
    arguments += [f"--path={PATH}", f"--scratch={here.directory / 'scratch'}"]
    figures = services.run("measured/closing_day.py", str(store), *arguments, environment=_environment(here))
    for left in ("closed", "tables"):
        shutil.rmtree(store / left, ignore_errors=True)
    (store / FOLDER / "_closed.json").unlink()
    return figures


def _environment(here: ground.Ground) -> dict[str, str]:
    return here.environment(PYTHONPATH=str(here.client.with_name("analytics")))


def _felt(here: ground.Ground) -> report.Row:
    """Append to a day that somebody closes, in turns with one whose like somebody closes elsewhere.

    Closer, model and storage share this machine, which they do not do where it matters: so one is at work in both.
    """
    seconds = 5 if here.quick else 20
    theirs, ours = list[float](), list[float]()
    closings = 0
    directory = here.fresh("elsewhere")
    with services.azurite(directory) as elsewhere:
        elsewhere.container(ground.CONTAINER)
        for turn in range(2 if here.quick else 6):
            folder = f"{FOLDER}/{turn}"
            with (
                _appending(here.azurite, folder) as one,
                _appending(elsewhere, folder) as other,
            ):
                for endpoint, into in ((elsewhere.endpoint, theirs), (here.azurite.endpoint, ours)):
                    container = f"{endpoint}/{ground.CONTAINER}"
                    environment = _environment(here)
                    with services.talking(
                        "measured/closing_again.py", container, folder, environment=environment
                    ) as at_it:
                        at_it.hear()
                        for appends in (one, other):
                            appends.tell(str(seconds))
                        into.append(float(one.hear()["p99"]))
                        other.hear()
                        at_it.tell("end")
                        closings += at_it.hear()["closed"]
    ratio = report.ratios(ours, theirs)
    mine, floor = report.middle(ours) * 1e3, report.middle(theirs) * 1e3
    detail = f"{mine:.1f} ms against {floor:.1f} while as much is closed elsewhere on this machine; {closings} passes"
    return report.Row("appends' p99 while their day is closed", MOST_APPENDS, ratio, "x", detail=detail)


def _appending(to: services.Azurite, folder: str) -> contextlib.AbstractContextManager[services.Talk]:
    return services.talking(APPENDS, to.endpoint, ground.CONTAINER, folder)
