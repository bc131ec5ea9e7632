"""Pods of several processes each, a proxy that does what it can, kills at random: what of it arrives is the test.

Used by the tests, for some ten thousand rows, and by ``make soak``, for as many as one likes.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import typing

from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from modeldata.delivery import journal
from modeldata.spool import locks
from modeldata.spool.waiting import set_aside_bytes

from . import ledger, policies, proxy, server

PODS, PROCESSES = 3, 8
PATH = "{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}"
POLICIES = (
    policies.Immutable(),
    policies.Immutable(policies.LEGAL_HOLD),
    policies.Immutable(protected_appends=True),
    policies.OnExisting(policies.ARCHIVED, ("/data.csv",)),
    policies.OnExisting(policies.LEASE, ("/data.csv", "/data.pod-1.csv")),
    policies.Refuses(policies.NOT_PERMITTED, (".csv",)),
    policies.Refuses(policies.SCOPE, reads=False),
    policies.Refuses(policies.DISABLED),
    policies.Refuses(policies.BUSY, (".csv",)),
    # Of one path: its blocks are set aside, and the others arrive.
    policies.Immutable(where="/labels/"),
    policies.Refuses(policies.NOT_PERMITTED, ("/labels/",)),
    policies.Refuses(policies.BUSY, ("/labels/",)),
    policies.Refuses(policies.FILE_IN_THE_WAY, ("/labels/",), reads=False),
)
ENDING = (policies.IMMUTABLE[1], policies.LEGAL_HOLD[1], policies.ARCHIVED[1])
"""What lets a pod go on in the next file, until a later process finds the first one open again."""

HERE = pathlib.Path(__file__).resolve().parent
MODEL = """
import os, sys, time
import ledger
from modeldata import ModelDataCollector, request_id
from modeldata.delivery import backoff, detour, loop, sending
from modeldata.delivery.files import pacing
# Many small appends, and tried again soon: as many faults as there can be.
loop.TICK_SECONDS = loop.SCAN_SECONDS = 0.1
backoff.BACKOFF_SECONDS = (0.05, 0.3)
sending.REFUSED_SECONDS = detour.PATIENCE_SECONDS = 0.5
detour.RETRY_SECONDS = (0.2, 1.0)
pacing.FREE_BLOCKS = pacing.MOST_BLOCKS
seed, most_rows, life, calls = map(int, sys.argv[1:5])
pause = float(sys.argv[5])
plan = ledger.Plan(seed, most_rows)
models = [ModelDataCollector("m", name, ledger.FEATURES) for name in ("inputs", "labels")]
for call in range(calls):
    with request_id(""):  # each call is a request, whichever designation it collects
        models[call % 3 == 0].collect(plan.rows(life, call))
    os.write(1, b"x")
    time.sleep(pause)  # the model's own time
sys.stdin.read()
"""


@dataclasses.dataclass(frozen=True)
class Course:
    """How much is done, and how hard."""

    rows: int
    """So many have been collected before it ends, at least."""
    file: str
    """``Shared`` or ``PerPod``."""
    calls: int
    """That a process makes in its life, at most."""
    most_rows: int
    """In a call."""
    pause: float
    """Seconds between two calls."""
    restarts: float
    """Seconds between two restarts of Azurite."""
    kills: float
    """Seconds between two kills, on average."""


class Life:
    """One process of a pod from its start until it is killed."""

    def __init__(self, number: int, plan: ledger.Plan, course: Course, environment: dict[str, str]) -> None:
        self.number = number
        self.returned = 0
        """How many of its collect() calls have returned."""
        arguments = [plan.seed, plan.most_rows, number, course.calls, course.pause]
        self.process = subprocess.Popen(
            [sys.executable, "-c", MODEL, *map(str, arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while some := os.read(self.process.stdout.fileno(), 4096):
            self.returned += len(some)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(60)
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class Pod:
    """A directory as a collected pod sees it, the processes in it, and its way to storage."""

    def __init__(self, directory: pathlib.Path, number: int, proxy: proxy.Proxy) -> None:
        self.directory = directory / f"pod-{number}"
        self.uid = f"pod-{number}"
        self.proxy = proxy
        self.lives: list[Life] = []

    def write(self, name: str, content: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.new")
        aside.write_text(content)
        aside.replace(path)

    def waiting(self) -> int:
        """Return how many bytes of its spool are not delivered."""
        saved = journal.load(self.directory / "spool/.shipper")
        waiting = 0
        for path in self.directory.glob("spool/*/*.seg"):
            with contextlib.suppress(FileNotFoundError):
                waiting += path.stat().st_size - saved.consumed.get(f"{path.parent.name}/{path.name}", 0)
        return waiting + set_aside_bytes(self.directory / "spool/.shipper/aside")

    def shipping(self) -> int:
        """Return the id of the process that holds the shipper's lock; 0 for none."""
        with contextlib.suppress(OSError):
            lock = self.directory / "spool/.shipper/lock"
            return int(lock.read_bytes() or 0) if locks.is_taken(lock) else 0
        return 0


