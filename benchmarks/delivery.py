"""How fast one process delivers: from its first call until everything is in storage."""

from __future__ import annotations

import dataclasses
import typing

import ground
import report
import services

SINK, AZURITE = "the sink", "Azurite"
"""The sink is a stand-in that takes next to no processor; Azurite is real and runs on the same cores."""
CELL_BYTES = 8


@dataclasses.dataclass(frozen=True)
class _Case:
    contender: str
    shape: str
    calls: int
    to: str

    @property
    def row_bytes(self) -> int:
        return int(self.shape.partition("x")[2]) * CELL_BYTES


CASES = (
    _Case("modeldata inputs", "1x6", 300_000, SINK),
    _Case("modeldata inputs", "1x6", 300_000, AZURITE),
    _Case("modeldata inputs", "100x6", 20_000, SINK),
    _Case("modeldata inputs", "100x6", 20_000, AZURITE),
    _Case("modeldata inputs", "1000x50", 300, SINK),
    _Case("modeldata inputs", "1000x50", 300, AZURITE),
    _Case("azureml-ai-monitoring", "1x6", 2_000, SINK),
    _Case("azureml-ai-monitoring", "100x6", 2_000, SINK),
    _Case("azureml-ai-monitoring", "1000x50", 300, SINK),
    _Case("append_block a request", "1x6", 500, AZURITE),
    _Case("append_block a request", "100x6", 500, AZURITE),
    _Case("append_block a request", "1000x50", 100, AZURITE),
)


class _Run(typing.NamedTuple):
    rows_a_second: float
    rows_a_cpu_second: float
    calling_share: float
    complete: bool


def measure(here: ground.Ground) -> report.Part:
    runs: dict[_Case, list[_Run]] = {case: [] for case in CASES}
    for _ in range(1 if here.quick else 3):
        for case in CASES:
            runs[case].append(_run(here, case))
    speed = {case: report.middle([run.rows_a_second for run in runs[case]]) for case in CASES}
    rows = []
    for shape, limit in (("1x6", 50_000.0), ("100x6", 500_000.0)):
        for to in (SINK, AZURITE):
            case = _case("modeldata inputs", shape, to)
            title = f"delivered by one process, {shape} calls, to {to}"
            complete = (("each row there once", all(run.complete for run in runs[case])),)
            rows.append(report.Row(title, limit, speed[case], "rows/s", True, complete, _cpu_rate(runs[case])))
    # To the sink, which alone takes what both of them send.
    ours, theirs = _case("modeldata inputs", "1000x50", SINK), _case("azureml-ai-monitoring", "1000x50", SINK)
    ratio = report.ratios(*([run.rows_a_second for run in runs[case]] for case in (ours, theirs)))
    detail = (
        f"{_megabytes(ours, speed[ours])} MB/s of float64 against {_megabytes(theirs, speed[theirs])}; "
        f"{_cpu_rate(runs[ours])} against {_cpu_rate(runs[theirs])}"
    )
    title = "delivered, 1000x50 calls, to the sink, against azureml-ai-monitoring's"
    complete = (("each row there once", all(run.complete for run in runs[ours])),)
    rows.append(report.Row(title, 1.5, ratio, "x", at_least=True, conditions=complete, detail=detail))
    return report.Part(tuple(rows), (_table(runs, speed),))


def _run(here: ground.Ground, case: _Case) -> _Run:
    calls = case.calls // 4 if here.quick else case.calls
    with services.sink() as sink:
        endpoint = sink.endpoint if case.to == SINK else here.azurite.endpoint
        environment = here.contending(sink, endpoint, spool={"bytes": 4 * 2**30})
        arguments = (case.contender, case.shape, str(calls), str(here.fresh("files")))
        figures = services.run("measured/bulk.py", *arguments, environment=environment)
        counts = sink.counts()
        if case.contender.startswith("azureml"):
            complete = counts["payloads"] == figures["calls"]
        elif case.contender.startswith("append_block"):
            complete = True  # each call has its answer
        else:
            there = sink.rows() if case.to == SINK else here.count_rows(environment)
            complete = there == figures["rows"] == figures["accepted"] and not figures["dropped"]
    seconds = figures["seconds"]
    rows = calls * figures["rows"] // figures["calls"]
    return _Run(rows / seconds, rows / figures["cpu_seconds"], figures["calling_seconds"] / seconds, complete)


def _cpu_rate(runs: list[_Run]) -> str:
    return f"{report.number(report.middle([run.rows_a_cpu_second for run in runs]))} rows for a second of processor"


def _case(contender: str, shape: str, to: str) -> _Case:
    return next(case for case in CASES if (case.contender, case.shape, case.to) == (contender, shape, to))


def _megabytes(case: _Case, rows_a_second: float) -> str:
    return report.number(rows_a_second * case.row_bytes / 1e6)


def _table(runs: dict[_Case, list[_Run]], speed: dict[_Case, float]) -> report.Table:
    columns = ("", "calls of", "to", "rows/s", "MB/s of float64", "rows per CPU second", "share of time in calls")
    lines = tuple(
        (
            case.contender,
            case.shape,
            case.to,
            speed[case],
            speed[case] * case.row_bytes / 1e6,
            report.middle([run.rows_a_cpu_second for run in runs[case]]),
            report.middle([run.calling_share for run in runs[case]]),
        )
        for case in CASES
    )
    return report.Table("Delivered by one process, from the first call until all of it is in storage", columns, lines)
