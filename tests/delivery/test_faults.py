"""Two pods of two processes each, every fault at random, shippers killed at random: each row once."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import typing

import pytest

pytestmark = pytest.mark.azurite

ROWS_OF_A_LIFE = 150
LEAST_ROWS = 3000
MODEL = f"""
import sys, time
from modeldata import ModelDataCollector, shipper
# Many small appends, and tried again soon: as many faults as there can be.
shipper.TICK_SECONDS = shipper.SCAN_SECONDS = 0.02
shipper.BACKOFF_SECONDS = (0.02, 0.2)
life = int(sys.argv[1])
model = ModelDataCollector("m", "inputs", ["life", "n", "text"])
for n in range({ROWS_OF_A_LIFE}):
    model.collect([[life, n, 'x,"\\r\\n' * (n % 7)]])
    print(n, flush=True)
    time.sleep(0.003)  # a model that takes some time, so that it is killed in the middle
sys.stdin.read()
"""


class Life:
    """One process of a pod from its start until it is killed."""

    def __init__(self, pod: typing.Any, number: int) -> None:
        self.number = number
        self.returned = 0
        """How many of its collect() calls have returned."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", MODEL, str(number)],
            env=pod.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.returned = int(line) + 1

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


def test_no_row_is_lost_repeated_or_torn(pod: typing.Any, proxy: typing.Any, eventually: typing.Any) -> None:
    chance = random.Random(int(os.environ.get("MODELDATA_TEST_SEED") or 0) or None)
    pod.endpoint = proxy.endpoint
    pods = [pod, pod.beside("second")]
    for each in pods:
        each.settings(flushInterval="1ms")
    proxy.rates = {"lost answer": 0.25, "lost request": 0.1, "500": 0.1, "503": 0.1, "403": 0.05, "stall": 0.1}
    lives: list[Life] = []
    running: dict[int, Life] = {}

    def live(place: int) -> None:
        running[place] = Life(pods[place % 2], len(lives))
        lives.append(running[place])

    kills = 0
    deadline = time.monotonic() + 40
    try:
        for place in range(4):
            live(place)
        while sum(life.returned for life in lives) < LEAST_ROWS and time.monotonic() < deadline:
            place = chance.choice(list(running))
            some = chance.randrange(ROWS_OF_A_LIFE)
            victim = running[place]
            eventually(lambda victim=victim, some=some: victim.returned > some, seconds=30)
            victim.kill()
            kills += 1
            live(place)
        proxy.rates = dict.fromkeys(proxy.rates, 0.02)
        eventually(lambda: all(life.returned == ROWS_OF_A_LIFE for life in running.values()))
        proxy.rates = {}
        eventually(lambda: _all_there(pod, lives), seconds=60)
    finally:
        for life in running.values():
            life.kill()
    rows = pod.rows("inputs")
    print(f"{len(rows)} rows, {kills} kills, {proxy.happened}")
    assert len(rows) >= LEAST_ROWS
    assert not rows.duplicated(["life", "n"]).any()
    assert not rows.duplicated(["$RequestId"]).any()
    assert all(text == 'x,"\r\n' * (n % 7) for text, n in zip(rows["text"].fillna(""), rows["n"], strict=True))
    for name, content in pod.blobs().items():
        assert content.startswith("$Timestamp,$CorrelationId,$RequestId,life,n,text\r\n"), name
        assert content.count("$Timestamp") == 1
    # One call of each killed process may have been in the spool without having returned.
    assert len(rows) - sum(life.returned for life in lives) <= kills


def _all_there(pod: typing.Any, lives: list[Life]) -> bool:
    rows = pod.rows("inputs")
    there = set(zip(rows["life"], rows["n"], strict=True))
    missing = [(life.number, n) for life in lives for n in range(life.returned) if (life.number, n) not in there]
    assert not missing, f"{len(missing)} rows are missing, such as {missing[:5]}"
    return True


def test_a_shipper_that_is_killed_again_and_again_in_mid_delivery(
    pod: typing.Any, proxy: typing.Any, eventually: typing.Any, tmp_path: pathlib.Path
) -> None:
    pod.settings(flushInterval="1h")
    pod.run("from modeldata import ModelDataCollector as C\nimport os\nc = C('m', 'inputs', ['n'])\n"
            "for n in range(300): c.collect([[n]])\nos._exit(0)")  # fmt: skip
    pod.endpoint = proxy.endpoint
    pod.settings(flushInterval="1ms")
    script = "import sys; from modeldata import ModelDataCollector as C; c = C('m', 'inputs', ['n']); sys.stdin.read()"
    for round_ in range(8):
        proxy.rates = {"stall": 0.5, "lost answer": 0.5} if round_ < 7 else {}
        seen = proxy.requests
        process = subprocess.Popen([sys.executable, "-c", script], env=pod.environment(), stdin=subprocess.PIPE)
        try:
            if round_ < 7:
                eventually(lambda seen=seen: proxy.requests > seen or not _waits(pod))
            else:
                eventually(lambda: sorted(pod.rows("inputs")["n"]) == list(range(300)))
        finally:
            process.kill()
            process.communicate()
    assert sorted(pod.rows("inputs")["n"]) == list(range(300))


def _waits(pod: typing.Any) -> bool:
    return (pod.directory / "spool/.shipper/batch").exists() or bool(list(pod.directory.glob("spool/*/*.seg")))
