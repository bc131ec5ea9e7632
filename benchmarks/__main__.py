"""Measure what the client promises, beside its peers, in one run. See README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import time
import typing

import calls
import closing
import delivery
import ground
import imports
import large
import outages
import processor
import report
import requests_served
import services
import tables

PARTS: dict[str, typing.Callable[[ground.Ground], report.Part]] = {
    "calls": calls.measure,
    "requests": requests_served.measure,
    "processor": processor.measure,
    "delivery": delivery.measure,
    "outages": outages.measure,
    "imports": imports.measure,
    "large": large.measure,
    "closing": closing.measure,
    "tables": tables.measure,
}


def main() -> None:
    arguments = parser().parse_args()
    found: dict[str, report.Part] = {}
    others: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="modeldata-benchmarks-", dir=arguments.scratch) as scratch:
        # A copy, so that whoever works on the client changes nothing in the middle of a run.
        client = pathlib.Path(scratch) / "client"
        shutil.copytree(arguments.client / "modeldata", client / "modeldata")
        analytics = services.HERE.parent / "analytics/modeldata_analytics"
        shutil.copytree(analytics, pathlib.Path(scratch) / "analytics/modeldata_analytics")
        for name in arguments.parts or PARTS:
            begin, busy = time.monotonic(), _processor_seconds()
            with _ground(pathlib.Path(scratch) / name, client, arguments) as here:
                found[name] = PARTS[name](here)
            seconds = time.monotonic() - begin
            others[name] = (_processor_seconds() - busy) / seconds / (os.cpu_count() or 1)
            print(f"{name}: {seconds:.0f} s, {others[name]:.0%} of the processors were others'", file=sys.stderr)
    if arguments.json:
        print(json.dumps(document(found, others), indent=2))
        return
    for part in found.values():
        for table in part.tables:
            print(report.table(table), end="\n\n")
    print("Of the machine's processors, processes that have no part in this had meanwhile:")
    print(", ".join(f"{name} {share:.0%}" for name, share in others.items()), end="\n\n")
    print(report.verdicts([row for part in found.values() for row in part.rows]))


@contextlib.contextmanager
def _ground(
    directory: pathlib.Path, client: pathlib.Path, arguments: argparse.Namespace
) -> typing.Iterator[ground.Ground]:
    """Make a directory with an Azurite; both are gone afterwards."""
    storage = directory / "azurite"
    storage.mkdir(parents=True)
    with services.azurite(storage) as azurite:
        azurite.container(ground.CONTAINER)
        yield ground.Ground(directory, client, azurite, arguments.quick, arguments.rows)
    shutil.rmtree(directory)


def _processor_seconds() -> float:
    """Return the time that processes which are not of this run have had of all processors."""
    user, nice, system, _, _, irq, softirq, steal, *_ = pathlib.Path("/proc/stat").read_text().split()[1:11]
    busy = sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")
    ours = os.times()
    return busy - ours.user - ours.system - ours.children_user - ours.children_system


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python benchmarks", description=__doc__)
    made.add_argument("parts", nargs="*", type=_part, metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    made.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    made.add_argument("--quick", action="store_true", help="fewer repeats: to see that it runs, not to judge by")
    made.add_argument(
        "--rows",
        type=int,
        default=0,
        help="of the day that is closed, default: 2,000,000; of the table that is read, default: 500,000",
    )
    made.add_argument(
        "--scratch", metavar="DIRECTORY", help="where spools and Azurite's data lie; default: as tempfile"
    )
    client = services.HERE.parent / "client"
    made.add_argument("--client", metavar="DIRECTORY", type=pathlib.Path, default=client, help="default: this one's")
    return made


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PARTS)}")
    return name


def document(found: dict[str, report.Part], others: dict[str, float]) -> dict[str, object]:
    return {
        "processors_taken_by_others": others,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "rows": [row.document() for part in found.values() for row in part.rows],
        "tables": [table.document() for part in found.values() for table in part.tables],
    }


if __name__ == "__main__":
    main()
