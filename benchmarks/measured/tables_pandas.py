"""Reads and joins a model's files with pandas: ``python tables_pandas.py <store>``. Prints time, memory and rows."""

from __future__ import annotations

import json
import pathlib
import sys
import time

import pandas

import status


def read(designation: str) -> pandas.DataFrame:
    files = sorted(pathlib.Path(sys.argv[1]).rglob(f"{designation}/**/data*.csv"))
    return pandas.concat([pandas.read_csv(file) for file in files], ignore_index=True)


begin = time.monotonic()
table = read("inputs").merge(read("predictions"), on="$RequestId", suffixes=("", "_p"))
table = table.merge(read("labels"), on="$RequestId", how="left", suffixes=("", "_l"))
seconds = time.monotonic() - begin
print(json.dumps({"seconds": seconds, "memory": status.memory("VmHWM"), "rows": len(table)}))
