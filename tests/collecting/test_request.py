"""Which rows share an id."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import random
import time
import uuid

import pytest

from modeldata import request


@pytest.fixture(autouse=True)
def _no_request_before() -> None:
    request.leave()


def test_inputs_and_predictions_share_an_id() -> None:
    assert request.enter("inputs", "").id == request.enter("predictions", "").id


def test_a_designation_collected_again_opens_a_new_request() -> None:
    first = request.enter("inputs", "").id
    request.enter("predictions", "")
    assert request.enter("inputs", "").id != first


def test_the_row_count_of_the_inputs_ends_with_the_request() -> None:
    request.enter("inputs", "").input_rows = 5
    assert request.enter("predictions", "").input_rows == 5
    assert request.enter("predictions", "").input_rows == 0


def test_the_users_id_is_the_correlation() -> None:
    assert request.enter("inputs", "mine").correlation == "mine"
    assert request.enter("predictions", "").correlation == "mine"


def test_without_a_users_id_the_request_is_the_correlation() -> None:
    entered = request.enter("inputs", "")
    assert entered.correlation == entered.id


def test_after_leaving_nothing_joins_the_request_before() -> None:
    first = request.enter("inputs", "").id
    request.leave()
    assert request.enter("predictions", "").id != first


def _both(_: int) -> tuple[str, str]:
    return request.enter("inputs", "").id, request.enter("predictions", "").id


def test_threads_do_not_mix() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(_both, range(400)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert len({inputs for inputs, _ in pairs}) == 400


async def test_tasks_do_not_mix() -> None:
    async def serve() -> tuple[str, str]:
        inputs = request.enter("inputs", "").id
        await asyncio.sleep(0)
        return inputs, await asyncio.to_thread(lambda: request.enter("predictions", "").id)

    pairs = await asyncio.gather(*(serve() for _ in range(50)))
    assert all(inputs == predictions for inputs, predictions in pairs)
    assert len({inputs for inputs, _ in pairs}) == 50


def test_an_id_is_a_valid_uuid_of_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(request.new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1, 255, 256, 2**33, 2**47):
        monkeypatch.setattr(time, "time_ns", lambda at=milliseconds: at * 1_000_000)
        made.append(request.new_id())
    assert made == sorted(made)


def test_ids_do_not_depend_on_the_models_seed() -> None:
    random.seed(0)
    first = request.new_id()
    random.seed(0)
    assert request.new_id()[14:] != first[14:]


def test_ids_do_not_change_what_the_model_draws() -> None:
    random.seed(0)
    expected = random.random()
    random.seed(0)
    request.new_id()
    assert random.random() == expected


def test_a_forked_child_makes_other_ids() -> None:
    reader, writer = os.pipe()
    request.enter("inputs", "")
    child = os.fork()
    if child == 0:
        os.write(writer, f"{request.enter('predictions', '').id} {request.new_id()}".encode())
        os._exit(0)
    mine = [request.enter("predictions", "").id, request.new_id()]
    os.waitpid(child, 0)
    theirs = os.read(reader, 200).decode().split()
    assert not {each[14:] for each in mine} & {each[14:] for each in theirs}
