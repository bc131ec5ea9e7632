"""Collect while storage hangs. Waits for a line on its input before each phase, and prints a line after it.

Arguments: ``paced <calls a second> <seconds>`` or ``waiting <rows>``. Each row's first cell is its number.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import time
import typing

import status

WARM_ROWS = 200
HEALTHY_ROWS = 200_000


def main(kind: str, numbers: list[int]) -> None:
    imported = _memory("VmRSS")
    import modeldata

    names = [f"feature{number}" for number in range(6)]
    collector = modeldata.ModelDataCollector("model", designation="inputs", feature_names=names)
    _collect(collector, 0, WARM_ROWS)
    delivered = modeldata.flush(60.0)
    _say({"delivered": delivered, "before_mb": imported, "warm_mb": _memory("VmRSS")})
    _listen()
    result = _paced(collector, *numbers) if kind == "paced" else _waiting(collector, *numbers)
    stats = modeldata.stats()
    _say({**result, "dropped": stats.dropped, "waiting_bytes": stats.waiting_bytes})
    _listen()
    begin = time.monotonic()
    delivered = modeldata.flush(300.0)
    _say({"delivered": delivered, "accepted": modeldata.stats().accepted, "seconds": time.monotonic() - begin})


def _paced(collector: typing.Any, rate: int, seconds: int) -> dict[str, object]:
    """Collect at a steady pace; beside each call a bare write, to see what the machine itself does to a call."""
    ours, bare, queued, raised = [], [], [], 0
    floor = os.open(pathlib.Path(os.environ["MODELDATA_DIR"]) / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = time.perf_counter()
    for number in range(rate * seconds):
        pause = begin + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        row = [[WARM_ROWS + number, 0.1, 0.2, 0.3, 0.4, 0.5]]
        waited = _waited_for_a_processor()
        start = time.perf_counter_ns()
        try:
            collector.collect(row)
        except Exception:
            raised += 1
        middle = time.perf_counter_ns()
        os.write(floor, b"0.123456789," * 8)
        bare.append(time.perf_counter_ns() - middle)
        ours.append(middle - start)
        queued.append(_waited_for_a_processor() - waited)
    own = max(taken - waited for taken, waited in zip(ours, queued, strict=True))
    ours.sort()
    bare.sort()
    return {
        "calls": len(ours),
        "raised": raised,
        "longest_us": ours[-1] / 1000,
        "longest_own_us": own / 1000,
        "second_longest_us": ours[-2] / 1000,
        "p999_us": ours[int(len(ours) * 0.999)] / 1000,
        "median_us": ours[len(ours) // 2] / 1000,
        "write_longest_us": bare[-1] / 1000,
        "write_p999_us": bare[int(len(bare) * 0.999)] / 1000,
    }


def _waited_for_a_processor() -> int:
    """Return for how many nanoseconds this thread could have run and another process did, since it began."""
    return int(pathlib.Path("/proc/thread-self/schedstat").read_text().split()[1])


def _waiting(collector: typing.Any, rows: int) -> dict[str, object]:
    import modeldata

    _reset_peak()
    _collect(collector, WARM_ROWS, HEALTHY_ROWS)
    if not modeldata.flush(120.0):
        raise TimeoutError("not delivered while storage was healthy")
    healthy, healthy_peak = _memory("VmRSS"), _memory("VmHWM")
    _say({"healthy_mb": healthy, "healthy_peak_mb": healthy_peak})
    _listen()
    _reset_peak()
    begin = time.monotonic()
    _collect(collector, WARM_ROWS + HEALTHY_ROWS, rows)
    collected = time.monotonic() - begin
    time.sleep(5)  # looked through by the shipper meanwhile, several times
    return {"hung_mb": _memory("VmRSS"), "hung_peak_mb": _memory("VmHWM"), "collect_seconds": collected}


def _collect(collector: typing.Any, first: int, count: int) -> None:
    for number in range(first, first + count):
        collector.collect([[number, 0.1, 0.2, 0.3, 0.4, 0.5]])


def _memory(field: str) -> float:
    """Return a field of the process's status in MB."""
    return status.memory(field) / 2**20


def _reset_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


def _listen() -> None:
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], [int(argument) for argument in sys.argv[2:]])
