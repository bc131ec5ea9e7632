"""A process that ships what another one left in its spool, while one thread ticks: prints the longest time it stood.

What a full collection of CPython's garbage takes is told apart: it stops every thread, whoever's objects are due.

``python shipping.py <threads | gevent> <spool's bytes to wait for>``
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

if sys.argv[1] == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()

import gc
import os
import threading

import modeldata
import modeldata.process.pipeline
import status

QUIET_SECONDS, MOST_SECONDS = 3.0, 180.0


class Ticker(threading.Thread):
    """Notes how long it could not run, as far as another thread of this process computed meanwhile.

    What the machine gave to other processes is left out: in that time this process has computed nothing, or this thread
    was waiting for a processor.
    """

    def __init__(self, pause: float) -> None:
        super().__init__(daemon=True)
        self._pause = pause
        self._gaps: list[tuple[float, float]] = []
        """How long, and when it was over."""
        self._collected: list[tuple[float, float]] = []
        """Full collections of garbage: begin and end."""
        self._began = 0.0
        self.stop = False
        gc.callbacks.append(self._collects)

    def run(self) -> None:
        status_file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)

        def look() -> tuple[float, float, float]:
            waited = int(os.pread(status_file, 100, 0).split()[1]) / 1e9
            return time.perf_counter(), time.process_time(), waited

        last = look()
        while not self.stop:
            time.sleep(self._pause)
            now = look()
            passed, computed, waited = (after - before for before, after in zip(last, now, strict=True))
            self._gaps.append((min(passed - self._pause - waited, computed), now[0]))
            last = look()

    def taken(self) -> dict[str, object]:
        gaps, self._gaps = self._gaps, []
        collected, self._collected = self._collected, []
        holds = sorted((gap - self._overlap(gap, over, collected) for gap, over in gaps), reverse=True)
        return {
            "longest": holds[0] if holds else 0.0,
            "over_5_ms": sum(hold > 0.005 for hold in holds),
            "top": holds[:5],
            "collection": max((end - begin for begin, end in collected), default=0.0),
        }

    @staticmethod
    def _overlap(gap: float, over: float, collected: list[tuple[float, float]]) -> float:
        return sum(max(0.0, min(end, over) - max(begin, over - gap)) for begin, end in collected)

    def _collects(self, phase: str, detail: dict[str, int]) -> None:
        if detail["generation"] == 2:
            if phase == "start":
                self._began = time.perf_counter()
            else:
                self._collected.append((self._began, time.perf_counter()))


def main() -> None:
    ticker = Ticker(0.0005)
    ticker.start()
    time.sleep(QUIET_SECONDS)
    quiet = ticker.taken()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before, begin = status.memory("VmRSS"), time.monotonic()
    model = modeldata.ModelDataCollector("m", "ticks", ["n"])
    model.collect([[1]])
    while modeldata.stats().waiting_bytes or not modeldata.stats().delivered:
        if time.monotonic() - begin > MOST_SECONDS:
            raise TimeoutError(str(modeldata.stats()))
        time.sleep(0.05)
    seconds, shipping = time.monotonic() - begin, ticker.taken()
    ticker.stop = True
    print(
        json.dumps(
            {
                "seconds": seconds,
                "memory": status.memory("VmHWM") - before,
                "quiet": quiet,
                "shipping": shipping,
                "delivered": modeldata.stats().delivered,
                "dropped": modeldata.stats().dropped,
            }
        )
    )


if __name__ == "__main__":
    main()
