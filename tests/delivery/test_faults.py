"""Faults on cue: what of each is special. All of them at random, with everything else at once: ``test_fleet``."""

from __future__ import annotations

import datetime
import itertools
import pathlib
import subprocess
import sys
import time
import typing

import pytest

from modeldata.delivery import batches, journal
from modeldata.delivery.azure import blobs, credentials
from modeldata.delivery.files import append

pytestmark = pytest.mark.azurite


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
                eventually(lambda seen=seen: proxy.requests > seen or not pod.waits())
            else:
                eventually(lambda: sorted(pod.rows("inputs")["n"]) == list(range(300)))
        finally:
            process.kill()
            process.communicate()
    assert sorted(pod.rows("inputs")["n"]) == list(range(300))


@pytest.mark.parametrize("answer", ["503", "429"])
def test_a_throttled_client_waits_as_long_as_it_is_asked_to(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, answer: str
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults, proxy.retry_after = {"": answer}, "2"
    model(pod).collect(0, 10)
    eventually(lambda: proxy.requests >= 3)
    proxy.faults = {}
    eventually(pod.arrived(10))
    assert min(after - before for before, after in itertools.pairwise(proxy.times[:3])) >= 1.9


def test_whether_others_arrive_is_not_asked_sooner_than_a_throttled_client_may(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults, proxy.retry_after = {"": "503"}, "2"
    model(pod).collect(0, 10)
    eventually(lambda: proxy.requests >= 6)
    proxy.faults = {}
    eventually(pod.arrived(10))
    assert min(after - before for before, after in itertools.pairwise(proxy.times[:6])) >= 1.9


def test_a_credential_that_is_refused_is_tried_less_and_less_and_a_new_one_at_once(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults = {"": "403"}
    model(pod, "from modeldata.delivery import backoff\nbackoff.BACKOFF_SECONDS = (600, 600)\n").collect(0, 10)
    eventually(lambda: proxy.requests == 1)
    proxy.faults = {}
    pod.credential(lifetime=datetime.timedelta(hours=2))
    eventually(pod.arrived(10))


def test_a_container_that_is_deleted_and_made_again(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    pod.container.delete_container()
    before = pod.taken()
    ours.collect(0, 10)
    eventually(lambda: pod.taken() != before)
    pod.container.create_container()
    eventually(pod.arrived(10))


def test_a_file_that_is_full_is_followed_by_the_next(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.most_blocks = 3  # the header and two more
    ours = model(pod)
    for number in range(6):
        ours.collect(number, 1)
        eventually(pod.arrived(number + 1))
    files = {name.rpartition("/")[2]: text for name, text in pod.blobs().items()}
    assert sorted(files) == ["data.1.csv", "data.2.csv", "data.csv"]
    assert [text.count("$Timestamp") for text in files.values()] == [1, 1, 1]
    assert proxy.happened["409 full"]


def test_a_closed_day_is_followed_by_the_next_file(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    ((name, text),) = pod.blobs().items()
    pod.container.get_blob_client(name).upload_blob(text, overwrite=True)  # a block blob
    ours.collect(10, 10)
    eventually(pod.arrived(20))
    assert {each.rpartition("/")[2] for each in pod.blobs()} == {"data.csv", "data.1.csv"}


def test_columns_that_change_in_mid_day_have_a_file_of_their_own(pod: typing.Any, eventually: typing.Any) -> None:
    script = "from modeldata import ModelDataCollector as C\nc = C('m', 'inputs', ['{0}'])\nc.collect([[1]])"
    for name in "abab":
        pod.run(script.format(name))
    texts = sorted(pod.blobs().values())
    assert [text.partition("\r\n")[0].rpartition(",")[2] for text in texts] == ["a", "b"]
    assert [text.count("\r\n") for text in texts] == [3, 3]


def test_how_many_blocks_a_file_has_is_learnt_from_the_answers(
    pod: typing.Any, proxy: typing.Any, tmp_path: pathlib.Path
) -> None:
    account = credentials.Account(proxy.endpoint, pod.container.container_name, pod.directory / "credential/sas")
    requests = blobs.Blobs(account, credentials.of(account))
    block = batches.Block(proxy.endpoint, pod.container.container_name, "d/{file}", b"h\r\n", b"1\r\n", 1)
    work = batches.Batch("b", (block, block), {})
    log = journal.Journal(tmp_path / "journal")
    log.begin(work)
    ours = append.Appender(requests, log)
    ours.deliver(work, 0)
    assert ours.pace(time.time()) == 0
    proxy.blocks_before = 49_000
    ours.deliver(work, 1)
    requests.close()
    assert ours.pace(time.time()) > 0


REFUSED = """
import modeldata
from modeldata import ModelDataCollector
from modeldata.delivery import backoff, sending
sending.REFUSED_SECONDS = 0.5
backoff.BACKOFF_SECONDS = (0.1, 0.2)
refused = ModelDataCollector("m", "refused", ["n"])
for n in range(20):
    refused.collect([[n]])
"""


def aside(pod: typing.Any) -> list[pathlib.Path]:
    return list(pod.directory.glob("spool/.shipper/aside/*"))


@pytest.mark.parametrize("answer", ["400", "413", "412"])
def test_a_block_that_is_refused_waits_apart_and_those_behind_it_arrive(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, answer: str
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults = {"/refused/": answer}
    model(pod, REFUSED).collect(0, 20)
    eventually(pod.arrived(20))
    eventually(lambda: aside(pod))
    assert pod.numbers("refused") == []
    proxy.faults = {}
    pod.settings(generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(20)))
    eventually(lambda: not aside(pod))
    assert pod.numbers() == list(range(20))


def test_what_waits_apart_is_tried_again_by_the_next_process(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults = {"/refused/": "400"}
    ours = model(pod, REFUSED)
    ours.collect(0, 20)
    eventually(lambda: aside(pod))
    eventually(lambda: not pod.waits())
    ours.kill()
    proxy.faults = {}
    model(pod)
    eventually(lambda: pod.numbers("refused") == pod.numbers() == list(range(20)))
    eventually(lambda: not aside(pod))


def test_what_is_refused_takes_no_more_than_its_part_of_the_spool(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings(spool={"bytes": 8000})
    proxy.faults = {"/refused/": "400"}
    ours = model(pod, REFUSED)  # some 2,200 bytes of CSV are refused, and 2,000 may wait apart
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    eventually(lambda: "'storage_refused': 20" in ours.ask("modeldata.stats().dropped"))
    assert not aside(pod)


def test_where_storage_refuses_everything_all_rows_wait_in_the_spool(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults = {"": "400"}
    model(pod, REFUSED).collect(0, 20)
    eventually(lambda: proxy.requests > 20)
    assert not aside(pod)
    proxy.faults = {}
    eventually(lambda: pod.numbers("refused") == pod.numbers() == list(range(20)))


def test_a_storage_that_gets_well_just_before_it_is_asked_has_no_block_set_aside(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    proxy.faults, proxy.heals_at = {"": "400"}, append.NOBODYS
    model(pod, REFUSED).collect(0, 20)
    eventually(lambda: pod.numbers("refused") == pod.numbers() == list(range(20)))
    assert not proxy.faults
    assert not aside(pod)


def test_an_append_in_doubt_at_a_storage_that_is_gone_goes_to_the_new_one(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    pod.endpoint = proxy.endpoint
    pod.settings()
    ours = model(pod, "from modeldata.delivery import sending\nsending.MOVED_SECONDS = 0.5\n")
    ours.collect(0, 5)
    eventually(pod.arrived(5))
    proxy.rates = {"lost request": 1.0}
    before = proxy.requests
    ours.collect(5, 5)
    eventually(lambda: proxy.requests > before)
    old = pod.move()
    eventually(lambda: pod.numbers() == list(range(5, 10)))
    assert len(list(old.list_blobs())) == 1


def test_a_clock_that_is_set_back(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(
        pod,
        """
import time
real, back = time.time_ns, 0
time.time_ns = lambda: real() - back
""",
    )
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    ours.ask("globals().update(back=26 * 3600 * 10**9)")  # yesterday
    ours.collect(10, 10)
    eventually(pod.arrived(20))
    ours.ask("globals().update(back=0)")
    ours.collect(20, 10)
    eventually(pod.arrived(30))
    days = [name.rpartition("/")[0] for name in pod.blobs()]
    assert len(set(days)) == 2
