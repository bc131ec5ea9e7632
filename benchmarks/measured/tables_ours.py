"""Reads a model as one table: ``python tables_ours.py <store>``. Prints time, memory and rows."""

from __future__ import annotations

import json
import sys
import time

import duckdb  # noqa: F401 (imported before the clock runs, as pandas is beside it)
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401

import status
from modeldata_analytics import Store

begin = time.monotonic()
table = Store(sys.argv[1]).model("churn", version="10").table()
seconds = time.monotonic() - begin
frame = int(table.memory_usage(deep=True).sum())
print(json.dumps({"seconds": seconds, "memory": status.memory("VmHWM"), "rows": len(table), "frame": frame}))
