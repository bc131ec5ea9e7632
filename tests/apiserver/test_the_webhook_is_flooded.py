"""The real webhook process under a flood: it keeps its memory, and answers the API server meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import pathlib
import ssl
import typing

import pytest

from modeldata_operator.webhook import room

from ..conftest import Eventually
from . import installation
from .conftest import Start
from .server import ApiServer
from .world import World

CHART_LIMIT = 512 * 1024**2
"""Of the webhook's memory, as the chart has it."""
BOUND = 400 * 1024**2
CROWD = 24
DEADLINE = 180.0


@pytest.fixture
def world(own_api: ApiServer, start_operator: Start, eventually: Eventually) -> World:
    installation.install_operator(own_api)
    made = World(own_api, eventually)
    own_api.namespace("models")
    made.start(start_operator)
    made.account("models")
    made.collect("churn", "models", selector={"matchLabels": {"app": "scoring"}})
    made.injected_pod("scoring", "models")
    return made


def review(manifest: typing.Any, *, pad: str) -> bytes:
    """A review that is as large as one may be, of a pod that is injected, with what takes the most when it is read."""
    body = json.dumps({"request": {"uid": "x", "namespace": "models", "object": manifest, "pad": None}})
    room_left = room.MAX_BYTES - len(body)
    filling = "[" + ",".join(itertools.repeat(pad, room_left // (len(pad) + 1) - 4)) + "]"
    return body.replace("null", filling, 1).encode()


def pod() -> typing.Any:
    body = installation.pod("flood", app="scoring")
    body["spec"]["serviceAccountName"] = "default"
    return body


NO_REVIEW = "no review"
TOO_LARGE = "a body that is too large"
LARGE = {
    "empty objects": lambda: review(pod(), pad="{}"),
    "lists": lambda: review(pod(), pad="[]"),
    "numbers": lambda: review(pod(), pad="1.5"),
    NO_REVIEW: lambda: b"[" + b"{}," * (room.MAX_BYTES // 3 - 2) + b"1]",
    TOO_LARGE: lambda: b"x" * (8 * 1024**2),
}


def peak(process: int) -> int:
    """The most memory that a process ever had, in bytes."""
    status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


async def flood(port: int, address: str, body: bytes, until: asyncio.Event) -> None:
    """Post one body after the other, and read no more than how it begins to be answered."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = f"POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    while not until.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(address, 0))
            try:
                writer.write(head + body)
                await reader.readline()
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.01)  # so that who is refused does not keep this process from all else


async def under_a_flood(port: int, body: bytes, done: typing.Callable[[], bool]) -> None:
    """Have a crowd post until something is done."""
    until = asyncio.Event()
    # From other addresses than the API server, as pods have.
    crowd = [asyncio.create_task(flood(port, f"127.0.1.{1 + number % 8}", body, until)) for number in range(CROWD)]
    try:
        async with asyncio.timeout(DEADLINE):
            while not await asyncio.to_thread(done):
                pass
    finally:
        until.set()
        for each in crowd:
            each.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)


@pytest.mark.parametrize("kind", LARGE)
def test_many_large_bodies_at_once_do_not_cost_the_webhook_its_memory(world: World, kind: str) -> None:
    webhook, outcomes = world.running[1], list[bool]()
    # What shows that some of it was taken in. Of what is turned away only the first is logged.
    mark, times = {NO_REVIEW: ("no admission review", 1), TOO_LARGE: ("turned away for its size", 1)}.get(
        kind, ("pod=models/flood", 8)
    )

    def enough() -> bool:
        """Create a pod, between the others' bodies; say whether enough has come of both."""
        metadata = world.pod("scoring", "models")["metadata"]
        outcomes.append("modeldata.dev/injected" in metadata["annotations"])
        return webhook.said().count(mark) >= times and sum(outcomes) >= 5

    asyncio.run(under_a_flood(webhook.webhook_port, LARGE[kind](), enough))
    assert webhook.process.poll() is None
    assert peak(webhook.process.pid) < BOUND < CHART_LIMIT
    world.injected_pod("scoring", "models")
