"""Processes that a model starts with ``multiprocessing``: what they collected arrives, once, before they have ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing

import pytest

from .conftest import APPLICATIONS

pytestmark = pytest.mark.azurite

ENDS = {"returns": 0, "raises": 1, "sys.exit(3)": 3, "is terminated": -15}
"""Those that give the child time, with its exit code, as it is without us."""
VANISHED = list(range(40, 50))
PARENTS = list(range(50, 60))


def numbers(pod: typing.Any) -> list[int]:
    rows = pod.rows("inputs")
    return sorted(rows["n"]) if len(rows) else []


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> typing.Iterator[None]:
    """Kill a process that a failed test left: nobody waits for it then."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.parametrize("parent", ["collects", "starts"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_deliver_before_they_have_ended(pod: typing.Any, method: str, parent: str) -> None:
    pod.settings(flushInterval="1h")
    command = [sys.executable, "-m", "children", method, parent]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=APPLICATIONS, env=pod.environment(), **pipes) as process, ended(process):
        for number, (end, code) in enumerate(ENDS.items()):
            assert process.stdout.readline() == f"{code}\n", end
            assert set(range(10 * number, 10 * number + 10)) <= set(numbers(pod)), end
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.stdout.readline() == "4\n"  # os._exit(4)
        process.communicate("\n", timeout=120)
    assert process.returncode == 0
    if parent == "collects":
        assert numbers(pod) == [*range(40), *VANISHED, *PARENTS]
    else:  # the next process of the pod sends what one left that had no time
        pod.run("from modeldata import ModelDataCollector as C; C('m'); import modeldata; modeldata.close(60)")
        assert numbers(pod) == [*range(40), *VANISHED]
