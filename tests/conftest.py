"""What tests of every kind share: polling, and a real Azurite on a loopback port for the client's tests."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing

import hypothesis
import pytest

from .apiserver.server import free_ports

if typing.TYPE_CHECKING:
    from pyspark.sql import SparkSession

# No test asserts a time that a slow machine would miss.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

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
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "azurite.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # of several processes (pytest -n) one installs it
        _install_azurite(source, directory, program)
    return program


def _install_azurite(source: pathlib.Path, directory: pathlib.Path, program: pathlib.Path) -> None:
    if not program.exists():
        if shutil.which("npm") is None:
            pytest.fail("npm is missing: the delivery tests run a real Azurite. Debian: apt-get install nodejs npm")
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, directory)
        subprocess.run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"], cwd=directory, check=True)


@pytest.fixture(scope="session")
def azurite_program() -> pathlib.Path:
    return find_azurite()


@pytest.fixture(scope="session")
def local_azurite(azurite_program: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Azurite]:
    """A real Azurite on a loopback port."""
    (port,) = free_ports(1)
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


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[SparkSession]:
    """A Spark in this process and a JVM beside it; times are UTC."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.fail("java is missing: Spark runs on it. Debian: apt-get install openjdk-17-jre-headless")
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    session = SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    gateway = session.sparkContext._gateway
    yield session
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends with it
    gateway.proc.wait(60)


MACHINE = (
    "tests/cluster/",
    "tests/delivery/test_directory.py",
    "tests/delivery/test_disk.py",
    "tests/release/test_images_are_reproducible.py",
)
"""What brings a cluster up, mounts something or builds images: there is one machine, so one after the other."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: typing.Any) -> object:
    """Hand whole files to the processes of ``pytest -n``, and to one of them all that needs the machine."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "machine" if nodeid.startswith(MACHINE) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the quick tests first; those with a cluster of their own before the shared one is up.

    One of several processes begins with what needs the machine, as it takes the longest.
    """
    one_of_several = hasattr(config, "workerinput")

    def place(item: pytest.Item) -> tuple[bool, int]:
        return not (one_of_several and item.nodeid.startswith(MACHINE)), needs(item)

    def needs(item: pytest.Item) -> int:
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
