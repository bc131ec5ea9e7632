"""The 99th percentile of whole requests in a busy server, collecting against not collecting.

One gunicorn for each contender, all at once; only one of them is under load at a time, in turns. A second server that
does not collect shows how much two equal servers differ here: by 3 % for as long as they live. So all are started anew
a few times.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import subprocess
import sys
import typing

import ground
import report
import services

OFF, OFF_AGAIN, ON = "not collecting", "not collecting, again", "modeldata"
PEERS = ("orjson + os.write", "azureml-ai-monitoring", "bentoml.monitor")
THREADS = 4
SECONDS = 6
"""Of load in a turn: longer than the flush interval, so that each turn has a delivery in it."""
WARM_SECONDS = 2
SHARE = 0.99


def measure(here: ground.Ground) -> report.Part:
    taken: dict[str, list[list[float]]] = {name: [] for name in (OFF, OFF_AGAIN, ON, *PEERS)}
    generations, rounds = (1, 2) if here.quick else (4, 4)
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(services.sink())
        load = stack.enter_context(services.talking("measured/load.py", environment=here.environment()))
        for generation in range(generations):
            # Peers in a few rounds only.
            names = list(taken) if generation == 0 else [OFF, ON, OFF_AGAIN]
            with contextlib.ExitStack() as servers:
                ports = {name: servers.enter_context(_server(here, name, sink)) for name in names}
                for port in ports.values():
                    load.tell(f"{port} {WARM_SECONDS}")
                    load.hear()
                    _settle(port)
                for turn in range(rounds):
                    # Turned about, so that nobody always comes after the same other.
                    measured = names if turn == 0 else [OFF, ON, OFF_AGAIN]
                    for name in measured if turn % 2 else reversed(measured):
                        load.tell(f"{ports[name]} {SECONDS}")
                        taken[name].append(sorted(load.hear()["us"]))
                        _settle(ports[name])
        rows = sink.rows()
    return _part(taken, rows)


def _part(taken: dict[str, list[list[float]]], delivered: int) -> report.Part:
    p99 = {name: [_percentile(times) for times in rounds] for name, rounds in taken.items()}
    off = [(one + other) / 2 for one, other in zip(p99[OFF], p99[OFF_AGAIN], strict=True)]
    ratio = report.ratios(p99[ON], off)
    control = report.ratios(p99[OFF_AGAIN], p99[OFF])
    pooled = {name: _percentile(sorted(itertools.chain.from_iterable(rounds))) for name, rounds in taken.items()}
    row = report.Row(
        "p99 of a whole request in a busy server, collecting against not",
        1.05,
        ratio,
        "x",
        detail=f"median of {len(off)} rounds; of all requests together {pooled[ON] / pooled[OFF]:.3f}; two servers "
        f"that do not collect differ by {control:.3f} (together {pooled[OFF_AGAIN] / pooled[OFF]:.3f}); "
        f"{delivered:,} rows delivered meanwhile",
    )
    lines = tuple(
        (
            name,
            report.middle([report.middle(times) / 1000 for times in rounds]),
            pooled[name] / 1000,
            pooled[name] / pooled[OFF],
            report.middle([len(times) / SECONDS for times in rounds]),
        )
        for name, rounds in taken.items()
    )
    columns = ("", "median ms", "p99 ms", "x not collecting", "requests/s")
    return report.Part((row,), (report.Table("Whole requests, gunicorn gthread and Flask", columns, lines),))


def _settle(port: int) -> None:
    """Have the rest delivered now: not in another's turn."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        connection.request("POST", "/settle")
        assert connection.getresponse().status == 200


def _percentile(times: typing.Sequence[float]) -> float:
    return times[int(len(times) * SHARE)]


@contextlib.contextmanager
def _server(here: ground.Ground, name: str, sink: services.Sink) -> typing.Iterator[int]:
    port = services.free_port()
    environment = here.environment()
    if name == ON:
        environment = here.collected(sink.endpoint)
    environment |= {"BENCHMARK_CONTENDER": name, "BENCHMARK_DIRECTORY": str(here.fresh("files"))}
    if name == "azureml-ai-monitoring":
        environment |= {"AZUREML_MDC_ENABLED": "true", "AZUREML_MDC_PORT": str(sink.port)}
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(services.HERE / "measured")]
    command += ["--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "60", "--log-level", "error"]
    command += ["--bind", f"127.0.0.1:{port}", "model_server:application()"]
    # azureml-ai-monitoring complains of each payload that it has no room for.
    errors = subprocess.DEVNULL if name == "azureml-ai-monitoring" else None
    with services.listening(command, port, env=environment, stderr=errors):
        yield port
