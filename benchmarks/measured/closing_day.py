"""Closes days as the command does: ``python closing_day.py <address> <arguments>``. Prints time, memory and rows."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time

import status
from modeldata_analytics.__main__ import main


def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        told = pathlib.Path(directory) / "report.json"
        begin = time.monotonic()
        code = main(["close", *sys.argv[1:], f"--report={told}"])
        seconds = time.monotonic() - begin
        assert code == 0, told.read_text()
        rows = json.loads(told.read_text())["closed"]["rows"]
    print(json.dumps({"seconds": seconds, "memory": status.memory("VmHWM"), "rows": rows}))


run()
