"""What requests collect that are served at the same time joins by their own ids."""

from __future__ import annotations

import concurrent.futures
import signal
import typing

import pytest

pytestmark = pytest.mark.azurite

GUNICORN = (
    "gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "warning", "--worker-tmp-dir", "/dev/shm",
)  # fmt: skip
THREADS = (*GUNICORN, "--threads", "8")
UVICORN = ("uvicorn", "--port", "{port}", "--log-level", "warning")
SERVERS = {
    "Flask": (THREADS, "frameworks:plain_flask", ("whole", "streamed")),
    "WSGI": (THREADS, "frameworks:wsgi", ("whole", "streamed")),
    "FastAPI": (UVICORN, "frameworks:asgi", ("thread", "task", "to-thread", "executor", "streamed")),
}
REQUESTS = range(40)


@pytest.mark.parametrize("name", SERVERS)
def test_inputs_and_predictions_join_by_the_header(pod: typing.Any, serve: typing.Any, name: str) -> None:
    command, application, paths = SERVERS[name]
    server = serve(*command, application)

    def ask(n: int) -> None:
        path = f"/{paths[n % len(paths)]}/{n}"
        # The other headers are not an id: a trace may have many requests.
        trace = f"00-{7:032x}-{8:016x}-01"
        if n % 3 == 0:
            server.ask(path, x_request_id=f"client,{n}", x_ms_client_request_id="other", traceparent=trace)
        elif n % 3 == 1:
            server.ask(path, x_ms_client_request_id=f"client,{n}", traceparent=trace)
        else:
            server.ask(path, traceparent=trace)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, REQUESTS))
    server.signal(signal.SIGTERM)
    joined = pod.rows("inputs").merge(pod.rows("predictions"), on="$RequestId", validate="one_to_one")
    assert sorted(joined["n"]) == list(REQUESTS)
    assert (joined["twice"] == 2 * joined["n"]).all()
    for row in joined.itertuples(index=False):
        given = joined.loc[joined["n"] == row.n, "$RequestId"].item()
        assert (given == f"client,{row.n}") == (row.n % 3 != 2)
