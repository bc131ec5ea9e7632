"""A directory as a collected pod sees it, without Kubernetes: settings, credential, spool."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import typing
import uuid

import pandas
import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from modeldata.delivery import journal

from .proxy import Proxy

MODEL = """
import sys
from modeldata import ModelDataCollector
model = ModelDataCollector("m", "inputs", ["n"])
for line in sys.stdin:
    if line[0] == "?":
        print(eval(line[1:]), flush=True)
        continue
    first, count = map(int, line.split())
    for n in range(first, first + count):
        model.collect([[n]])
    print("collected", flush=True)
"""

RUN_SECONDS = 180
"""What a script may take that waits for delivery, by ``close(60)`` at most, in more than one process."""


class Model:
    """A model that collects numbers when told to."""

    def __init__(self, pod: typing.Any, before: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", before + MODEL],
            env=pod.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def id(self) -> int:
        return self._process.pid

    def collect(self, first: int, count: int) -> None:
        assert self._say(f"{first} {count}") == "collected\n"

    def ask(self, expression: str) -> str:
        """Return what an expression is worth in the model's process, as it prints it."""
        return self._say(f"?{expression}")

    def _say(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclasses.dataclass
class Pod:
    """What the operator gives a pod, made by hand."""

    directory: pathlib.Path
    container: ContainerClient
    azurite: typing.Any
    endpoint: str
    uid: str = "pod-1"
    file: str = "Shared"

    def settings(self, **changes: object) -> None:
        document = {
            "version": 1,
            "enabled": True,
            "collection": "models/test",
            "generation": 1,
            "storage": {
                "endpoint": self.endpoint,
                "container": self.container.container_name,
                "path": "{webservice}/{model}/{version}/{designation}/{year}/{month}/{day}/{file}",
                "file": self.file,
            },
            "identity": {"webservice": "churn", "modelVersion": "10"},
            "flushInterval": "200ms",
            **changes,
        }
        self._replace(self.directory / "settings/settings.json", json.dumps(document))

    def credential(self, permissions: str = "rac", lifetime: datetime.timedelta = datetime.timedelta(hours=1)) -> None:
        now = datetime.datetime.now(datetime.UTC)
        sas = generate_container_sas(
            self.azurite.account_name,
            self.container.container_name,
            account_key=self.azurite.account_key,
            permission=ContainerSasPermissions.from_string(permissions),
            start=now - datetime.timedelta(hours=2),
            expiry=now + lifetime,
        )
        self._replace(self.directory / "credential/sas", sas)

    def move(self) -> ContainerClient:
        """Have settings name another container, with a credential for it alone; return the one before."""
        before, name = self.container, f"test-{uuid.uuid4().hex[:12]}"
        self.endpoint = self.azurite.endpoint
        self.container = ContainerClient(self.endpoint, name, credential=self.azurite.account_key)
        self.container.create_container()
        self.credential()
        self.settings()
        return before

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "MODELDATA_DIR": str(self.directory), "MODELDATA_POD_UID": self.uid, **more}

    def beside(self, name: str) -> Pod:
        """Return another pod of the same model, with the same settings and credential."""
        other = dataclasses.replace(self, directory=self.directory.with_name(name), uid=name)
        other.settings()
        other.credential()
        return other

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a model script in a process of its own; where it hangs, show where, and leave none of its children."""
        command = [sys.executable, "-X", "faulthandler", "-c", script]
        with subprocess.Popen(
            command,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate(timeout=RUN_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGABRT)
                print(process.communicate()[1])
                raise
        done = subprocess.CompletedProcess(command, process.returncode, output, errors)
        done.check_returncode()
        return done

    def start(self, script: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script], env=self.environment(), text=True, stdout=subprocess.PIPE
        )

    def taken(self) -> bytes:
        """Return the line that describes the batch that was taken from the spool last; empty before the first."""
        areas = sorted(self.directory.glob("spool/.shipper/batch.*"), key=lambda path: path.stat().st_mtime_ns)
        with contextlib.ExitStack() as stack:
            lines = [stack.enter_context(area.open("rb")).readline() for area in areas]
        return next((line for line in reversed(lines) if line.strip(b"\0")), b"")

    def waits(self) -> int:
        """Return how many bytes of its spool are not delivered."""
        consumed = journal.consumed(self.directory / "spool/.shipper")
        sizes = {f"{path.parent.name}/{path.name}": path for path in self.directory.glob("spool/*/*.seg")}
        return sum(path.stat().st_size - consumed.get(key, 0) for key, path in sizes.items())

    def blobs(self) -> dict[str, str]:
        """Return each file's text."""
        return {
            blob.name: self.container.download_blob(blob.name).readall().decode()
            for blob in self.container.list_blobs()
        }

    def rows(self, designation: str) -> pandas.DataFrame:
        """Return all rows of a designation, read by pandas."""
        files = [text for name, text in self.blobs().items() if f"/{designation}/" in name and text]
        frames = [pandas.read_csv(io.StringIO(text, newline="")) for text in files]
        return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()

    def numbers(self, designation: str = "inputs") -> list[int]:
        """Return what a ``Model`` collected, of all files, in order."""
        table = self.rows(designation)
        return sorted(table["n"]) if len(table) else []

    def arrived(self, count: int) -> typing.Callable[[], bool]:
        """Return whether the first so many numbers are there, each once; to be asked later."""
        return lambda: self.numbers() == list(range(count))

    @staticmethod
    def _replace(path: pathlib.Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".new")
        aside.write_text(content)
        aside.replace(path)


@pytest.fixture
def model() -> typing.Iterator[typing.Callable[[typing.Any], Model]]:
    with contextlib.ExitStack() as stack:

        def start(pod: typing.Any, before: str = "") -> Model:
            made = Model(pod, before)
            stack.callback(made.kill)
            return made

        yield start


@pytest.fixture
def pod(local_azurite: typing.Any, tmp_path: pathlib.Path) -> Pod:
    container = ContainerClient(
        local_azurite.endpoint, f"test-{uuid.uuid4().hex[:12]}", credential=local_azurite.account_key
    )
    container.create_container()
    made = Pod(tmp_path / "modeldata", container, local_azurite, local_azurite.endpoint)
    made.settings()
    made.credential()
    return made


@pytest.fixture
def proxy(local_azurite: typing.Any) -> typing.Iterator[Proxy]:
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    made = Proxy(local_azurite.endpoint, random.Random(seed))
    yield made
    made.close()
