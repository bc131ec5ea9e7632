"""What large calls cost: memory of who makes and of who ships them, and how long the shipper holds the interpreter.

One process makes the calls while storage is away; another ships what it left. So the two are told apart.
"""

from __future__ import annotations

import json
import pathlib
import typing

import ground
import report
import services

CASES = {
    "57 MiB of text": (60.0, 64.0),
    "19 MiB of text": (60.0, 64.0),
    "frame of 200,000x20": (60.0, 64.0),
    "3 arrays of 100,000x10": (60.0, 80.0),
}
"""Most MiB of the call, and of the shipper, azure's modules (some 35 MiB) included."""
SWITCH_SECONDS = 0.005
"""What CPython itself lets a thread go on while another waits (``sys.getswitchinterval``)."""
NOWHERE = "http://127.0.0.1:1/nowhere"


def measure(here: ground.Ground) -> report.Part:
    rows, lines = [], []
    for kind in ("threads", "gevent"):
        for case, (most_call, most_shipper) in CASES.items():
            if kind == "gevent" and case != "19 MiB of text":
                continue
            left, shipped = _run(here, kind, case)
            there = (("each row there once", shipped["delivered"] == left["rows"] + 1 and not left["dropped"]),)
            call, shipper = left["memory"] / 2**20, shipped["memory"] / 2**20
            noise, longest = shipped["quiet"]["longest"], shipped["shipping"]["longest"]
            if kind == "threads":
                rows.append(report.Row(f"memory of a call, {case}", most_call, call, "MiB", conditions=there))
                rows.append(report.Row(f"memory of its shipper, {case}", most_shipper, shipper, "MiB"))
            ratio = longest / (SWITCH_SECONDS + noise)
            detail = f"{longest * 1e3:.1f} ms, and {noise * 1e3:.1f} ms without it"
            rows.append(report.Row(f"longest hold by the shipper, {kind}, {case}", 2.0, ratio, "x", detail=detail))
            collection = shipped["shipping"]["collection"] * 1e3
            seconds = left["seconds"] * 1e3, shipped["seconds"]
            lines.append((case, kind, seconds[0], call, seconds[1], shipper, noise * 1e3, longest * 1e3, collection))
    columns = ("", "", "call, ms", "call, MiB", "shipped, s", "shipper, MiB")
    times = ("noise, ms", "longest hold, ms", "full collection, ms")
    return report.Part(tuple(rows), (report.Table("Large calls", (*columns, *times), tuple(lines)),))


def _run(here: ground.Ground, kind: str, case: str) -> tuple[dict[str, typing.Any], dict[str, typing.Any]]:
    with services.sink() as sink:
        environment = here.collected(NOWHERE, spool={"bytes": 2**30}, flushInterval="200ms")
        left = services.run("measured/leaving.py", case, environment=environment)
        path = pathlib.Path(environment["MODELDATA_DIR"], "settings/settings.json")
        document = json.loads(path.read_text())
        document["storage"]["endpoint"] = sink.endpoint
        path.write_text(json.dumps(document))
        return left, services.run("measured/shipping.py", kind, environment=environment)
