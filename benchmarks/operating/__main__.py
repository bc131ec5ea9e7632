"""Measure the operator among thousands of workloads, against a real API server. See ../README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import typing

import admitting
import controlling
import crowding
import fleet
import switching

import processes
import report

PARTS = ("controller", "webhook", "crowding", "switching")


def main() -> None:
    arguments = parser().parse_args()
    parts: typing.Sequence[str] = arguments.parts or PARTS
    deployments, pods, collected = (200, 1000, 200) if arguments.quick else (2000, 10000, 2000)
    found: list[report.Part] = []
    if "switching" in parts:
        found.append(switching.measure())
    if "crowding" in parts:
        found.append(_crowded(deployments=deployments, pods=pods, quick=arguments.quick))
    if {"controller", "webhook"} & set(parts):
        found += _among_thousands(parts, deployments=deployments, pods=pods, collected=collected, quick=arguments.quick)
    if arguments.json:
        print(json.dumps(document(found), indent=2))
        return
    for part in found:
        for table in part.tables:
            print(report.table(table), end="\n\n")
    print(report.verdicts([row for part in found for row in part.rows]))


def _among_thousands(
    parts: typing.Sequence[str], *, deployments: int, pods: int, collected: int, quick: bool
) -> list[report.Part]:
    found: list[report.Part] = []
    api = processes.AuditedServer()
    try:
        api.start()
        seconds = fleet.build(api, deployments=deployments, pods=pods, collected=collected)
        print(f"{deployments} Deployments and {pods} pods made in {seconds:.0f} s", file=sys.stderr)
        began, busy = time.monotonic(), os.getloadavg()[0]
        if "controller" in parts:
            found.append(controlling.measure(api, collected=collected, quick=quick))
        if "webhook" in parts:
            count = collected * deployments // pods
            found.append(admitting.measure(api, deployments=deployments, collected=count, quick=quick))
        print(f"measured in {time.monotonic() - began:.0f} s, load before {busy:.1f}", file=sys.stderr)
    finally:
        api.close()
    return found


def _crowded(*, deployments: int, pods: int, quick: bool) -> report.Part:
    """Measure beside one collection that has all the pods."""
    api = processes.AuditedServer()
    try:
        api.start()
        seconds = fleet.build(api, deployments=deployments, pods=pods, collected=pods)
        print(f"{deployments} Deployments and {pods} pods of one collection made in {seconds:.0f} s", file=sys.stderr)
        return crowding.measure(api, deployments=deployments, pods=pods, quick=quick)
    finally:
        api.close()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    made.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}")
    made.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    made.add_argument("--quick", action="store_true", help="a tenth of the workloads: to see that it runs")
    return made


def document(found: list[report.Part]) -> dict[str, object]:
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "rows": [row.document() for part in found for row in part.rows],
        "tables": [table.document() for part in found for table in part.tables],
    }


if __name__ == "__main__":
    main()
