"""Which rows share an id."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import pathlib
import random
import time
import uuid

import pytest

from modeldata.process import lifecycle
from modeldata.requests import context, given, ids


@pytest.fixture(autouse=True)
def _no_request_before() -> None:
    context.leave()
    context._recent.clear()


def enter(designation: str, user_correlation_id: str) -> context.Request:
    return context.enter(designation, user_correlation_id, time.time_ns() // 1000)


def new_id() -> str:
    return ids.new_id(time.time_ns() // 1000)


def test_inputs_and_predictions_share_an_id() -> None:
    assert enter("inputs", "").id == enter("predictions", "").id


def test_a_designation_collected_again_opens_a_new_request() -> None:
    first = enter("inputs", "").id
    enter("predictions", "")
    assert enter("inputs", "").id != first


def test_the_row_count_of_the_inputs_ends_with_the_request() -> None:
    enter("inputs", "").input_rows = 5
    assert enter("predictions", "").input_rows == 5
    assert enter("predictions", "").input_rows == 0


def test_the_users_id_is_the_correlation() -> None:
    assert enter("inputs", "mine").correlation == "mine"
    assert enter("predictions", "").correlation == "mine"


def test_without_a_users_id_the_request_is_the_correlation() -> None:
    assert enter("inputs", "").correlation == ""


def test_after_leaving_nothing_joins_the_request_before() -> None:
    first = enter("inputs", "").id
    context.leave()
    assert enter("predictions", "").id != first


def _both(_: int) -> tuple[str, str]:
    return enter("inputs", "").id, enter("predictions", "").id


def test_threads_do_not_mix() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(_both, range(400)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert len({inputs for inputs, _ in pairs}) == 400


async def test_tasks_do_not_mix() -> None:
    async def serve() -> tuple[str, str]:
        inputs = enter("inputs", "").id
        await asyncio.sleep(0)
        return inputs, await asyncio.to_thread(lambda: enter("predictions", "").id)

    pairs = await asyncio.gather(*(serve() for _ in range(50)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert len({inputs for inputs, _ in pairs}) == 50


def test_an_id_is_a_valid_uuid_of_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before - 50 <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_by_time_also_where_the_clock_was_set_back() -> None:
    milliseconds = [1, 255, 256, 2**33, 2**47]
    made = [ids.new_id(each * 1000) for each in milliseconds]
    assert made == sorted(made)
    assert ids.new_id(255_000)[:13] == made[1][:13]


def test_ids_of_one_moment_differ() -> None:
    assert len({ids.new_id(1_000_000) for _ in range(10_000)}) == 10_000


def test_what_is_collected_under_a_given_id_has_it() -> None:
    with context.request_id("given", "mine"):
        inputs, predictions = enter("inputs", ""), enter("predictions", "")
    assert (inputs.id, predictions.id, inputs.correlation) == ("given", "given", "mine")
    assert enter("labels", "").id not in ("given", "given.1")


def test_a_designation_collected_again_under_a_given_id_is_its_next_part() -> None:
    with context.request_id("given", "mine"):
        made = [(enter("inputs", "").id, enter("predictions", "").id) for _ in range(3)]
        assert enter("inputs", "").correlation == "mine"
    assert made == [("given", "given"), ("given.1", "given.1"), ("given.2", "given.2")]


def test_a_given_id_ends_with_its_block_and_the_one_around_it_goes_on() -> None:
    with context.request_id("outer"):
        with context.request_id("inner"):
            assert enter("inputs", "").id == "inner"
        assert enter("inputs", "").id == "outer"


async def test_a_task_that_outlives_its_request_does_not_give_its_id_to_others() -> None:
    async def gather(asked: asyncio.Queue[None], collected: asyncio.Queue[tuple[str, str]]) -> None:
        while True:
            await asked.get()
            await collected.put(await asyncio.to_thread(_both, 0))

    asked: asyncio.Queue[None] = asyncio.Queue()
    collected: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    with context.request_id("first"):
        task = asyncio.create_task(gather(asked, collected))
        await asked.put(None)
        assert await collected.get() == ("first", "first")
    ids = set()
    for n in range(2):
        with context.request_id(f"later-{n}"):
            await asked.put(None)
            inputs, predictions = await collected.get()
        assert inputs == predictions
        ids.add(uuid.UUID(inputs))
    task.cancel()
    assert len(ids) == 2


async def test_what_a_request_has_still_to_collect_when_it_is_over_has_its_id() -> None:
    async def collect_later() -> str:
        await over.wait()
        return enter("predictions", "").id

    over = asyncio.Event()
    with context.request_id("given"):
        enter("inputs", "")
        task = asyncio.create_task(collect_later())
    over.set()
    assert await task == "given"


def test_a_given_id_survives_that_collection_is_off_for_a_while() -> None:
    with context.request_id("given"):
        context.leave()
        assert enter("inputs", "").id == "given"


class Odd:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("unusable", ["", "  \t", None, b"", Odd()], ids=["empty", "blank", "None", "bytes", "odd"])
def test_without_an_id_it_is_one_of_ours(unusable: object) -> None:
    with context.request_id(unusable, unusable) as used:
        assert uuid.UUID(used).version == 7
        assert enter("inputs", "").id == used
        assert enter("inputs", "").correlation == ""


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("order-17", "order-17"),
        ("a/b:c=d+e@f", "a/b:c=d+e@f"),
        (17, "17"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"abc\xff", "abc\N{REPLACEMENT CHARACTER}"),
        (["a"], "['a']"),
        ("  padded ", "padded"),
        ("a\udc80b", "a?b"),
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("\t=1", "'=1"),
    ],
    ids=repr,
)
def test_an_id_is_made_safe(given_id: object, expected: str) -> None:
    with context.request_id(given_id, given_id) as used:
        assert used == expected
        assert enter("inputs", "").correlation == expected


@pytest.mark.parametrize("odd", ["a\nb", "a\x00", "a\u200bb", "a\u202eb", "x" * 129, "=" * 128, "\u200b=1"], ids=ascii)
def test_what_is_replaced_or_cut_has_a_digest_so_that_different_ids_stay_different(odd: str) -> None:
    one, other = given.safe(odd), given.safe(odd[:-1] + "\x01" if "x" not in odd else odd + "y")
    assert one == given.safe(odd)
    assert one != other
    assert one.isprintable()
    assert len(one) <= 128
    assert one[0] not in "=+-@"
    assert one[-9] == "~"


def test_a_request_that_is_tried_again_has_rows_of_its_own() -> None:
    made = []
    for _ in range(3):
        with context.request_id("tried again"):
            made.append((enter("inputs", "").id, enter("predictions", "").id))
    assert made == [("tried again",) * 2, ("tried again.1",) * 2, ("tried again.2",) * 2]


def test_tries_that_overlap_have_rows_of_their_own() -> None:
    first, second = contextvars.copy_context(), contextvars.copy_context()
    entered = [context.request_id("overlapping", name) for name in ("first", "second")]
    first.run(entered[0].__enter__)
    second.run(entered[1].__enter__)
    inputs = [each.run(enter, "inputs", "") for each in (first, second)]
    predictions = []
    for entry, each in zip(entered, (first, second), strict=True):
        predictions.append(each.run(enter, "predictions", ""))
        each.run(entry.__exit__, None, None, None)
    assert [each.id for each in inputs] == ["overlapping", "overlapping.1"]
    assert [each.id for each in predictions] == ["overlapping", "overlapping.1"]
    assert [each.correlation for each in inputs] == ["first", "second"]


def test_labels_that_come_later_have_the_id_of_the_first_try() -> None:
    for _ in range(2):
        with context.request_id("labelled"):
            enter("inputs", "")
    with context.request_id("labelled"):
        assert enter("labels", "").id == "labelled"


def test_predictions_of_another_thread_that_enters_the_id_join() -> None:
    with context.request_id("in two threads"):
        inputs = enter("inputs", "").id

    def predict() -> str:
        with context.request_id("in two threads"):
            return enter("predictions", "").id

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(predict).result() == inputs


def test_what_is_remembered_of_ids_is_bounded() -> None:
    for number in range(context.MOST_RECENT + 100):
        with context.request_id(f"bounded {number}"):
            enter("inputs", "")
        with context.request_id(""):
            enter("inputs", "")
        with context.request_id(f"collects nothing {number}"):
            pass
    assert len(context._recent) == context.MOST_RECENT
    with context.request_id(f"bounded {context.MOST_RECENT}"):
        assert enter("inputs", "").id == f"bounded {context.MOST_RECENT}.1"
    with context.request_id("bounded 0"):
        assert enter("inputs", "").id == "bounded 0"


def test_tries_in_many_threads_share_no_id() -> None:
    def serve(_: int) -> tuple[str, str]:
        with context.request_id("in many threads"):
            return _both(0)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(serve, range(400)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert len(set(pairs)) == 400


def test_ids_do_not_depend_on_the_models_seed() -> None:
    random.seed(0)
    first = new_id()
    random.seed(0)
    assert new_id()[14:] != first[14:]


def test_ids_do_not_change_what_the_model_draws() -> None:
    random.seed(0)
    expected = random.random()
    random.seed(0)
    new_id()
    assert random.random() == expected


def test_a_forked_child_makes_other_ids(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lifecycle.DIRECTORY_VARIABLE, str(tmp_path))
    lifecycle.install()
    reader, writer = os.pipe()
    enter("inputs", "")
    child = os.fork()
    if child == 0:
        os.write(writer, f"{enter('predictions', '').id} {new_id()}".encode())
        os._exit(0)
    mine = [enter("predictions", "").id, new_id()]
    os.waitpid(child, 0)
    theirs = os.read(reader, 200).decode().split()
    assert not {each[14:] for each in mine} & {each[14:] for each in theirs}


async def test_tasks_of_one_request_have_parts_of_their_own() -> None:
    async def serve() -> tuple[str, str]:
        inputs = enter("inputs", "").id
        await asyncio.sleep(0)
        return inputs, await asyncio.to_thread(lambda: enter("predictions", "").id)

    with context.request_id("given"):
        pairs = await asyncio.gather(*(serve() for _ in range(10)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert {inputs for inputs, _ in pairs} == {"given", *(f"given.{n}" for n in range(1, 10))}
