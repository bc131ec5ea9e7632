"""Record as fast as it goes, and wait until all is delivered.

Arguments: contender, shape, calls, directory. The clock runs from the first call, in a warm process, until delivery is
complete. A contender that refuses calls which come too fast is waited for instead.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import sys
import time

import data
import peers


def main(name: str, shape: data.Shape, calls: int, directory: pathlib.Path) -> None:
    contender = peers.KINDS[name](directory, shape)
    tables = itertools.cycle(data.tables(shape, contender.form))
    warm = 3
    for _ in range(warm):
        contender.call(next(tables))
    contender.settle()
    cpu = time.process_time()
    begin = time.perf_counter()
    for _ in range(calls):
        contender.room()
        contender.call(next(tables))
    called = time.perf_counter() - begin
    contender.settle()
    result = {
        "seconds": time.perf_counter() - begin,
        "calling_seconds": called,
        "cpu_seconds": time.process_time() - cpu,
        "calls": calls + warm,
        "rows": (calls + warm) * shape.rows,
    }
    if name.startswith("modeldata"):
        import modeldata

        stats = modeldata.stats()
        result["accepted"], result["dropped"] = stats.accepted, sum(stats.dropped.values())
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], data.SHAPES[sys.argv[2]], int(sys.argv[3]), pathlib.Path(sys.argv[4]))
