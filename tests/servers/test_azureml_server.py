"""Azure ML's own inference server: a script written for Azure is collected, joined by its ids, and loses nothing."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import typing

import pytest

from . import azureml_server

pytestmark = pytest.mark.azurite

COMMAND = ("azureml_inference_server_http", "--entry_script", "azureml_script.py", "--port", "{port}", "--worker_count")
REQUESTS = range(10)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def python() -> pathlib.Path:
    return azureml_server.python()


@pytest.fixture
def start(
    pod: typing.Any, serve: typing.Any, python: pathlib.Path, tmp_path: pathlib.Path
) -> typing.Callable[..., typing.Any]:
    pod.settings(flushInterval="1h")  # only the end delivers

    def begin(*, workers: int = 1, first: bool = False) -> typing.Any:
        more = {"AZUREML_MODEL_DIR": str(tmp_path)}
        return serve(
            *COMMAND, str(workers), first=first, python=python, environment={**azureml_server.environment(), **more}
        )

    return begin


def score(server: typing.Any, n: int, **headers: str) -> int:
    """Return the id of the process that answers."""
    return int(server.ask("/score", body=json.dumps({"n": n}), content_type="application/json", **headers))


def ids(pod: typing.Any) -> dict[int, str]:
    """Return the ids of the requests, by their inputs, each joined to its one prediction."""
    inputs, predictions = pod.rows("inputs"), pod.rows("predictions")
    if not len(inputs):
        return {}
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert len(joined) == len(inputs) == len(predictions)
    assert (joined["twice"] == 2 * joined["n"]).all()
    assert joined["n"].is_unique
    return dict(zip(joined["n"], joined["$RequestId"], strict=True))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_at_its_end_it_delivers(pod: typing.Any, start: typing.Any, end: signal.Signals) -> None:
    server = start()
    for n in REQUESTS:
        score(server, n)
    assert server.signal(end) == 0
    assert sorted(ids(pod)) == list(REQUESTS)


def test_as_the_first_process_of_a_container_it_delivers(pod: typing.Any, start: typing.Any) -> None:
    server = start(first=True, workers=2)
    for n in REQUESTS:
        score(server, n)
    assert server.signal(signal.SIGTERM) == 0
    assert sorted(ids(pod)) == list(REQUESTS)


def test_killed_it_delivers_after_its_next_start(pod: typing.Any, start: typing.Any) -> None:
    server = start()
    for n in REQUESTS:
        score(server, n)
    server.kill()
    assert not ids(pod)
    assert start().signal(signal.SIGTERM) == 0
    assert sorted(ids(pod)) == list(REQUESTS)


def test_what_a_killed_worker_left_is_delivered_with_the_rest(
    pod: typing.Any, start: typing.Any, eventually: typing.Any
) -> None:
    server = start()
    os.kill(score(server, 0), signal.SIGKILL)
    eventually(lambda: server.ask("/"))  # by another worker
    score(server, 1)
    assert server.signal(signal.SIGTERM) == 0
    assert sorted(ids(pod)) == [0, 1]


def test_the_id_is_the_one_that_the_server_answers_with(pod: typing.Any, start: typing.Any) -> None:
    server = start()
    score(server, 0, x_request_id="client,0", x_ms_client_request_id="other")
    score(server, 1, x_ms_client_request_id="client,1")
    score(server, 2)
    assert server.signal(signal.SIGTERM) == 0
    found = ids(pod)
    assert (found[0], found[1]) == ("client,0", "client,1")
    assert UUID.fullmatch(found[2])
