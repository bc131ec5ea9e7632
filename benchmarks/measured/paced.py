"""Call at a steady pace and measure the processor time of the whole process, delivery included.

Arguments: contender, calls a second, seconds, directory. Processor time is counted from a warm process (everything is
imported, the first rows are delivered) until the last row is delivered.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import statistics
import sys
import time

import data
import peers


def main(name: str, rate: int, seconds: float, directory: pathlib.Path) -> None:
    contender = peers.KINDS[name](directory, data.ONE)
    tables = itertools.cycle(data.tables(data.ONE, contender.form))
    for _ in range(100):
        contender.call(next(tables))
    contender.settle()
    calls = int(rate * seconds)
    taken = []
    before = time.process_time()
    begin = time.perf_counter()
    for number in range(calls):
        pause = begin + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        start = time.perf_counter_ns()
        contender.call(next(tables))
        taken.append(time.perf_counter_ns() - start)
    contender.settle()
    used = time.process_time() - before
    taken.sort()
    result = {
        "cpu_us": used / calls * 1e6,
        "median_us": statistics.median(taken) / 1000,
        "p99_us": taken[int(calls * 0.99)] / 1000,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), pathlib.Path(sys.argv[4]))
