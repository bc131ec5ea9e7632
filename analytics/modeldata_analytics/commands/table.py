"""Shows a model's rows: inputs, predictions and labels, joined by the request. Some of them as a table, or all as CSV.

The rows are pseudonymous data: on their way they lie in a directory that only its user may read, and that is removed.
Exit code 0: shown; 1: nothing was found, or closed files are damaged; 2: wrong usage; 3: storage refuses, or does not
answer.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import sys
import tempfile
import typing

from ..reading import frames
from . import asking, storing

if typing.TYPE_CHECKING:
    import pandas
    import pyarrow

NAME = "table"
HELP = "show a model's rows"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    asking.add(parser)
    parser.add_argument("--request", metavar="ID", help="the rows of this request alone")
    parser.add_argument("--rows", type=int, default=20, metavar="N", help="how many are shown; default: 20")
    parser.add_argument("--csv", action="store_true", help="print all of them as CSV, as the client writes it")


def run(arguments: argparse.Namespace) -> int:
    """Show them; return the exit code."""
    return asking.run(NAME, lambda: _csv(arguments) if arguments.csv else _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    import pandas

    wanted = max(arguments.rows, 0)
    model, when = asking.model(arguments), (arguments.since, arguments.until, arguments.designations)
    if arguments.request:
        frame = model.request(arguments.request, *when)
        rows = len(frame)
    else:
        frame, rows = _first(model.scan(*when, repeated=asking.repeated(arguments)), wanted)
    with pandas.option_context("display.width", shutil.get_terminal_size().columns, "display.max_columns", None):
        print(frame.head(wanted).to_string(index=False, na_rep=""))
    print(f"{min(rows, wanted):,} of {rows:,} rows", file=sys.stderr)


def _first(reader: pyarrow.RecordBatchReader, wanted: int) -> tuple[pandas.DataFrame, int]:
    """Return the first rows, and how many there are."""
    kept, rows = [], 0
    with reader:
        for batch in reader:
            kept.append(batch.slice(0, max(wanted - rows, 0)))
            rows += batch.num_rows
        return frames.frame(kept, reader.schema), rows


def _csv(arguments: argparse.Namespace) -> None:
    if arguments.request:
        raise storing.UsageError("--request and --csv do not go together")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as directory:
        path = pathlib.Path(directory) / "rows.csv"
        when = (arguments.since, arguments.until, arguments.designations)
        asking.model(arguments).export(path, *when, repeated=asking.repeated(arguments))
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()
