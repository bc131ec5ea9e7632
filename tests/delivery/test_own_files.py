"""``file: PerPod``: each pod has a file of its own, with a SAS that may add and create, and nothing else."""

from __future__ import annotations

import shutil
import typing

import pytest

pytestmark = pytest.mark.azurite

HEADER = "$Timestamp,$CorrelationId,$RequestId,n\r\n"


@pytest.fixture
def own(pod: typing.Any) -> typing.Any:
    pod.file = "PerPod"
    pod.settings()
    pod.credential("ac")
    return pod


def files(pod: typing.Any) -> dict[str, list[int]]:
    """Return the numbers in each file, by its name without the folder; each file has its header once, first."""
    found = {}
    for name, text in pod.blobs().items():
        if text:
            assert text.startswith(HEADER), name
            assert text.count("$Timestamp") == 1, name
        found[name.rpartition("/")[2]] = [int(line.rpartition(",")[2]) for line in text.split("\r\n")[1:-1]]
    return found


def test_each_pod_writes_its_own(own: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    second = own.beside("pod-2")
    second.credential("ac")
    models = [model(own), model(second)]
    for round_ in range(3):
        for number, each in enumerate(models):
            each.collect(10 * (2 * round_ + number), 10)
    eventually(own.arrived(60))
    assert sorted(files(own)) == ["data.pod-1.csv", "data.pod-2.csv"]


def test_the_next_process_goes_on_in_the_same_file(own: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    first = model(own)
    first.collect(0, 10)
    eventually(own.arrived(10))
    first.collect(10, 10)
    first.kill()
    model(own).collect(20, 10)
    eventually(own.arrived(30))
    assert list(files(own)) == ["data.pod-1.csv"]


def test_answers_that_get_lost(own: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    own.endpoint = proxy.endpoint
    own.settings(flushInterval="1ms")
    proxy.rates = {"lost answer": 0.3, "cut answer": 0.2, "lost request": 0.1, "500 applied": 0.1}
    hasty = "from modeldata.delivery import backoff, loop\nloop.TICK_SECONDS = loop.SCAN_SECONDS = 0.02\n"
    ours = model(own, hasty + "backoff.BACKOFF_SECONDS = (0.02, 0.1)\n")
    for number in range(20):
        ours.collect(10 * number, 10)
        eventually(own.arrived(10 * number + 10))
    assert proxy.happened
    assert files(own) == {"data.pod-1.csv": list(range(200))}


def test_when_the_journal_is_lost_the_next_file_is_begun(
    own: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    for life in range(3):
        ours = model(own)
        ours.collect(10 * life, 10)
        eventually(own.arrived(10 * life + 10))
        eventually(lambda: not own.waits())
        ours.kill()
        shutil.rmtree(own.directory / "spool")
    expected = {"data.pod-1.csv": 0, "data.pod-1.1.csv": 10, "data.pod-1.2.csv": 20}
    assert files(own) == {name: list(range(first, first + 10)) for name, first in expected.items()}


def test_other_columns_have_a_file_of_their_own(own: typing.Any, eventually: typing.Any) -> None:
    own.run(
        """
from modeldata import ModelDataCollector
n, m = (ModelDataCollector("m", "inputs", [name]) for name in "nm")
for number in range(10):
    n.collect([[number]])
    m.collect([[number]])
"""
    )
    blobs = own.blobs()
    (other,) = [name for name in blobs if not name.endswith("/data.pod-1.csv")]
    assert "/data.pod-1." in other
    assert blobs[other].startswith(HEADER.replace(",n", ",m"))
    assert [text.count("\r\n") for text in blobs.values()] == [11, 11]


def test_a_closed_day_is_followed_by_the_next_file(own: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(own)
    ours.collect(0, 10)
    eventually(own.arrived(10))
    ((name, text),) = own.blobs().items()
    own.container.get_blob_client(name).upload_blob(text, overwrite=True)  # a block blob
    ours.collect(10, 10)
    eventually(own.arrived(20))
    assert files(own) == {"data.pod-1.csv": list(range(10)), "data.pod-1.1.csv": list(range(10, 20))}


def test_pods_that_nobody_names_have_names_that_differ(
    own: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    second = own.beside("second")
    second.credential("ac")
    own.uid = second.uid = ""
    model(own).collect(0, 10)
    model(second).collect(10, 10)
    eventually(own.arrived(20))
    assert len(files(own)) == 2


def test_from_a_shared_file_to_own_ones_while_the_model_serves(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    ours = model(pod)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    pod.credential("ac")
    pod.file = "PerPod"
    pod.settings()

    def goes_to_the_own_file() -> bool:
        ours.collect(10, 1)
        return any("pod-1" in name for name in files(pod))

    eventually(goes_to_the_own_file)
