"""Sorts a day with pandas: ``python closing_pandas.py <store> <directory>``. Prints time and memory."""

from __future__ import annotations

import json
import pathlib
import sys
import time

import pandas

import status

files = sorted(pathlib.Path(sys.argv[1]).rglob("data*.csv"))
begin = time.monotonic()
table = pandas.concat([pandas.read_csv(file, dtype=str, keep_default_na=False) for file in files], ignore_index=True)
table = table.sort_values("$RequestId")
table.to_csv(pathlib.Path(sys.argv[2]) / "data.csv", index=False)
print(json.dumps({"seconds": time.monotonic() - begin, "memory": status.memory("VmHWM")}))
