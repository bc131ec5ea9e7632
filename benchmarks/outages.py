"""Storage that hangs: what a call takes, what is lost, what a million waiting rows weigh."""

from __future__ import annotations

import collections

import ground
import report
import services

RATE = 200
WARM_ROWS, HEALTHY_ROWS = 200, 200_000  # as in measured/outage.py


def measure(here: ground.Ground) -> report.Part:
    return report.Part((_longest(here), _memory(here)), ())


def _longest(here: ground.Ground) -> report.Row:
    seconds = 10 if here.quick else 60
    with services.relay(here.azurite.port) as relay:
        environment = here.collected(relay.endpoint, flushInterval="1s")
        arguments = ("measured/outage.py", "paced", str(RATE), str(seconds))
        with services.talking(*arguments, environment=environment) as process:
            assert process.hear()["delivered"]
            relay.switch("hang")
            process.tell("go")
            found = process.hear()
            relay.switch("pass")
            process.tell("go")
            after = process.hear()
            times = _times_each_row_is_there(here, environment)
    expected = dict.fromkeys(range(WARM_ROWS + found["calls"]), 1)
    return report.Row(
        f"longest collect() while storage hangs for {seconds} s, {RATE} calls/s",
        5.0,
        found["longest_own_us"] / 1000,
        "ms",
        conditions=(
            ("none raised", not found["raised"]),
            ("none dropped", not found["dropped"]),
            ("delivered afterwards", after["delivered"]),
            ("each row in Azurite once", times == expected),
        ),
        detail=(
            f"time in which other processes had the processor left out; with it {found['longest_us'] / 1000:.2f} ms, "
            f"second longest {found['second_longest_us'] / 1000:.2f} ms, p99.9 {found['p999_us']:.0f} us, median "
            f"{found['median_us']:.0f} us; a bare write beside each call: longest "
            f"{found['write_longest_us'] / 1000:.2f} ms, p99.9 {found['write_p999_us']:.0f} us; all there "
            f"{after['seconds']:.1f} s after the outage"
        ),
    )


def _times_each_row_is_there(here: ground.Ground, environment: dict[str, str]) -> dict[int, int]:
    return dict(collections.Counter(int(row.split(b",")[3]) for row in here.rows(environment)))


def _memory(here: ground.Ground) -> report.Row:
    waiting = 100_000 if here.quick else 1_000_000
    with services.sink() as sink, services.relay(sink.port) as relay:
        environment = here.collected(relay.endpoint, spool={"bytes": 2 * 2**30})
        arguments = ("measured/outage.py", "waiting", str(waiting))
        with services.talking(*arguments, environment=environment) as process:
            begin = process.hear()
            process.tell("go")
            healthy = process.hear()
            relay.switch("hang")
            process.tell("go")
            hung = process.hear()
            relay.switch("pass")
            process.tell("go")
            after = process.hear()
        there = sink.rows()
    return report.Row(
        f"memory with storage hung and {waiting:,} rows waiting, more than the same process with it healthy",
        10.0,
        hung["hung_peak_mb"] - healthy["healthy_peak_mb"],
        "MB",
        conditions=(
            ("none dropped", not hung["dropped"]),
            ("delivered afterwards", after["delivered"] and there == WARM_ROWS + HEALTHY_ROWS + waiting),
        ),
        detail=(
            f"peaks {hung['hung_peak_mb']:.1f} and {healthy['healthy_peak_mb']:.1f} MB (healthy: {HEALTHY_ROWS:,} rows "
            f"collected and delivered); resident at the end {hung['hung_mb']:.1f} and {healthy['healthy_mb']:.1f} MB; "
            f"{begin['warm_mb'] - begin['before_mb']:.1f} MB are modeldata, azure-storage-blob and the first delivery; "
            f"{hung['waiting_bytes'] / 1e6:.0f} MB wait in the spool; {waiting / hung['collect_seconds']:,.0f} rows/s "
            "taken"
        ),
    )