class Fleet:
    """All of it. ``run`` does a course and returns what arrived."""

    def __init__(self, azurite: pathlib.Path, key: str, directory: pathlib.Path, *, seed: int, course: Course) -> None:
        self._chance = random.Random(seed)
        self._course = course
        self._plan = ledger.Plan(seed, course.most_rows)
        self._key = key
        directory.joinpath("azurite").mkdir(parents=True)
        self.server = server.Server(azurite, directory / "azurite")
        self.container = ContainerClient(self.server.endpoint, "modeldata", credential=key)
        self.container.create_container()
        ways = [proxy.Proxy(self.server.endpoint, random.Random(f"{seed}/{number}")) for number in range(PODS)]
        for way in ways:
            way.hang_seconds = 3.0
        self._pods = [Pod(directory, number, way) for number, way in enumerate(ways)]
        self._lives: list[Life] = []
        self.kills = self.shippers_killed = self.restarts = 0

    @property
    def collected(self) -> int:
        """Calls that have returned."""
        return sum(life.returned for life in self._lives)

    @property
    def rows(self) -> float:
        """Rows collected, as the plan's mean says."""
        return self.collected * (1 + self._course.most_rows) / 2

    @property
    def happened(self) -> dict[str, int]:
        """Faults, by kind."""
        return dict(sum((collections.Counter(pod.proxy.happened) for pod in self._pods), collections.Counter()))

    @property
    def waiting(self) -> int:
        """Bytes in all spools."""
        return sum(pod.waiting() for pod in self._pods)

    def run(self, progress: typing.Callable[[], None] = lambda: None, *, drain_seconds: float = 120) -> ledger.Verdict:
        for pod in self._pods:
            self._configure(pod)
            for _ in range(PROCESSES):
                self._start(pod)
        restart_at = time.monotonic() + self._course.restarts
        while self.rows < self._course.rows:
            self._fault(self._chance.choice(self._pods))
            if time.monotonic() >= restart_at:
                self.server.stop()
                self.server.start()
                self.restarts += 1
                restart_at = time.monotonic() + self._course.restarts
            self._kill(self._chance.choice(self._pods))
            progress()
            time.sleep(self._chance.expovariate(1 / self._course.kills))
        for pod in self._pods:
            pod.proxy.rates, pod.proxy.down, pod.proxy.policies, pod.proxy.faults = {}, False, [], {}
            self._credential(pod)  # a new one, so that what was set aside is tried at once
        self._wait_until(lambda: not self._collecting(), drain_seconds, progress)
        self._wait_until(lambda: not self.waiting, drain_seconds, progress)
        for pod in self._pods:
            for life in pod.lives:
                life.end(signal.SIGKILL)
            pod.lives = []
        returned = {life.number: life.returned for life in self._lives}
        return ledger.check(self._plan, returned, self.files(), refused_header=any(map(self.happened.get, ENDING)))

    def files(self) -> dict[str, str]:
        """Return each file's text, by its name, when all has arrived."""
        return {
            blob.name: self.container.download_blob(blob.name).readall().decode()
            for blob in self.container.list_blobs()
        }

    def close(self) -> None:
        for pod in self._pods:
            for life in pod.lives:
                life.end(signal.SIGKILL)
            pod.proxy.close()
        self.server.stop()

    def _collecting(self) -> int:
        return sum(life.returned < self._course.calls for pod in self._pods for life in pod.lives)

    def _wait_until(self, done: typing.Callable[[], bool], seconds: float, progress: typing.Callable[[], None]) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.waiting} bytes wait, {self._collecting()} processes collect")
            progress()
            time.sleep(0.2)

    def _start(self, pod: Pod) -> None:
        environment = {
            **os.environ,
            "MODELDATA_DIR": str(pod.directory),
            "MODELDATA_POD_UID": pod.uid,
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        }
        life = Life(len(self._lives), self._plan, self._course, environment)
        self._lives.append(life)
        pod.lives.append(life)

    def _kill(self, pod: Pod) -> None:
        """End one process, mostly by SIGKILL; its pod gets another.

        Half of the time it is the one that ships, when it has appended something and does not know it.
        """
        victim = self._chance.choice(pod.lives)
        shipping = 0
        if self._chance.random() < 0.5:
            deadline, before = time.monotonic() + 2.0, pod.proxy.in_doubt
            pod.proxy.rates, pod.proxy.down = {"lost answer": 0.4, "500 applied": 0.3, "cut answer": 0.1}, False
            while pod.proxy.in_doubt == before and time.monotonic() < deadline:
                time.sleep(0.002)
            shipping = pod.shipping()
            victim = next((life for life in pod.lives if life.process.pid == shipping), victim)
        self.kills += 1
        self.shippers_killed += victim.process.pid == shipping
        victim.end(signal.SIGKILL if self._chance.random() < 0.9 else signal.SIGTERM)
        pod.lives.remove(victim)
        self._start(pod)

    def _fault(self, pod: Pod) -> None:
        """Draw what happens to a pod's requests from now on."""
        chance = self._chance
        pod.proxy.down = chance.random() < 0.05
        some = chance.sample(proxy.RANDOM_FAULTS, chance.randrange(len(proxy.RANDOM_FAULTS)))
        pod.proxy.rates = {name: chance.uniform(0, 0.8 / len(some)) for name in some}
        pod.proxy.policies = [chance.choice(POLICIES)] if chance.random() < 0.3 else []
        pod.proxy.faults = (
            {"/labels/": chance.choice(("hang", "hang applied", "lost answer"))} if chance.random() < 0.1 else {}
        )
        if chance.random() < 0.1:
            self._credential(pod, expired=chance.random() < 0.3)

    def _configure(self, pod: Pod) -> None:
        document = {
            "version": 1,
            "enabled": True,
            "collection": "models/fleet",
            "generation": 1,
            "storage": {
                "endpoint": pod.proxy.endpoint,
                "container": "modeldata",
                "path": PATH,
                "file": self._course.file,
            },
            "identity": {"webservice": "fleet", "modelVersion": "1"},
            "flushInterval": "100ms",
        }
        self._credential(pod)
        pod.write("settings/settings.json", json.dumps(document))

    def _credential(self, pod: Pod, *, expired: bool = False) -> None:
        now = datetime.datetime.now(datetime.UTC)
        sas = generate_container_sas(
            server.ACCOUNT,
            "modeldata",
            account_key=self._key,
            permission=ContainerSasPermissions.from_string("ac" if self._course.file == "PerPod" else "rac"),
            start=now - datetime.timedelta(hours=3),
            expiry=now + datetime.timedelta(hours=-1 if expired else 2, seconds=self._chance.randrange(1000)),
        )
        pod.write("credential/sas", sas)
