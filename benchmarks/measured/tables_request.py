"""Looks for one request: ``python tables_request.py <store> <id>``. Prints the middle time of nine, each anew."""

from __future__ import annotations

import json
import statistics
import sys
import time

import status
from modeldata_analytics import Store

times, rows = [], 0
for _ in range(10):
    begin = time.monotonic()
    rows = len(Store(sys.argv[1]).model("churn", version="10").request(sys.argv[2]))
    times.append(time.monotonic() - begin)
print(json.dumps({"seconds": statistics.median(times[1:]), "memory": status.memory("VmHWM"), "rows": rows}))
