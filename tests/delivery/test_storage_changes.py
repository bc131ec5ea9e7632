"""Storage that is away, refuses, moves or is switched off: rows wait, and arrive once."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import subprocess
import sys
import typing
import uuid

import pytest
from azure.storage.blob import ContainerClient

from modeldata import record, rows, spool

pytestmark = pytest.mark.azurite

MODEL = """
import sys
from modeldata import ModelDataCollector
model = ModelDataCollector("m", "inputs", ["n"])
for line in sys.stdin:
    first, count = map(int, line.split())
    for n in range(first, first + count):
        model.collect([[n]])
    print("collected", flush=True)
"""


class Model:
    """A model that collects numbers when told to."""

    def __init__(self, pod: typing.Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", MODEL],
            env=pod.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def id(self) -> int:
        return self._process.pid

    def collect(self, first: int, count: int) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "collected\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def model() -> typing.Iterator[typing.Callable[[typing.Any], Model]]:
    with contextlib.ExitStack() as stack:

        def start(pod: typing.Any) -> Model:
            made = Model(pod)
            stack.callback(made.kill)
            return made

        yield start


def numbers(pod: typing.Any) -> list[int]:
    table = pod.rows("inputs")
    return sorted(table["n"]) if len(table) else []


def arrived(pod: typing.Any, count: int) -> typing.Callable[[], bool]:
    return lambda: numbers(pod) == list(range(count))


def test_a_credential_that_comes_later(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    (pod.directory / "credential/sas").unlink()
    model(pod).collect(0, 10)
    eventually(lambda: _batch(pod))
    pod.credential()
    eventually(arrived(pod, 10))


def test_a_credential_that_expired_and_is_renewed(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 5)
    eventually(arrived(pod, 5))
    pod.credential(lifetime=-datetime.timedelta(hours=1))
    again = model(pod)  # whose first token is the expired one
    ours.kill()
    again.collect(5, 5)
    eventually(lambda: _batch(pod))
    pod.credential()
    eventually(arrived(pod, 10))


def test_a_container_that_comes_later(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    pod.container.delete_container()
    model(pod).collect(0, 10)
    eventually(lambda: _batch(pod))
    pod.container.create_container()
    eventually(arrived(pod, 10))


def _batch(pod: typing.Any) -> bool:
    return (pod.directory / "spool/.shipper/batch").exists()


def test_storage_that_is_down_for_a_while(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.down = True
    ours = model(pod)
    ours.collect(0, 500)
    eventually(lambda: proxy.requests > 0)
    ours.collect(500, 500)
    proxy.down = False
    eventually(arrived(pod, 1000))


def test_switched_off_nothing_is_collected_but_what_waits_is_delivered(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.settings(flushInterval="1h")
    ours = model(pod)
    ours.collect(0, 10)
    pod.settings(enabled=False)
    eventually(arrived(pod, 10))
    ours.collect(100, 10)
    pod.settings()

    def collected_again() -> bool:
        ours.collect(10, 1)
        return 10 in numbers(pod)

    eventually(collected_again)
    assert not [number for number in numbers(pod) if number >= 100]


def test_storage_that_moves_while_rows_wait(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    (pod.directory / "credential/sas").unlink()
    model(pod).collect(0, 10)
    eventually(lambda: _batch(pod))
    old = pod.container
    pod.container = ContainerClient(pod.endpoint, f"test-{uuid.uuid4().hex[:12]}", credential=pod.azurite.account_key)
    pod.container.create_container()
    pod.credential()
    pod.settings()
    eventually(arrived(pod, 10))
    assert [blob.name for blob in old.list_blobs()] == []


def test_an_append_in_doubt_is_settled_before_storage_moves(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    ours = model(pod)
    ours.collect(0, 5)
    eventually(arrived(pod, 5))
    proxy.rates = {"lost answer": 1.0}
    ours.collect(5, 5)
    eventually(arrived(pod, 10))  # applied, and the shipper does not know it
    proxy.rates = {}
    pod.endpoint = pod.azurite.endpoint  # the same account, by another name
    pod.settings()
    ours.collect(10, 5)
    eventually(arrived(pod, 15))
    assert numbers(pod) == list(range(15))


def test_midnight_divides_rows_between_two_files(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    writer = spool.Writer(pod.directory / "spool", "pod-0-dead")
    midnight = int(datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC).timestamp()) * 1_000_000
    for number, microseconds in enumerate((midnight - 1, midnight)):
        table = rows.Table(("n",), 1, rows.Encoding.JSON, b"[[%d]]" % number)
        stream = record.Stream("m", "inputs", ("n",))
        writer.write(stream, record.Record(stream, microseconds, f"r{number}", "", record.SINGLE, table).to_line())
    writer.close()
    model(pod)
    eventually(arrived(pod, 2))
    files = {name: content.split("\r\n")[1] for name, content in pod.blobs().items()}
    assert files == {
        "churn/m/10/inputs/2026/02/28/data.csv": "2026-02-28T23:59:59.999999Z,r0,r0,0",
        "churn/m/10/inputs/2026/03/01/data.csv": "2026-03-01T00:00:00.000000Z,r1,r1,1",
    }


def test_one_process_of_a_pod_ships_for_all(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    models = [model(pod) for _ in range(3)]
    for number, each in enumerate(models):
        each.collect(10 * number, 10)
    eventually(arrived(pod, 30))
    assert len([each for each in models if _holds_shippers_lock(pod, each.id)]) == 1


def _holds_shippers_lock(pod: typing.Any, process: int) -> bool:
    inode = (pod.directory / "spool/.shipper/lock").stat().st_ino
    locks = [line.split() for line in pathlib.Path("/proc/locks").read_text().splitlines()]
    return any(each[4] == str(process) and each[5].endswith(f":{inode}") for each in locks if each[1] == "POSIX")


def test_when_the_shipping_process_is_killed_another_takes_over(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    models = [model(pod) for _ in range(2)]
    models[0].collect(0, 5)
    models[1].collect(5, 5)
    eventually(arrived(pod, 10))
    (shipping,) = [each for each in models if _holds_shippers_lock(pod, each.id)]
    (other,) = [each for each in models if each is not shipping]
    shipping.collect(10, 5)
    shipping.kill()
    other.collect(15, 5)
    eventually(arrived(pod, 20))


def test_two_pods_write_one_file(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    second = pod.beside("second")
    models = [model(pod), model(second)]
    for round_ in range(10):
        for number, each in enumerate(models):
            each.collect(100 * (2 * round_ + number), 100)
    eventually(arrived(pod, 2000))
    ((_, content),) = pod.blobs().items()
    assert content.count("$Timestamp") == 1
