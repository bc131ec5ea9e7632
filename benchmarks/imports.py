"""What importing costs, in fresh processes that take turns."""

from __future__ import annotations

import ground
import report
import services

MODULES = ("orjson", "modeldata", "azure.storage.blob", "bentoml", "azureml.ai.monitoring")


def measure(here: ground.Ground) -> report.Part:
    environment = here.environment()
    found: dict[str, list[dict[str, float]]] = {module: [] for module in MODULES}
    for turn in range(4 if here.quick else 16):
        for module in MODULES:
            figures = services.run("measured/importing.py", module, environment=environment)
            if turn:  # the first compiles
                found[module].append(figures)
    milliseconds = {module: report.middle([each["ms"] for each in found[module]]) for module in MODULES}
    megabytes = {module: report.middle([each["mb"] for each in found[module]]) for module in MODULES}
    rows = tuple(
        report.Row(
            f"import of modeldata, more {what} than orjson alone",
            limit,
            values["modeldata"] - values["orjson"],
            unit,
            detail=f"{values['modeldata']:.1f} against {values['orjson']:.1f} {unit}",
        )
        for what, limit, unit, values in (("time", 25.0, "ms", milliseconds), ("memory", 6.0, "MB", megabytes))
    )
    lines = tuple((module, milliseconds[module], megabytes[module]) for module in MODULES)
    return report.Part(rows, (report.Table("Importing", ("", "ms", "MB of the process"), lines),))
