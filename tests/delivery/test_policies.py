"""What an owner of storage may set: rows wait where they have to, only those, and each refusal is told by its name."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import typing

import pytest

from . import policies

pytestmark = pytest.mark.azurite

HASTY = """
import modeldata
from modeldata import ModelDataCollector
from modeldata.delivery import backoff, detour, sending
sending.REFUSED_SECONDS = 0.5
detour.RETRY_SECONDS = (0.2, 0.2)
backoff.BACKOFF_SECONDS = (0.1, 0.2)
"""

REFUSED = f"""{HASTY}
refused = ModelDataCollector("m", "refused", ["n"])
for n in range(20):
    refused.collect([[n]])
"""


def statistics(ours: typing.Any, name: str) -> typing.Any:
    return ast.literal_eval(ours.ask(f"modeldata.stats().{name}"))


def doctor(pod: typing.Any) -> str:
    command = [sys.executable, "-m", "modeldata", "doctor"]
    done = subprocess.run(command, env=pod.environment(), text=True, capture_output=True, timeout=120, check=False)
    assert "sig=" not in done.stdout
    return done.stdout


def through(pod: typing.Any, proxy: typing.Any, file: str = "Shared") -> None:
    pod.endpoint, pod.file = proxy.endpoint, file
    pod.settings()
    pod.credential("ac" if file == "PerPod" else "rac")


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
@pytest.mark.parametrize("answer", [policies.IMMUTABLE, policies.LEGAL_HOLD], ids=lambda each: each[1])
def test_a_container_that_takes_no_appends_gets_one_empty_blob_and_says_so(
    pod: typing.Any,
    proxy: typing.Any,
    model: typing.Any,
    eventually: typing.Any,
    capfd: typing.Any,
    answer: policies.Answer,
    file: str,
) -> None:
    through(pod, proxy, file)
    proxy.policies = [policies.Immutable(answer)]
    ours = model(pod, HASTY)
    ours.collect(0, 10)
    eventually(lambda: proxy.happened.get(answer[1], 0) >= 5)
    assert list(pod.blobs().values()) == [""]
    assert statistics(ours, "refusals")["immutable"] >= 1
    assert "allow protected append writes" in capfd.readouterr().err
    (found,) = [line for line in doctor(pod).replace("\n" + " " * 21, " -> ").splitlines() if answer[1] in line]
    assert found.startswith("wrong")
    assert "-> a retention policy or legal hold forbids appends" in found
    proxy.policies = []
    eventually(pod.arrived(10))
    assert len(pod.blobs()) == 1
    eventually(lambda: answer[1] not in doctor(pod))
    assert statistics(ours, "dropped") == {}


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_with_protected_append_writes_rows_arrive(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    through(pod, proxy, file)
    proxy.policies = [policies.Immutable(protected_appends=True)]
    ours = model(pod, HASTY)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    ours.collect(10, 10)
    eventually(pod.arrived(20))
    assert statistics(ours, "refusals") == {}
    assert len(pod.blobs()) == 1


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_a_policy_that_comes_in_mid_day_leaves_one_empty_blob_whoever_ships(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    through(pod, proxy, file)
    ours = model(pod, HASTY)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    proxy.policies = [policies.Immutable()]
    ours.collect(10, 10)
    for _ in range(3):
        before = proxy.happened.get("BlobImmutableDueToPolicy", 0)
        eventually(lambda before=before: proxy.happened.get("BlobImmutableDueToPolicy", 0) >= before + 5)
        ours.kill()
        ours = model(pod, HASTY)
    assert sorted(map(bool, pod.blobs().values())) == [False, True]
    proxy.policies = []
    eventually(pod.arrived(20))
    assert len(pod.blobs()) == 2


def test_all_files_of_a_container_that_takes_no_appends_wait_and_none_is_dropped(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    pod.settings(spool={"bytes": 40_000})  # of which 10,000 may wait apart: four of the blocks
    proxy.policies = [policies.Immutable()]
    ours = model(
        pod,
        HASTY + "many = [ModelDataCollector('m', f'd{d}', ['n']) for d in range(8)]\n"
        "for each in many:\n    for n in range(20): each.collect([[n]])\n",
    )
    eventually(lambda: statistics(ours, "set_aside_bytes") > 6000)
    before = proxy.requests
    eventually(lambda: proxy.requests >= before + 30)
    # What is left is tried again after pauses, and not by turns for ever.
    assert proxy.times[-1] - proxy.times[-30] > 1.0
    assert len(pod.blobs()) <= 8
    assert statistics(ours, "dropped") == {}
    proxy.policies = []
    pod.settings(generation=2)
    eventually(lambda: all(pod.numbers(f"d{d}") == list(range(20)) for d in range(8)))


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
@pytest.mark.parametrize(
    "answer",
    [policies.IMMUTABLE, policies.ARCHIVED, policies.KEY, policies.DIRECTORY],
    ids=lambda each: each[1],
)
def test_one_file_that_takes_no_appends_is_followed_by_the_next(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, answer: policies.Answer, file: str
) -> None:
    through(pod, proxy, file)
    ours = model(pod, HASTY)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    first = "/data.csv" if file == "Shared" else "/data.pod-1.csv"
    proxy.policies = [policies.OnExisting(answer, (first,))]
    ours.collect(10, 10)
    eventually(pod.arrived(20))
    assert len(pod.blobs()) == 2
    ours.kill()
    again = model(pod, HASTY)
    again.collect(20, 10)
    eventually(pod.arrived(30))
    assert len(pod.blobs()) == 2


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (policies.LEASE, "lease"),
        (policies.SCOPE, "encryption"),
        (policies.VAULT, "encryption"),
        (policies.NOT_PERMITTED, "forbidden"),
        (policies.FILE_IN_THE_WAY, "directory"),
        (policies.DISABLED, "account_disabled"),
        (policies.BUSY, "busy"),
        (policies.BROKEN, "busy"),
    ],
    ids=lambda each: each if isinstance(each, str) else each[1],
)
@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_what_one_path_is_refused_holds_up_no_other(
    pod: typing.Any,
    proxy: typing.Any,
    model: typing.Any,
    eventually: typing.Any,
    answer: policies.Answer,
    cause: str,
    file: str,
) -> None:
    through(pod, proxy, file)
    proxy.policies = [policies.Refuses(answer, ("/refused/",))]
    ours = model(pod, REFUSED)
    ours.collect(0, 20)
    eventually(pod.arrived(20))
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    assert set(statistics(ours, "refusals")) == {cause}
    # It is known by now: what comes for it goes aside, and is not tried each time.
    ours.ask("[refused.collect([[n]]) for n in range(20, 40)]")
    ours.collect(20, 20)
    eventually(pod.arrived(40))
    assert pod.numbers("refused") == []
    assert answer[1] in doctor(pod)
    proxy.policies = []
    pod.settings(generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(40)))
    assert pod.numbers() == list(range(40))
    assert statistics(ours, "dropped") == {}
    assert len(pod.blobs()) == 2  # nor was another file begun: it was certain that nothing was there


def test_a_path_whose_answers_get_lost_holds_up_no_other_and_has_each_row_once(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.faults = {"/refused/": "lost answer"}
    ours = model(pod, REFUSED)
    ours.collect(0, 20)
    eventually(pod.arrived(20))
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    proxy.faults = {}
    pod.settings(generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(20)))
    eventually(lambda: not statistics(ours, "set_aside_bytes"))
    assert pod.numbers("refused") == list(range(20))


IMPATIENT = "\ndetour.PATIENCE_SECONDS = 0.5\n"


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
@pytest.mark.parametrize("fault", ["hang", "hang applied"])
def test_a_path_that_does_not_answer_holds_up_no_other(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, fault: str, file: str
) -> None:
    through(pod, proxy, file)
    proxy.faults = {"/refused/": fault}
    ours = model(
        pod, HASTY + IMPATIENT + "refused = ModelDataCollector('m', 'refused', ['n'])\nrefused.collect([[0]])\n"
    )
    ours.collect(0, 20)
    eventually(pod.arrived(20))
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    # Each try takes 0.5 s, then 1 s, 2 s and so on, of which the others wait for none that was tried lately.
    began, tries = time.monotonic(), proxy.happened[fault]
    for n in range(1, 21):
        ours.ask(f"refused.collect([[{n}]])")
        ours.collect(19 + n, 1)
        eventually(pod.arrived(20 + n))
    waited = sum(min(20.0, 0.5 * 2 ** (2 + n)) for n in range(proxy.happened[fault] - tries))
    assert waited <= (time.monotonic() - began) / 2 + 4.0
    assert set(statistics(ours, "refusals")) == {"unreachable"}
    assert "unreachable" in doctor(pod)
    proxy.faults = {}
    pod.settings(generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(21)))
    assert pod.numbers() == list(range(40))


def test_a_hundred_paths_of_one_trouble_are_each_tried_once_and_hold_up_no_other(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.policies = [policies.Refuses(policies.NOT_PERMITTED, ("/refused-",))]
    # Each for as long as it takes to believe it, they would hold up the others for 200 s.
    ours = model(
        pod,
        f"{HASTY}sending.REFUSED_SECONDS = 2\ndetour.RETRY_SECONDS = (600, 600)\n"
        "many = [ModelDataCollector('m', f'refused-{n}', ['n']) for n in range(100)]\n"
        "for each in many:\n    each.collect([[0]])\n",
    )
    ours.collect(0, 20)
    eventually(pod.arrived(20), seconds=90)
    assert statistics(ours, "dropped") == {}
    proxy.policies = []
    pod.settings(generation=2)
    eventually(lambda: len(pod.blobs()) == 101)


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_a_storage_that_answers_late_is_waited_for(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    through(pod, proxy, file)
    proxy.rates, proxy.stall_seconds = {"stall": 1.0}, 1.2
    ours = model(pod, HASTY + IMPATIENT)
    for n in range(3):
        ours.collect(10 * n, 10)
        eventually(pod.arrived(10 * n + 10))
    assert not statistics(ours, "set_aside_bytes")
    assert len(pod.blobs()) == 1


def test_a_storage_that_does_not_answer_at_all_keeps_all_rows_in_the_spool(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.faults = {"": "hang"}
    ours = model(pod, REFUSED + IMPATIENT)
    ours.collect(0, 20)
    eventually(lambda: proxy.happened.get("hang", 0) >= 4)
    assert not statistics(ours, "set_aside_bytes")
    proxy.faults = {}
    eventually(lambda: pod.numbers("refused") == pod.numbers() == list(range(20)))


def test_what_is_in_doubt_makes_way_though_too_much_waits_apart(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    settings = {"spool": {"bytes": 8000}, "flushInterval": "1h"}  # some 2,200 bytes are refused, 2,000 may wait apart
    pod.settings(**settings)
    ours = model(pod, REFUSED + IMPATIENT)
    assert ours.ask("modeldata.flush(60)") == "True\n"
    proxy.faults = {"/refused/": "hang"}
    ours.ask("[refused.collect([[n]]) for n in range(20, 45)]")
    ours.collect(0, 10)  # behind those of the other path, in one batch with them
    ours.ask("modeldata.flush(0.5)")
    eventually(pod.arrived(10))
    proxy.faults = {}
    pod.settings(**settings, generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(45)))
    assert statistics(ours, "dropped") == {}


def test_a_process_that_ends_sends_the_others_rows_though_one_path_does_not_answer(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.faults = {"/refused/": "hang"}
    ours = model(pod, REFUSED + IMPATIENT)
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    pod.settings(flushInterval="1h")
    ours.ask("refused.collect([[20]])")
    ours.collect(0, 20)
    assert ours.ask("modeldata.close(10)") == "False\n"
    assert pod.numbers() == list(range(20))


def test_what_comes_for_one_refused_file_is_joined_to_what_waits_for_it(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.policies = [policies.Refuses(policies.NOT_PERMITTED, ("/refused/",))]
    for first, before in (20, REFUSED), (25, HASTY + "refused = ModelDataCollector('m', 'refused', ['n'])\n"):
        ours = model(pod, before)
        eventually(lambda ours=ours: statistics(ours, "set_aside_bytes"))
        for n in range(first, first + 5):
            size = statistics(ours, "set_aside_bytes")
            ours.ask(f"refused.collect([[{n}]])")
            eventually(lambda ours=ours, size=size: statistics(ours, "set_aside_bytes") > size)
        ours.kill()
    assert len(list(pod.directory.glob("spool/.shipper/aside/*"))) == 1
    proxy.policies = []
    again = model(pod, HASTY)
    eventually(lambda: pod.numbers("refused") == list(range(30)))
    eventually(lambda: not statistics(again, "set_aside_bytes"))


def test_a_credential_for_one_folder_delivers_that_folders_rows(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    # As a directory's SAS, or a role with a condition on paths: the container's root is refused too.
    proxy.policies = [policies.Refuses(policies.NOT_PERMITTED, but=("/inputs/",))]
    ours = model(pod, REFUSED)
    ours.collect(0, 20)
    eventually(pod.arrived(20))
    ours.kill()
    again = model(pod, HASTY)  # knows nothing of where rows arrived
    again.collect(20, 20)
    eventually(pod.arrived(40))
    proxy.policies = []
    pod.settings(generation=2)
    eventually(lambda: pod.numbers("refused") == list(range(20)))


@pytest.mark.parametrize("answer", [policies.DISABLED, policies.CONTAINER_DISABLED, policies.VAULT, policies.BUSY])
def test_where_the_account_answers_nothing_else_all_rows_wait_in_the_spool(
    pod: typing.Any,
    proxy: typing.Any,
    model: typing.Any,
    eventually: typing.Any,
    capfd: typing.Any,
    answer: policies.Answer,
) -> None:
    through(pod, proxy)
    proxy.policies = [policies.Refuses(answer)]
    ours = model(pod, REFUSED)
    ours.collect(0, 20)
    eventually(lambda: proxy.happened.get(answer[1], 0) >= 20)
    assert not statistics(ours, "set_aside_bytes")
    assert capfd.readouterr().err.count(answer[1]) == 1  # once a minute for each cause
    assert answer[1] in doctor(pod)
    proxy.policies = []
    eventually(lambda: pod.numbers("refused") == pod.numbers() == list(range(20)))


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_a_search_for_a_name_ends_and_goes_on_after_a_pause(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    through(pod, proxy, file)
    proxy.policies = [policies.Refuses(policies.DIRECTORY, (".csv",))]
    ours = model(pod, HASTY + "backoff.BACKOFF_SECONDS = (600, 600)\n")
    ours.collect(0, 10)
    eventually(lambda: statistics(ours, "refusals").get("no_free_name"))
    assert proxy.requests <= 2 * 20 + 1
    proxy.policies = []
    pod.settings(generation=2)
    eventually(pod.arrived(10))
    (name,) = pod.blobs()
    assert name.endswith(".20.csv")


def test_a_file_that_is_deleted_in_mid_day_is_made_anew(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    ours = model(pod)  # soft delete keeps it elsewhere: for who writes, it is gone
    for number in range(3):
        ours.collect(10 * number, 10)
        eventually(lambda number=number: pod.numbers() == list(range(10 * number, 10 * number + 10)))
        (name,) = pod.blobs()
        pod.container.delete_blob(name)


def test_snapshots_of_a_file_change_nothing(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod)
    for number in range(3):
        ours.collect(10 * number, 10)
        eventually(pod.arrived(10 * number + 10))
        (name,) = pod.blobs()
        pod.container.get_blob_client(name).create_snapshot()
    assert len(pod.blobs()) == 1


def test_a_lease_on_a_file_and_on_the_container(pod: typing.Any, model: typing.Any, eventually: typing.Any) -> None:
    ours = model(pod, HASTY)
    ours.collect(0, 10)
    eventually(pod.arrived(10))
    (name,) = pod.blobs()
    pod.container.acquire_lease()  # forbids deleting the container, and no more
    ours.collect(10, 10)
    eventually(pod.arrived(20))
    lease = pod.container.get_blob_client(name).acquire_lease()
    ours.collect(20, 10)
    eventually(lambda: statistics(ours, "refusals").get("lease"))
    lease.release()
    eventually(pod.arrived(30))
    assert len(pod.blobs()) == 1


MANY = f"""{HASTY}
many = [ModelDataCollector("m", f"d{{number}}", ["n"]) for number in range(150)]
def all_of(n):
    for each in many:
        each.collect([[n]])
    return modeldata.flush(300)
