"""Closes a day every second until told to end: ``python closing_again.py <container's address> <folder>``.

It runs at the lowest priority, as storage and the model share this machine with it, which they don't share elsewhere.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import sys
import tempfile
import threading

from modeldata_analytics import catalog, closing
from modeldata_analytics.closing import Outcome
from modeldata_analytics.days import template
from modeldata_analytics.engines import duck

ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's


class Quiet:
    def begun(self, day: template.Day) -> None: ...
    def step(self, name: str) -> None: ...
    def arrived(self, count: int) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


def _wait(over: threading.Event) -> None:
    sys.stdin.readline()
    over.set()


def run() -> None:
    os.nice(19)
    over = threading.Event()
    threading.Thread(target=_wait, args=(over,), daemon=True).start()
    store = catalog.open_store(sys.argv[1], ACCOUNT_KEY)
    day = template.Template("{designation}/{year}/{month}/{day}/{model}/{file}").day(sys.argv[2])
    assert day is not None
    closed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder, quiet = pathlib.Path(scratch), Quiet()
        engine = duck.DuckDB(memory="1GB", threads=1, scratch=folder)
        tools = closing.Tools(store, engine, None, quiet.step, quiet.arrived)
        print(json.dumps({}), flush=True)
        while not over.wait(1):
            closer = closing.Closer(closing.Wish(), tools, folder, quiet)
            (outcome,) = closer.close([day], datetime.datetime.now(datetime.UTC))
            closed += outcome.new > 0
    print(json.dumps({"closed": closed}), flush=True)


run()
