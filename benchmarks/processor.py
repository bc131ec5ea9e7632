"""The processor time of the whole process for each 1x6 call at a steady pace, delivery included."""

from __future__ import annotations

import ground
import report
import services

RATE = 200
NAMES = (
    "nothing",
    "orjson + os.write",
    "csv.writer + os.write",
    "logging + json.dumps",
    "bentoml.monitor",
    "azureml-ai-monitoring",
    "append_block a request",
    "modeldata inputs",
)


def measure(here: ground.Ground) -> report.Part:
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    seconds = "3" if here.quick else "6"
    for _ in range(1 if here.quick else 3):
        for name in NAMES:
            with services.sink() as sink:
                environment = here.contending(sink)
                arguments = (name, str(RATE), seconds, str(here.fresh("files")))
                figures[name].append(services.run("measured/paced.py", *arguments, environment=environment))
    used = {name: [each["cpu_us"] for each in figures[name]] for name in NAMES}
    nothing = report.middle(used["nothing"])
    ours, theirs = report.middle(used["modeldata inputs"]), report.middle(used["azureml-ai-monitoring"])
    row = report.Row(
        f"CPU per 1x6 call at {RATE}/s, delivery included, against azureml-ai-monitoring's",
        0.1,
        report.ratios(used["modeldata inputs"], used["azureml-ai-monitoring"]),
        "x",
        detail=f"{report.number(ours)} us against {report.number(theirs)} us; {report.number(nothing)} us of each are "
        "the loop itself; both deliver to the sink",
    )
    lines = tuple(
        (
            name,
            report.middle([each["median_us"] for each in figures[name]]),
            report.middle([each["p99_us"] for each in figures[name]]),
            report.middle(used[name]),
        )
        for name in NAMES
    )
    title = f"At {RATE} calls a second, 1x6: the caller, and the whole process"
    return report.Part((row,), (report.Table(title, ("", "median us", "p99 us", "CPU us a call"), lines),))