"""


@pytest.mark.parametrize("file", ["Shared", "PerPod"])
def test_each_of_150_files_takes_one_request_a_flush_also_in_the_next_process(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, file: str
) -> None:
    through(pod, proxy, file)
    pod.settings(flushInterval="1h")
    ours = model(pod, MANY)
    assert ours.ask("all_of(0)") == "True\n"
    for round_ in (1, 2):
        before = proxy.requests
        assert ours.ask(f"all_of({round_})") == "True\n"
        assert proxy.requests - before == 150
    if file == "PerPod":
        ours.kill()
        again = model(pod, MANY)
        before = proxy.requests
        assert again.ask("all_of(3)") == "True\n"
        assert proxy.requests - before <= 151  # the last one of the killed process may be in doubt
    assert len(pod.blobs()) == 150


def test_storage_that_was_left_is_asked_with_the_credential_it_had_though_it_refuses_for_a_while(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    ours = model(pod, HASTY)
    ours.collect(0, 5)
    eventually(pod.arrived(5))
    proxy.rates = {"lost answer": 1.0}
    ours.collect(5, 5)
    eventually(pod.arrived(10))  # applied, and the shipper does not know it
    proxy.rates, proxy.faults = {}, {"": "403"}
    old = pod.move()
    ours.collect(10, 5)
    eventually(lambda: pod.numbers() == list(range(10, 15)))  # which wait for nothing
    eventually(lambda: proxy.happened.get("403", 0) >= 2)
    proxy.faults = {}
    eventually(lambda: not statistics(ours, "set_aside_bytes"))
    assert pod.numbers() == list(range(10, 15))
    pod.container = old
    assert pod.numbers() == list(range(10))


@pytest.mark.parametrize("fault", ["403", "hang"])
def test_storage_that_was_left_and_refuses_for_good_is_asked_for_as_long_as_promised(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any, fault: str
) -> None:
    through(pod, proxy)
    ours = model(pod, HASTY + IMPATIENT + "sending.MOVED_SECONDS = 3\n")
    ours.collect(0, 5)
    eventually(pod.arrived(5))
    proxy.rates = {"lost request": 1.0}
    ours.collect(5, 5)
    eventually(lambda: proxy.happened.get("lost request"))
    proxy.rates, proxy.faults = {}, {"": fault}
    asked = len(proxy.times)
    pod.move()
    eventually(lambda: pod.numbers() == list(range(5, 10)))
    assert proxy.happened[fault] >= 2
    assert proxy.times[-1] - proxy.times[asked] >= 2


def test_flush_does_not_call_delivered_what_was_set_aside(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.policies = [policies.Refuses(policies.NOT_PERMITTED, ("/refused/",))]
    ours, other = model(pod, REFUSED), model(pod, HASTY)
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    assert ours.ask("modeldata.flush(0.5)") == "False\n"
    other.collect(0, 20)
    assert other.ask("modeldata.flush(60)") == "True\n"  # all of its own rows arrived
    proxy.policies = []
    assert ours.ask("modeldata.flush(60)") == "True\n"  # it asks for another try
    assert pod.numbers("refused") == list(range(20))
    proxy.policies = [policies.Refuses(policies.NOT_PERMITTED, ("/refused/",))]
    ours.ask("refused.collect([[20]])")
    eventually(lambda: statistics(ours, "set_aside_bytes"))
    assert ours.ask("modeldata.close(0.5)") == "False\n"


def test_a_process_that_closes_makes_no_more_requests_than_the_one_under_way(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.rates = {"stall": 1.0}
    ours = model(pod, MANY.replace("150", "40"))
    before = "[each.collect([[0]]) for each in many] and None"
    ours.ask(before)
    eventually(lambda: proxy.requests)
    assert ours.ask("modeldata.close(0.1)") == "False\n"
    eventually(lambda: ours.ask("modeldata.process.running.existing().shipper.running") == "False\n")
    assert proxy.requests < 40
    proxy.rates = {}
    model(pod, HASTY)
    eventually(lambda: not pod.waits(), seconds=200)
    files = pod.blobs()
    assert len(files) == 40
    assert all(text.count("\r\n") == 2 for text in files.values())  # a header and a row


def test_a_process_ends_in_its_time_though_storage_does_not_answer(pod: typing.Any, proxy: typing.Any) -> None:
    through(pod, proxy)
    proxy.faults, proxy.hang_seconds = {"": "hang"}, 600.0
    script = f"{HASTY}detour.PATIENCE_SECONDS = answers.READ_SECONDS = 300.0\n"
    pod.run(
        f"from modeldata.delivery.azure import answers\n{script}ModelDataCollector('m', 'inputs', ['n']).collect([[0]])"
    )
    assert proxy.happened["hang"] == 1
    assert pod.waits()


def test_a_credential_that_is_refused_and_replaced_all_the_time_can_be_stopped(
    pod: typing.Any, proxy: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    through(pod, proxy)
    proxy.faults = {"": "403"}
    replaced = "from modeldata.delivery import accounts\naccounts.Accounts.refresh = lambda *_: True\n"
    ours = model(pod, HASTY + replaced)
    ours.collect(0, 1)
    eventually(lambda: proxy.requests > 20)
    assert ours.ask("modeldata.close(0.1)") == "False\n"
    eventually(lambda: ours.ask("modeldata.process.running.existing().shipper.running") == "False\n")
