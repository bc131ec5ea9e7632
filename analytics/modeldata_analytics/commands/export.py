"""Writes a model's rows, joined by the request, to a file of Parquet or CSV, whatever their number.

The file holds pseudonymous data: it is made with the rights of whoever runs this, and stays.
Exit code 0: written; 1: nothing was found, or closed files are damaged; 2: wrong usage; 3: storage refuses, or does not
answer.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from . import asking

NAME = "export"
HELP = "write a model's rows to a file"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    asking.add(parser)
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="ends in .parquet or .csv")


def run(arguments: argparse.Namespace) -> int:
    """Write it; return the exit code."""

    def work() -> None:
        rows = asking.model(arguments).export(
            arguments.file,
            arguments.since,
            arguments.until,
            arguments.designations,
            repeated=asking.repeated(arguments),
        )
        print(f"{rows:,} rows in {arguments.file}", file=sys.stderr)

    return asking.run(NAME, work)
