"""Import one module in a fresh process; print the milliseconds and what the process then weighs in MB.

Time in which the kernel gave the processor to others is left out. Files are read by ``open``: pathlib weighs too.
"""

import importlib
import json
import sys
import time


def waited() -> int:
    with open("/proc/thread-self/schedstat") as status:  # noqa: PTH123
        return int(status.read().split()[1])


before, start = waited(), time.perf_counter_ns()
importlib.import_module(sys.argv[1])
taken = time.perf_counter_ns() - start - (waited() - before)
with open("/proc/self/status") as memory:  # noqa: PTH123
    resident = next(int(line.split()[1]) for line in memory if line.startswith("VmRSS:"))
print(json.dumps({"ms": taken / 1e6, "mb": resident / 1024}))
