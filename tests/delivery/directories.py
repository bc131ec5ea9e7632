"""Pods that share a directory, killed at random and in the middle of appends, and a reader who looks all the time."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import threading
import time
import types
import typing

from . import conftest, fleet, ledger

CONTAINER = "data"


@dataclasses.dataclass
class Pod(conftest.Pod):
    """A pod whose rows go to a directory."""

    def credential(self, *_: object, **__: object) -> None:
        """A directory needs none."""

    @property
    def place(self) -> pathlib.Path:
        return self.directory.parent / CONTAINER

    def blobs(self) -> dict[str, str]:
        return {str(path.relative_to(self.place)): text(path) for path in self.place.rglob("data*.csv")}


def pod(directory: pathlib.Path, **more: typing.Any) -> Pod:
    """Return a pod, and make the directory that its rows go to."""
    made = Pod(
        directory / "modeldata",
        typing.cast("typing.Any", types.SimpleNamespace(container_name=CONTAINER)),
        None,
        directory.as_uri(),
        **more,
    )
    made.place.mkdir(parents=True, exist_ok=True)
    made.settings()
    return made


def text(path: pathlib.Path) -> str:
    return path.read_bytes().decode()


def whole(content: bytes) -> bytes:
    """Return the whole rows of a file, as a reader without our help can tell them: the last line may be cut."""
    ends = [each.end() for each in re.finditer(b"\r\n", content)]
    while ends and content[: ends[-1]].count(b'"') % 2:
        ends.pop()
    return content[: ends[-1]] if ends else b""


class Reader(threading.Thread):
    """Reads all files, again and again. What it has seen of a file must stay, and be whole rows under the header."""

    def __init__(self, place: pathlib.Path, header: list[str]) -> None:
        super().__init__()
        self._place = place
        self._header = ",".join(header).encode() + b"\r\n"
        self._seen: dict[pathlib.Path, bytes] = {}
        self._ended = threading.Event()
        self.looks = self.cut = 0
        """How often it has looked, and met a last row that was not whole."""
        self.violations: list[str] = []

    def run(self) -> None:
        while not self._ended.wait(0.01):
            for path in self._place.rglob("data*.csv"):
                self._look(path)

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _look(self, path: pathlib.Path) -> None:
        content = path.read_bytes()
        rows = whole(content)
        self.looks += 1
        self.cut += rows != content
        if not rows.startswith(self._header) and rows:
            self.violations.append(f"{path.name}: begins with {rows[:50]!r}")
        if not rows.startswith(self._seen.get(path, b"")):
            self.violations.append(f"{path.name}: rows that were seen have gone")
        self._seen[path] = rows


@dataclasses.dataclass
class Outcome:
    verdict: ledger.Verdict
    reader: Reader
    kills: int
    amid: int
    """Kills after which an append was left unfinished beside its file."""


def run(
    directory: pathlib.Path, *, seed: int, course: fleet.Course, pods: int, processes: int, drain_seconds: float = 60
) -> Outcome:
    """Have pods collect until there are enough rows, killing their processes; return what arrived."""
    chance, plan = random.Random(seed), ledger.Plan(seed, course.most_rows)
    place = directory / CONTAINER
    place.mkdir(parents=True)
    made = [fleet.Pod(directory, number, typing.cast("typing.Any", None)) for number in range(pods)]
    lives: list[fleet.Life] = []

    def start(pod: fleet.Pod) -> None:
        environment = {
            **os.environ,
            "MODELDATA_DIR": str(pod.directory),
            "MODELDATA_POD_UID": pod.uid,
            "PYTHONPATH": os.pathsep.join([str(fleet.HERE), os.environ.get("PYTHONPATH", "")]),
        }
        lives.append(fleet.Life(len(lives), plan, course, environment))
        pod.lives.append(lives[-1])

    reader = Reader(place, ledger.LEADING + ledger.FEATURES)
    reader.start()
    outcome = Outcome(ledger.Verdict(), reader, 0, 0)
    try:
        for pod in made:
            pod.write("settings/settings.json", _settings(directory, course.file))
            for _ in range(processes):
                start(pod)
        while sum(life.returned for life in lives) * (1 + course.most_rows) / 2 < course.rows:
            pod = chance.choice(made)
            _wait_for_append(place, pod if course.file == "PerPod" else None)
            shipping = pod.shipping()
            victim = next((life for life in pod.lives if life.process.pid == shipping), chance.choice(pod.lives))
            victim.end(signal.SIGKILL)
            outcome.kills += 1
            outcome.amid += any(place.rglob(".*.pending"))
            pod.lives.remove(victim)
            start(pod)
            time.sleep(chance.expovariate(1 / course.kills))
        deadline = time.monotonic() + drain_seconds
        while any(pod.waiting() for pod in made) or any(
            life.returned < course.calls for pod in made for life in pod.lives
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{[pod.waiting() for pod in made]} bytes wait")
            time.sleep(0.05)
    finally:
        for pod in made:
            for life in pod.lives:
                life.end(signal.SIGKILL)
        reader.end()
    files = {str(path.relative_to(place)): text(path) for path in place.rglob("data*.csv")}
    outcome.verdict = ledger.check(plan, {life.number: life.returned for life in lives}, files)
    return outcome


def _wait_for_append(place: pathlib.Path, pod: fleet.Pod | None, *, seconds: float = 0.3) -> None:
    """Wait until an append is under way, for a moment at most: the best time for a kill."""
    deadline = time.monotonic() + seconds
    name = f".data.{pod.uid}*.pending" if pod is not None else ".*.pending"
    folders = [path.parent for path in place.rglob("data*.csv")]
    while time.monotonic() < deadline and not any(any(each.glob(name)) for each in folders):
        time.sleep(0.001)


def _settings(directory: pathlib.Path, file: str) -> str:
    return json.dumps(
        {
            "version": 1,
            "enabled": True,
            "collection": "models/fleet",
            "generation": 1,
            "storage": {
                "endpoint": directory.as_uri(),
                "container": CONTAINER,
                "path": "{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}",
                "file": file,
            },
            "identity": {"webservice": "fleet", "modelVersion": "1"},
            "flushInterval": "100ms",
        }
    )
