"""Storage that is away, refuses, moves or is switched off: rows wait, and arrive once."""

from __future__ import annotations

import datetime
import typing

import pytest

from modeldata.spool import locks, records
from modeldata.tables import pieces

pytestmark = pytest.mark.azurite


def test_a_credential_that_comes_later(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    (pod.directory / "credential/sas").unlink()
    model(pod).collect(0, 10)
    eventually(pod.taken)
    pod.credential()
    eventually(pod.arrived(10))


def test_a_credential_that_expired_and_is_renewed(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 5)
    eventually(pod.arrived(5))
    pod.credential(lifetime=-datetime.timedelta(hours=1))
    again = model(pod)  # whose first token is the expired one
    ours.kill()
    before = pod.taken()
    again.collect(5, 5)
    eventually(lambda: pod.taken() != before)
    pod.credential()
    eventually(pod.arrived(10))


def test_a_container_that_comes_later(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    pod.container.delete_container()
    model(pod).collect(0, 10)
    eventually(pod.taken)
    pod.container.create_container()
    eventually(pod.arrived(10))


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
    eventually(pod.arrived(1000))


def test_switched_off_nothing_is_collected_but_what_waits_is_delivered(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.settings(flushInterval="1h")
    ours = model(pod)
    ours.collect(0, 10)
    pod.settings(enabled=False)
    eventually(pod.arrived(10))
    ours.collect(100, 10)
    pod.settings()

    def collected_again() -> bool:
        ours.collect(10, 1)
        return 10 in pod.numbers()

    eventually(collected_again)
    assert not [number for number in pod.numbers() if number >= 100]


def test_storage_that_moves_while_rows_wait(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    (pod.directory / "credential/sas").unlink()
    model(pod).collect(0, 10)
    eventually(pod.taken)
    old = pod.move()
    eventually(pod.arrived(10))
    assert [blob.name for blob in old.list_blobs()] == []


def test_an_append_in_doubt_is_settled_before_storage_moves(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    ours = model(pod)
    ours.collect(0, 5)
    eventually(pod.arrived(5))
    proxy.rates = {"lost answer": 1.0}
    ours.collect(5, 5)
    eventually(pod.arrived(10))  # applied, and the shipper does not know it
    proxy.rates = {}
    pod.endpoint = pod.azurite.endpoint  # the same account, by another name
    pod.settings()
    ours.collect(10, 5)
    eventually(pod.arrived(15))
    assert pod.numbers() == list(range(15))


def test_midnight_divides_rows_between_two_files(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    dead = pod.directory / "spool/pod-0-dead"
    dead.mkdir(parents=True)
    midnight = int(datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC).timestamp()) * 1_000_000
    stream = records.Stream("m", "inputs", ("n",))
    lines = [stream.to_line()]
    for number, microseconds in enumerate((midnight - 1, midnight)):
        table = pieces.Table(("n",), 1, pieces.Encoding.JSON, b"[[%d]]" % number)
        lines.append(records.Record(stream, microseconds, f"r{number}", "", records.SINGLE, table).to_line())
    (dead / "000000001.seg").write_bytes(b"".join(lines))
    model(pod)
    eventually(pod.arrived(2))
    files = {name: content.split("\r\n")[1] for name, content in pod.blobs().items()}
    assert files == {
        "churn/m/10/inputs/2026/02/28/data.csv": "2026-02-28T23:59:59.999999Z,r0,r0,0",
        "churn/m/10/inputs/2026/03/01/data.csv": "2026-03-01T00:00:00.000000Z,r1,r1,1",
    }


def test_one_process_of_a_pod_ships_for_all(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    models = [model(pod) for _ in range(3)]
    for number, each in enumerate(models):
        each.collect(10 * number, 10)
    eventually(pod.arrived(30))
    assert len([each for each in models if _holds_shippers_lock(pod, each.id)]) == 1


def _holds_shippers_lock(pod: typing.Any, process: int) -> bool:
    lock = pod.directory / "spool/.shipper/lock"
    return locks.is_taken(lock) and int(lock.read_bytes()) == process


def test_when_the_shipping_process_is_killed_another_takes_over(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    models = [model(pod) for _ in range(2)]
    models[0].collect(0, 5)
    models[1].collect(5, 5)
    eventually(pod.arrived(10))
    (shipping,) = [each for each in models if _holds_shippers_lock(pod, each.id)]
    (other,) = [each for each in models if each is not shipping]
    shipping.collect(10, 5)
    shipping.kill()
    other.collect(15, 5)
    eventually(pod.arrived(20))


def test_two_pods_write_one_file(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    second = pod.beside("second")
    models = [model(pod), model(second)]
    for round_ in range(10):
        for number, each in enumerate(models):
            each.collect(100 * (2 * round_ + number), 100)
    eventually(pod.arrived(2000))
    ((_, content),) = pod.blobs().items()
    assert content.count("$Timestamp") == 1
