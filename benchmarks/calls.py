"""What ``collect()`` costs the caller, against the floor and the peers."""

from __future__ import annotations

import collections

import ground
import report
import services

FLOOR = "orjson + os.write"
OURS = ("modeldata inputs", "modeldata predictions")
AZUREML = "azureml-ai-monitoring"
# Contenders that share a process. What works on in the background would disturb others: it is alone with the floor.
GROUPS = (
    (FLOOR, *OURS),
    (FLOOR, "csv.writer + os.write", "logging + json.dumps", "bentoml.monitor"),
    (FLOOR, AZUREML),
    (FLOOR, "append_block a request"),
)
LIMITS = {"1x6": 3.0, "100x6": 1.2, "1000x50": 0.2}
FORMS = {"1x6": "list", "100x6": "lists", "1000x50": "float64 array"}


def measure(here: ground.Ground) -> report.Part:
    rows: list[report.Row] = []
    tables = []
    for shape, limit in LIMITS.items():
        found = _shape(here, shape)
        tables.append(_table(shape, found))
        for name in OURS:
            ours = found[name]
            conditions: tuple[tuple[str, bool], ...] = ()
            if shape == "1x6":
                conditions = (("less than azureml-ai-monitoring", ours.median < found[AZUREML].median),)
            floor = " (of the same rows as lists)" if shape == "1000x50" else ""
            detail = f"{report.number(ours.median)} us against {report.number(ours.floor)} us{floor}"
            title = f"collect() {shape} {FORMS[shape]}, {name.split()[1]}, against the floor"
            rows.append(report.Row(title, limit, ours.ratio, "x", conditions=conditions, detail=detail))
    return report.Part(tuple(rows), tuple(tables))


class _Found:
    """All blocks of one contender."""

    def __init__(self) -> None:
        self.medians: list[float] = []
        self.p99: list[float] = []
        self.floors: list[float] = []

    @property
    def median(self) -> float:
        return report.middle(self.medians)

    @property
    def floor(self) -> float:
        return report.middle(self.floors)

    @property
    def ratio(self) -> float:
        return report.ratios(self.medians, self.floors)


def _shape(here: ground.Ground, shape: str) -> dict[str, _Found]:
    found: dict[str, _Found] = collections.defaultdict(_Found)
    blocks = "3" if here.quick else "5"
    for _ in range(1 if here.quick else 3):
        for group in GROUPS:
            with services.sink() as sink:
                environment = here.contending(sink, spool={"bytes": 2**30})
                arguments = (shape, blocks, str(here.fresh("files")), *group)
                figures = services.run("measured/caller.py", *arguments, environment=environment)
            for name in group:
                found[name].medians += figures["median"][name]
                found[name].p99 += figures["p99"][name]
                found[name].floors += figures["median"][FLOOR]
    return found


def _table(shape: str, found: dict[str, _Found]) -> report.Table:
    names = sorted(found, key=lambda name: found[name].ratio)
    lines = tuple((name, found[name].median, report.middle(found[name].p99), found[name].ratio) for name in names)
    return report.Table(f"The caller's thread, {shape}", ("", "median us", "p99 us", "x floor"), lines)
