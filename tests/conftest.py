"""What tests of every kind share: polling, and a real Azurite on a loopback port for the client's tests."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
AZURITE_ACCOUNT = "devstoreaccount1"
# Azurite's well-known key, the same in every installation of it: no secret.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

Value = typing.TypeVar("Value")


class Eventually(typing.Protocol):
    def __call__(self, look: typing.Callable[[], Value], *, seconds: float = 60.0) -> Value: ...


def poll(look: typing.Callable[[], Value], *, seconds: float = 60.0) -> Value:
    """Call until the answer is truthy; fail with the last answer or error at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            value = look()
            if value:
                return value
            last = value
        except (AssertionError, OSError, LookupError, subprocess.CalledProcessError) as error:
            last = error
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {seconds} s; last: {last!r}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    return poll


@dataclasses.dataclass(frozen=True)
class Azurite:
    endpoint: str
    account_name: str = AZURITE_ACCOUNT
    account_key: str = AZURITE_KEY

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account_name};"
            f"AccountKey={self.account_key};BlobEndpoint={self.endpoint};"
        )


def find_azurite() -> pathlib.Path:
    """Install the Azurite that the image pins, once, outside the repository."""
    source = REPOSITORY / "localcluster/images/azurite"
    lock = (source / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "modeldata"
    directory = cache / f"azurite-{hashlib.sha256(lock).hexdigest()[:12]}"
    program = directory / "node_modules/azurite/dist/src/blob/main.js"
    if not program.exists():
        if shutil.which("npm") is None:
            pytest.fail("npm is missing: the delivery tests run a real Azurite. Debian: apt-get install nodejs npm")
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, directory)
        subprocess.run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"], cwd=directory, check=True)
    return program


@pytest.fixture(scope="session")
def azurite_program() -> pathlib.Path:
    return find_azurite()


@pytest.fixture(scope="session")
def local_azurite(azurite_program: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Azurite]:
    """A real Azurite on a loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tmp_path_factory.mktemp("azurite")
    command = [
        "node",
        str(azurite_program),
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "--location",
        str(directory),
    ]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    process = subprocess.Popen(command, cwd=directory)

    def answers() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    try:
        poll(answers, seconds=60)
        yield Azurite(f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}")
    finally:
        process.terminate()
        process.wait(30)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tests first; those with a cluster of their own before the shared one is up."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("own_cluster"):
            return 2
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.cluster)
            return 3
        if "tests/apiserver/" in item.nodeid or "tests/chart/" in item.nodeid:
            item.add_marker(pytest.mark.apiserver)
            return 1
        return 1 if item.get_closest_marker("azurite") else 0

    items.sort(key=place)
