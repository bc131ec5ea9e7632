"""Run as a program: closes days in processes of their own, which start in a moment, as all is imported already.

Each line of standard input is what one is to do; its number and, when it has ended, how, are printed.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import sys
import tempfile
import traceback
import typing

import deltalake
import duckdb
import pyarrow.parquet

from modeldata_analytics import catalog, closing
from modeldata_analytics.closing import State, delta, plan
from modeldata_analytics.days import template
from modeldata_analytics.engines import duck
from modeldata_analytics.storage import azure

_IMPORTED = (azure, deltalake, duckdb, pyarrow.parquet)


class Quiet:
    def begun(self, day: template.Day) -> None: ...
    def step(self, name: str) -> None: ...
    def arrived(self, count: int) -> None: ...
    def ended(self, outcome: closing.Outcome) -> None: ...


def close(what: dict[str, typing.Any]) -> int:
    """Return 0 where all is closed, 1 where another one was quicker, 2 where a day failed."""
    now = datetime.datetime.fromisoformat(what["now"])
    after = what.get("delete_after")
    wish = plan.Wish(
        tuple(what.get("formats", ("CSV", "Parquet"))),
        bool(what.get("delta")),
        delete_after=None if after is None else datetime.timedelta(hours=after),
    )
    store = catalog.open_store(what["address"], what.get("credential"))
    with tempfile.TemporaryDirectory(dir=what["scratch"]) as folder:
        scratch, quiet = pathlib.Path(folder), Quiet()
        engine = duck.DuckDB(memory="300MB", threads=1, scratch=scratch)
        tools = closing.Tools(store, engine, delta.Delta(store) if wish.delta else None, quiet.step, quiet.arrived)
        closer = closing.Closer(wish, tools, scratch, quiet)
        days = catalog.find(store, template.Template(what["path"]), template.Wanted())
        code = 0
        for outcome in closer.close(days, now):
            if outcome.state is State.FAILED:
                print(outcome, file=sys.stderr)
                code = 2
            elif outcome.state is State.WAITING:
                code = max(code, 1)
        return code


def main() -> None:
    for line in sys.stdin:
        process = os.fork()
        if not process:
            code = 3
            try:
                code = close(json.loads(line))
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
