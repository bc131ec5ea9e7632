"""Measure what a call costs on the caller's own thread; contenders take turns, block by block, in this process.

Arguments: shape, blocks, directory, and the contenders, the floor first. Prints for each contender its blocks' medians
and 99th percentiles in microseconds.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import statistics
import sys
import time
import typing

import data
import peers

# Calls in a block. Few for what sends from a queue that overflows, or waits for storage in each call.
_CALLS = {1: 4000, 100: 400, 1000: 30}
_CALLS_OF = {
    "azureml-ai-monitoring": {1: 200, 100: 100, 1000: 30},
    "append_block a request": {1: 60, 100: 60, 1000: 10},
}


def main(shape: data.Shape, blocks: int, directory: pathlib.Path, names: list[str]) -> None:
    made = {name: peers.KINDS[name](directory, shape) for name in names}
    tables = {form: data.tables(shape, form) for form in {contender.form for contender in made.values()}}
    clock = _clock_cost()
    medians: dict[str, list[float]] = {name: [] for name in names}
    slow: dict[str, list[float]] = {name: [] for name in names}
    for block in range(blocks + 1):
        for name, contender in made.items():
            calls = _CALLS_OF.get(name, _CALLS)[shape.rows]
            taken = measure(contender.call, tables[contender.form], calls)
            contender.settle()
            contender.rewind()
            if block:  # the first is to warm up
                taken.sort()
                medians[name].append((statistics.median(taken) - clock) / 1000)
                slow[name].append((taken[int(len(taken) * 0.99)] - clock) / 1000)
    json.dump({"median": medians, "p99": slow}, sys.stdout)


def measure(call: peers.Call, tables: list[typing.Any], calls: int) -> list[int]:
    """Return the nanoseconds that each call took."""
    clock = time.perf_counter_ns
    taken = []
    for table in itertools.islice(itertools.cycle(tables), calls):
        start = clock()
        call(table)
        taken.append(clock() - start)
    return taken


def _clock_cost() -> float:
    clock = time.perf_counter_ns
    return statistics.median(-(clock() - clock()) for _ in range(10_000))


if __name__ == "__main__":
    main(data.SHAPES[sys.argv[1]], int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:])
