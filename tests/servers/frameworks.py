"""A model behind web frameworks, in the ways their users write one. Loaded by the servers, never by pytest."""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import threading
import time
import typing

import fastapi
import fastapi.responses
import flask

import modeldata.process.ending
import modeldata.web
from modeldata import ModelDataCollector

modeldata.process.ending.EXIT_SECONDS = 60  # the machine may be slow

inputs = ModelDataCollector("m", "inputs", ["n"])
predictions = ModelDataCollector("m", "predictions", ["twice"])

together = threading.Barrier(2)


def meet() -> None:
    """Between inputs and predictions, let another request in: they mix if they can."""
    try:
        together.wait(0.2)
    except threading.BrokenBarrierError:
        together.reset()
        time.sleep(0.01)


def score(n: int) -> str:
    inputs.collect([[n]])
    meet()
    predictions.collect([2 * n])
    return "scored"


def stream(n: int) -> collections.abc.Iterator[bytes]:
    yield b"sco"
    meet()
    predictions.collect([2 * n])
    yield b"red"


# Flask, as behind azureml-inference-server-http: not a line of it is about ids.
plain_flask = flask.Flask(__name__)


@plain_flask.get("/")
def healthy() -> str:
    return "healthy"


@plain_flask.get("/whole/<int:n>")
def whole(n: int) -> str:
    return score(n)


@plain_flask.get("/streamed/<int:n>")
def streamed(n: int) -> flask.Response:
    inputs.collect([[n]])
    return flask.Response(flask.stream_with_context(stream(n)))


@modeldata.web.WSGIMiddleware
def wsgi(environ: dict[str, typing.Any], start_response: typing.Any) -> collections.abc.Iterable[bytes]:
    start_response("200 OK", [])
    kind, _, n = environ["PATH_INFO"].strip("/").partition("/")
    if not kind:
        return [b"healthy"]
    if kind == "whole":
        return [score(int(n)).encode()]
    inputs.collect([[int(n)]])
    return stream(int(n))


asgi = fastapi.FastAPI()
asgi.add_middleware(modeldata.web.ASGIMiddleware)


@asgi.get("/")
async def healthy_too() -> str:
    return "healthy"


@asgi.get("/thread/{n}")
def in_thread(n: int) -> str:
    return score(n)


@asgi.get("/task/{n}")
async def in_task(n: int) -> str:
    inputs.collect([[n]])
    await asyncio.sleep(0.01)
    await asyncio.create_task(collect_later(n))
    return "scored"


async def collect_later(n: int) -> None:
    await asyncio.sleep(0.01)
    predictions.collect([2 * n])


@asgi.get("/to-thread/{n}")
async def in_two_threads(n: int) -> str:
    await asyncio.to_thread(inputs.collect, [[n]])
    await asyncio.to_thread(meet)
    await asyncio.to_thread(predictions.collect, [2 * n])
    return "scored"


@asgi.get("/executor/{n}")
async def in_executor(n: int) -> str:
    inputs.collect([[n]])
    context = contextvars.copy_context()
    await asyncio.get_running_loop().run_in_executor(None, context.run, predictions.collect, [2 * n])
    return "scored"


@asgi.get("/streamed/{n}")
async def streamed_too(n: int) -> fastapi.responses.StreamingResponse:
    inputs.collect([[n]])

    async def body() -> collections.abc.AsyncIterator[bytes]:
        for chunk in stream(n):
            yield chunk
            await asyncio.sleep(0)

    return fastapi.responses.StreamingResponse(body())
