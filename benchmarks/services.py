"""What runs beside the measured process: Azurite, the sink, the relay; each a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import typing

import azure.storage.blob

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 60.0
ACCOUNT = "devstoreaccount1"
# Azurite's well-known key, the same in every installation of it: no secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Talk:
    """A process that prints JSON lines, and may be told something on its input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def hear(self) -> dict[str, typing.Any]:
        """Return the next line it prints.

        Raises:
            RuntimeError: it ended instead.

        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        heard: dict[str, typing.Any] = json.loads(line)
        return heard

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def talking(script: str, *arguments: str, environment: dict[str, str] | None = None) -> typing.Iterator[Talk]:
    """Run a script of this directory."""
    command = [sys.executable, str(HERE / script), *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)
    try:
        yield Talk(process)
    finally:
        process.kill()
        process.communicate()


def run(script: str, *arguments: str, environment: dict[str, str]) -> dict[str, typing.Any]:
    """Run a script of this directory to its end and return the JSON it prints last."""
    command = [sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, timeout=900, check=True)
    printed: dict[str, typing.Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


@dataclasses.dataclass(frozen=True)
class Sink:
    """The stand-in for Blob Storage, see ``sink.py``."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def counts(self) -> dict[str, int]:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"GET /-/counts HTTP/1.1\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        counts: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return counts

    def rows(self) -> int:
        """Return how many rows it holds: all lines but one header a blob."""
        counts = self.counts()
        return counts["lines"] - counts["blobs"]


@contextlib.contextmanager
def sink() -> typing.Iterator[Sink]:
    with talking("sink.py") as process:
        yield Sink(process.hear()["port"])


@dataclasses.dataclass(frozen=True)
class Relay:
    port: int
    talk: Talk

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def switch(self, to: str) -> None:
        """Let it ``hang`` or ``pass``."""
        self.talk.tell(to)
        self.talk.hear()


@contextlib.contextmanager
def relay(port: int) -> typing.Iterator[Relay]:
    with talking("relay.py", str(port)) as process:
        yield Relay(process.hear()["port"], process)


@dataclasses.dataclass(frozen=True)
class Azurite:
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def container(self, name: str) -> azure.storage.blob.ContainerClient:
        client = azure.storage.blob.ContainerClient(self.endpoint, name, credential=ACCOUNT_KEY)
        if not client.exists():
            client.create_container()
        return client


@contextlib.contextmanager
def azurite(directory: pathlib.Path) -> typing.Iterator[Azurite]:
    """A real Azurite on a loopback port; its data in ``directory``."""
    port = free_port()
    command = ["node", str(_azurite_program()), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(directory), "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with listening(command, port, cwd=directory, stdout=subprocess.DEVNULL):
        yield Azurite(port)


@contextlib.contextmanager
def listening(command: list[str], port: int, **options: typing.Any) -> typing.Iterator[None]:
    """Run a server; begin when it takes connections."""
    process = subprocess.Popen(command, **options)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _azurite_program() -> pathlib.Path:
    """Install the Azurite that the cluster's image pins, once, where the tests have theirs."""
    source = HERE.parent / "localcluster/images/azurite"
    lock = (source / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "modeldata"
    directory = cache / f"azurite-{hashlib.sha256(lock).hexdigest()[:12]}"
    program = directory / "node_modules/azurite/dist/src/blob/main.js"
    if not program.exists():
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, directory)
        subprocess.run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"], cwd=directory, check=True)
    return program
