"""A process that ships what another one left in its spool, while one thread ticks: prints the longest time it stood.

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

import threading

import modeldata
import status

QUIET_SECONDS, MOST_SECONDS = 3.0, 180.0


class Ticker(threading.Thread):
    """Notes how long it could not run, as far as another thread of this process computed meanwhile.

    What the machine gave to other processes is left out: in that time this process has computed nothing.
    """

    def __init__(self, pause: float) -> None:
        super().__init__(daemon=True)
        self._pause = pause
        self.gaps: list[float] = []
        self.stop = False

    def run(self) -> None:
        last, computed = time.perf_counter(), time.process_time()
        while not self.stop:
            time.sleep(self._pause)
            now, then = time.perf_counter(), time.process_time()
            self.gaps.append(min(now - last - self._pause, then - computed))
            last, computed = time.perf_counter(), time.process_time()

    def taken(self) -> dict[str, object]:
        gaps, self.gaps = sorted(self.gaps, reverse=True), []
        return {"longest": gaps[0] if gaps else 0.0, "over_5_ms": sum(gap > 0.005 for gap in gaps), "top": gaps[:5]}


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
