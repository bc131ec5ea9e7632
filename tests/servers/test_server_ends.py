"""However a server ends: rows whose collect() returned arrive, once, and where there is time, before it has ended.

The flush interval is an hour, so that only the end can deliver.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import typing

import pytest

pytestmark = pytest.mark.azurite

GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--worker-tmp-dir", "/dev/shm")
UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "warning")
UVICORN_WORKER = ("-k", "uvicorn_worker.UvicornWorker", "--graceful-timeout", "60")
SERVERS = {
    "gunicorn": (*GUNICORN, "scoring:wsgi"),
    "gunicorn, preloaded": (*GUNICORN, "--preload", "--workers", "2", "scoring:wsgi"),
    "gunicorn with threads": (*GUNICORN, "--threads", "4", "--workers", "2", "scoring:wsgi"),
    "gunicorn with threads, preloaded": (*GUNICORN, "--threads", "4", "--preload", "scoring:wsgi"),
    "gunicorn with gevent": (*GUNICORN, "-k", "gevent", "scoring:wsgi"),
    "gunicorn, its own ASGI": (*GUNICORN, "-k", "asgi", "scoring:asgi"),
    "gunicorn with uvicorn": (*GUNICORN, *UVICORN_WORKER, "scoring:asgi"),
    "gunicorn with uvicorn, preloaded": (*GUNICORN, *UVICORN_WORKER, "--preload", "--workers", "2", "scoring:asgi"),
    "gunicorn with uvicorn and threads": (*GUNICORN, *UVICORN_WORKER, "scoring:threaded"),
    "uvicorn": (*UVICORN, "scoring:asgi"),
    "uvicorn with threads": (*UVICORN, "scoring:threaded"),
    "uvicorn with workers": (*UVICORN, "--workers", "2", "scoring:asgi"),
    "uvicorn with workers and threads": (*UVICORN, "--workers", "2", "scoring:threaded"),
}
REQUESTS = range(10)

UWSGI = (
    "uwsgi_server",
    "--http-socket",
    "127.0.0.1:{port}",
    "--wsgi-file",
    "scoring.py",
    "--callable",
    "wsgi",
    "--master",
    "--processes",
    "2",
    "--die-on-term",
)
UWSGI_WORKERS = {
    "as it comes": (),
    "with threads": ("--enable-threads",),
    "with threads and the child's hook": ("--enable-threads", "--py-call-osafterfork"),
    "with threads and all hooks": ("--enable-threads", "--py-call-uwsgi-fork-hooks"),
    "with threads, loaded by each worker": ("--enable-threads", "--lazy-apps"),
}


@pytest.fixture(autouse=True)
def _only_the_end_delivers(pod: typing.Any) -> None:
    pod.settings(flushInterval="1h")


def collected(pod: typing.Any) -> list[int]:
    """Return what the inputs were, each joined to its one prediction."""
    inputs, predictions = pod.rows("inputs"), pod.rows("predictions")
    if not len(inputs):
        return []
    joined = inputs.merge(predictions, on="$RequestId", validate="one_to_one")
    assert len(joined) == len(inputs) == len(predictions)
    assert (joined["twice"] == 2 * joined["n"]).all()
    return sorted(joined["n"])


@pytest.mark.parametrize("name", SERVERS)
def test_at_sigterm_a_server_delivers_and_ends_as_it_would(pod: typing.Any, serve: typing.Any, name: str) -> None:
    server = serve(*SERVERS[name])
    for n in REQUESTS:
        server.ask(f"/{n}")
    code = server.signal(signal.SIGTERM)
    assert collected(pod) == list(REQUESTS)
    assert code == (-signal.SIGTERM if name in ("uvicorn", "uvicorn with threads") else 0)


# gunicorn's SIGINT is a SIGQUIT to its workers, of which uvicorn's take no notice: they are killed in the end.
@pytest.mark.parametrize("name", [name for name in SERVERS if not name.startswith("gunicorn with uvicorn")])
def test_at_sigint_a_server_delivers_and_ends_as_it_would(pod: typing.Any, serve: typing.Any, name: str) -> None:
    server = serve(*SERVERS[name])
    for n in REQUESTS:
        server.ask(f"/{n}")
    assert server.signal(signal.SIGINT) == 0
    assert collected(pod) == list(REQUESTS)


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn with threads, preloaded", "uvicorn", "uvicorn with workers"])
def test_a_server_that_was_killed_delivers_after_its_next_start(pod: typing.Any, serve: typing.Any, name: str) -> None:
    server = serve(*SERVERS[name])
    for n in REQUESTS:
        server.ask(f"/{n}")
    server.kill()
    assert collected(pod) == []
    serve(*SERVERS[name]).signal(signal.SIGTERM)
    assert collected(pod) == list(REQUESTS)


def test_workers_that_their_server_kills_are_delivered_after_its_next_start(pod: typing.Any, serve: typing.Any) -> None:
    server = serve(*GUNICORN, *UVICORN_WORKER, "--graceful-timeout", "1", "scoring:asgi")
    for n in REQUESTS:
        server.ask(f"/{n}")
    assert server.signal(signal.SIGINT) == 0
    serve(*SERVERS["gunicorn with uvicorn"]).signal(signal.SIGTERM)
    assert collected(pod) == list(REQUESTS)


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn, preloaded", "uvicorn with workers"])
def test_what_a_killed_worker_left_is_delivered_with_the_rest(
    pod: typing.Any, serve: typing.Any, eventually: typing.Any, name: str
) -> None:
    server = serve(*SERVERS[name])
    workers = {int(server.ask(f"/{n}").split()[0]) for n in REQUESTS[:5]}
    os.kill(workers.pop(), signal.SIGKILL)

    def answers() -> bool:  # until the worker is gone, and another there
        return bool(server.ask("/"))

    for n in REQUESTS[5:]:
        eventually(answers)
        server.ask(f"/{n}")
    server.signal(signal.SIGTERM)
    assert collected(pod) == list(REQUESTS)


def test_each_worker_that_has_had_its_requests_delivers(
    pod: typing.Any, serve: typing.Any, eventually: typing.Any
) -> None:
    server = serve(*GUNICORN, "--max-requests", "3", "scoring:wsgi")
    workers = {server.ask(f"/{n}").split()[0] for n in REQUESTS}
    assert len(workers) >= 3
    eventually(lambda: len(collected(pod)) >= 7)  # while it serves
    server.signal(signal.SIGTERM)
    assert collected(pod) == list(REQUESTS)


def test_uvicorn_delivers_when_it_has_had_its_requests(pod: typing.Any, serve: typing.Any) -> None:
    server = serve(*UVICORN, "--limit-max-requests", "11", "scoring:asgi")
    for n in REQUESTS:
        server.ask(f"/{n}")
    assert server.process.wait(90) == 0
    assert collected(pod) == list(REQUESTS)


@pytest.mark.parametrize(
    "name",
    [
        "gunicorn",
        "gunicorn with threads",
        "gunicorn with uvicorn and threads",
        "uvicorn with threads",
        "uvicorn with workers and threads",
    ],
)
def test_a_request_that_ends_after_the_signal_is_delivered(pod: typing.Any, serve: typing.Any, name: str) -> None:
    server = serve(*SERVERS[name])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        last = pool.submit(server.ask, "/until-sigterm/7")
        server.wait_for("until-sigterm")
        server.signal(signal.SIGTERM)
        last.result(60)
    assert collected(pod) == [7]


def test_gunicorn_keeps_signals_from_the_system_calls_of_a_request(
    pod: typing.Any, serve: typing.Any, eventually: typing.Any
) -> None:
    server = serve(*SERVERS["gunicorn"])
    worker = int(server.ask("/1").split()[0])  # whose first collect() sets a handler
    pipe = server.directory / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.ask, "/read")
        server.wait_for("read")
        eventually(lambda: status(worker, "State").startswith("S"))
        os.kill(worker, signal.SIGTERM)
        eventually(lambda: not int(status(worker, "ShdPnd"), 16))
        os.write(descriptor, b"x")
        assert answer.result(60) == "1 0"
    os.close(descriptor)


def status(pid: int, field: str) -> str:
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return lines[field].strip()


def test_uvicorn_as_the_first_process_of_a_container_ends_as_it_would(pod: typing.Any, serve: typing.Any) -> None:
    server = serve(*SERVERS["uvicorn"], first=True)
    for n in REQUESTS:
        server.ask(f"/{n}")
    # A signal that it raises again, for the default handler, PID 1 never gets: it ends by itself.
    assert server.signal(signal.SIGTERM) == 0
    assert collected(pod) == list(REQUESTS)


@pytest.mark.parametrize("way", UWSGI_WORKERS)
def test_uwsgis_workers_answer_and_deliver_wherever_the_model_was_loaded(
    pod: typing.Any, serve: typing.Any, way: str
) -> None:
    server = serve(*UWSGI, *UWSGI_WORKERS[way])
    workers = {server.ask(f"/{n}").split()[0] for n in REQUESTS}
    assert str(server.pid) not in workers
    assert server.signal(signal.SIGTERM) == 0
    assert collected(pod) == list(REQUESTS)
