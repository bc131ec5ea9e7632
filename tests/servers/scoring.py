"""A model as servers load it, in all ways they call one. Loaded by the servers, never by pytest."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pathlib
import time
import typing

import modeldata.process.ending
from modeldata import ModelDataCollector
from modeldata.process import running

modeldata.process.ending.EXIT_SECONDS = 60  # the machine may be slow

HERE = pathlib.Path(os.environ["SERVER_DIRECTORY"])
"""Where the test and this process meet."""

_collectors: list[ModelDataCollector] = []


def init() -> None:
    _collectors[:] = [ModelDataCollector("m", "inputs", ["n"]), ModelDataCollector("m", "predictions", ["twice"])]


def run(path: str) -> bytes:
    """Score ``/<number>``, or do what else the path says; ``/`` only says which process answers."""
    *words, number = path.strip("/").split("/")
    if words == ["until-sigterm"]:
        (HERE / "until-sigterm").touch()
        while not running.existing().shipper.hurry_until:  # type: ignore[union-attr]
            time.sleep(0.01)
    if number == "read":
        return _read()
    if number:
        inputs, predictions = _collectors
        inputs.collect([[int(number)]])
        predictions.collect([int(number) * 2])
    return f"{os.getpid()} {number}".encode()


def _read() -> bytes:
    """Read as a library does that knows nothing of Python's signals; return the bytes read, and ``errno``."""
    descriptor = os.open(HERE / "pipe", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    (HERE / "read").touch()
    count = libc.read(descriptor, ctypes.create_string_buffer(1), 1)
    return f"{count} {ctypes.get_errno() if count < 0 else 0}".encode()


def wsgi(environ: dict[str, typing.Any], start_response: typing.Any) -> list[bytes]:
    body = run(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope: typing.Any, receive: typing.Any, send: typing.Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await _answer(run(scope["path"]), send)


async def threaded(scope: typing.Any, receive: typing.Any, send: typing.Any) -> None:
    """As FastAPI serves a ``def`` endpoint, with a model that is loaded when the server starts."""
    if scope["type"] == "lifespan":
        init()
        await _live(receive, send)
    else:
        await _answer(await asyncio.to_thread(run, scope["path"]), send)


async def _live(receive: typing.Any, send: typing.Any) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def _answer(body: bytes, send: typing.Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


init()
