"""Closes days that are over: each becomes one sorted CSV and typed Parquet. What is closed stays; rows that come late
are taken in by the next run.

Exit code 0: all days that are due are closed; 1: some could not be; 2: wrong usage; 3: storage refuses, or does not
answer.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import pathlib
import re
import sys
import tempfile

from .. import catalog, closing
from ..closing import delta, plan, report, scratch
from ..days import manifest, template
from ..engines import Engine, duck
from ..storage import Blobs, StorageError
from . import storing, watching

NAME = "close"
HELP = "close days that are over"

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MEMORY = re.compile(r"([1-9][0-9]{0,8})([KMGT])(i?)B?")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    storing.add(parser)
    parser.add_argument(
        "--path", type=_template, default=template.Template(), help="spec.storage.path of the DataCollection"
    )
    parser.add_argument(
        "--match",
        type=_field,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="only days whose path has this value in this field; may be given for several fields",
    )
    parser.add_argument("--since", type=_date, metavar="DATE", help="the first day, such as 2026-11-01")
    parser.add_argument("--until", type=_date, metavar="DATE", help="the last day")
    parser.add_argument(
        "--after", type=_duration, default="6h", metavar="TIME", help="after its end (UTC) a day is due; default: 6h"
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=manifest.FORMATS,
        dest="formats",
        help="default: both. A day that is closed keeps the formats it has",
    )
    parser.add_argument("--delta", action="store_true", help="register the Parquet in a Delta log")
    parser.add_argument(
        "--delete-after",
        type=_duration,
        metavar="TIME",
        help="delete raw files so long after their day and their last row, as 720h; at least 168h; default: never",
    )
    parser.add_argument(
        "--scratch",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()),
        metavar="DIRECTORY",
        help="with room for three times the largest day; default: the system's",
    )
    parser.add_argument(
        "--memory", type=_memory, default="1GB", help="for DuckDB; the process takes half more; default: 1GB"
    )
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument(
        "--engine",
        type=str.lower,
        choices=("duckdb", "spark"),
        default="duckdb",
        help="what sorts; spark: the cluster of the session in which this runs (spark-submit, a job of Databricks);"
        " default: duckdb",
    )
    parser.add_argument(
        "--exchange",
        default="",
        metavar="URL",
        help="a directory, as Spark names it, through which driver and executors hand each other files, such as"
        " abfss://…; default: the scratch directory, which all of them must see then",
    )
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="where to write what was done, as JSON")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be closed")


def run(arguments: argparse.Namespace) -> int:
    """Close days; return the exit code."""
    summary = report.Summary()
    try:
        code = _run(arguments, summary)
    except storing.UsageError as error:
        print(f"modeldata close: {error}", file=sys.stderr)
        return USAGE
    except scratch.ScratchError as error:
        print(f"modeldata close: --scratch {error}", file=sys.stderr)
        return USAGE
    except StorageError as error:
        print(f"modeldata close: {error}", file=sys.stderr)
        summary.fail("", type(error).__name__, str(error))
        code = REFUSED
    try:
        if arguments.report is not None:
            # In its place: a pod's termination message is a file that can't be replaced.
            arguments.report.write_text(summary.to_json(), encoding="utf-8")
    except OSError as error:
        print(f"modeldata close: --report {arguments.report}: {error.strerror}", file=sys.stderr)
    return code


def _run(arguments: argparse.Namespace, summary: report.Summary) -> int:
    wish, wanted = _wish(arguments), _wanted(arguments)
    if arguments.engine == "spark" and importlib.util.find_spec("pyspark") is None:
        raise storing.UsageError("--engine spark needs pyspark: pip install 'modeldata-analytics[spark]'")
    if arguments.exchange and arguments.engine != "spark":
        raise storing.UsageError("--exchange is for --engine spark")
    store = storing.open_store(arguments)
    log = _delta(store) if wish.delta else None
    now = datetime.datetime.now(datetime.UTC)
    with scratch.directory(arguments.scratch) as folder, watching.watch() as watch:
        engine = _engine(arguments, folder)
        tools = closing.Tools(store, engine, log, watch.step, watch.arrived)
        closer = closing.Closer(wish, tools, folder, watch, dry=arguments.dry_run)
        for outcome in closer.close(catalog.find(store, arguments.path, wanted), now):
            summary.add(outcome)
    print(_last_line(summary), file=sys.stderr)
    return FAILED if summary.failures else DONE


def _engine(arguments: argparse.Namespace, folder: pathlib.Path) -> Engine:
    local = duck.DuckDB(memory=arguments.memory, threads=arguments.threads, scratch=folder)
    if arguments.engine == "duckdb":
        return local
    from pyspark.sql import SparkSession

    from ..engines import spark

    session = SparkSession.builder.appName("modeldata close").getOrCreate()
    return spark.Spark(session, local, scratch=folder, exchange=arguments.exchange)


def _wish(arguments: argparse.Namespace) -> plan.Wish:
    formats = tuple(each for each in manifest.FORMATS if each in (arguments.formats or manifest.FORMATS))
    if arguments.delta and manifest.PARQUET not in formats:
        raise storing.UsageError("--delta needs --format Parquet")
    if arguments.threads < 1:
        raise storing.UsageError("--threads is at least 1")
    try:
        return plan.Wish(formats, arguments.delta, arguments.after, arguments.delete_after)
    except ValueError as error:
        raise storing.UsageError(f"--delete-after: {error}") from None


def _wanted(arguments: argparse.Namespace) -> template.Wanted:
    for name, _ in arguments.match:
        if f"{{{name}}}" not in arguments.path.text:
            raise storing.UsageError(f"--match {name}=…: the path {arguments.path.text!r} has no field {{{name}}}")
    return template.Wanted(tuple(arguments.match), arguments.since, arguments.until)


def _delta(store: Blobs) -> delta.Delta:
    if importlib.util.find_spec("deltalake") is None:
        raise storing.UsageError("--delta needs deltalake: pip install 'modeldata-analytics[delta]'")
    return delta.Delta(store)


def _last_line(summary: report.Summary) -> str:
    through = summary.through
    parts = [f"days through {through} are closed" if through else "no day is closed", f"{summary.closed} days"]
    parts.append(f"{summary.rows} rows")
    if summary.late_rows:
        parts.append(f"{summary.late_rows} of them late")
    if summary.pending:
        parts.append(f"{summary.pending} days not yet")
    if summary.failures:
        parts.append(f"{len(summary.failures)} NOT CLOSED")
    return ", ".join(parts)


def _template(text: str) -> template.Template:
    try:
        return template.Template(text)
    except template.TemplateError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is no FIELD=VALUE")
    return name, value


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date, such as 2026-11-28") from None


def _duration(text: str) -> datetime.timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, such as 6h, 90m or 30d")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


def _memory(text: str) -> str:
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 1GB or 1Gi")
    return f"{found[1]}{found[2]}{found[3]}B"
