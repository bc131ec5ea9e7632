"""A parent of ``multiprocessing`` children that collect, each ending in another way. A program, not a test.

``python -m children <start method> <parent>``, where the parent collects too (``collects``), or not (``starts``).
Each child has its tens: 0 to 9, 10 to 19, and so on, the parent the last. After each it waits for a line.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import typing

import modeldata.process.ending
from modeldata import ModelDataCollector

modeldata.process.ending.EXIT_SECONDS = 60  # the machine may be slow


def collect(tens: int) -> None:
    model = ModelDataCollector("m", "inputs", ["n"])
    for n in range(10 * tens, 10 * tens + 10):
        model.collect([[n]])


def returns(ready: typing.Any) -> None:
    collect(0)


def raises(ready: typing.Any) -> None:
    collect(1)
    raise RuntimeError("as the test wants it")


def exits(ready: typing.Any) -> None:
    collect(2)
    sys.exit(3)


def is_terminated(ready: typing.Any) -> None:
    collect(3)
    ready.set()
    while True:  # not for long at a time: a signal that comes just before a pause does not end it
        time.sleep(0.05)


def vanishes(ready: typing.Any) -> None:
    collect(4)
    os._exit(4)


def main(method: str, parent: str) -> None:
    if parent == "collects":
        collect(5)
    context = multiprocessing.get_context(method)
    for target in (returns, raises, exits, is_terminated, vanishes):
        ready = context.Event()
        child = context.Process(target=target, args=(ready,))
        child.start()
        if target is is_terminated:
            ready.wait()
            child.terminate()
        child.join()
        print(child.exitcode, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
