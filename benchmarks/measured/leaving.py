"""A process that makes one large call, or a few, which stay in its spool: prints what the call took.

``python leaving.py <case>``
"""

from __future__ import annotations

import json
import pathlib
import sys
import time
import typing

import numpy
import pandas

import modeldata
import status

CASES: dict[str, typing.Callable[[], list[typing.Any]]] = {
    "57 MiB of text": lambda: [[[n, f"{n} " + "x" * 57_000] for n in range(1000)]],
    "19 MiB of text": lambda: [[[n, f"{n} " + 'x"' * 9_500] for n in range(1000)]],
    "frame of 200,000x20": lambda: [
        pandas.DataFrame({f"c{n}": range(200_000) if n % 2 else numpy.arange(200_000) / 3 for n in range(20)})
    ],
    "3 arrays of 100,000x10": lambda: [numpy.random.default_rng(n).random((100_000, 10)) for n in range(3)],
}


def main() -> None:
    data = CASES[sys.argv[1]]()
    model = modeldata.ModelDataCollector("m", "inputs")
    model.collect([[1, "warm"]])
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before, begin = status.memory("VmRSS"), time.perf_counter()
    for each in data:
        model.collect(each)
    seconds = time.perf_counter() - begin
    print(
        json.dumps(
            {
                "seconds": seconds,
                "memory": status.memory("VmHWM") - before,
                "rows": modeldata.stats().accepted,
                "dropped": modeldata.stats().dropped,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
