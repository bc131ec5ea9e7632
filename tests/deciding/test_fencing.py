from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.api_client import ApiClient

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.kube.cluster import Cluster
from modeldata_operator.kube.connection import Connection
from modeldata_operator.kube.fencing import Fence, LeaseOver
from modeldata_operator.kube.pacing import Urgency

POD = ObjectKey("models", "scoring")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Server:
    """Takes requests, and answers when it is told to."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def take(self, request: web.Request) -> web.Response:
        self.taken.append(request.method)
        self.asked.set()
        await self.answer.wait()
        return web.json_response({"metadata": {"resourceVersion": "1"}})


@pytest.fixture
async def server():
    made = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.answer.set()
    await runner.cleanup()


@pytest.fixture
async def cluster(server):
    made = Cluster(Connection(ApiClient(Configuration(host=server.url))))
    yield made
    await made.close()


async def push(cluster):
    return await cluster.set_pod_settings(
        POD,
        "uid",
        "{}",
        resource_version="1",
        collection=ObjectKey("models", "churn"),
        urgency=Urgency.SWITCH,
        wanted=lambda: True,
    )


async def test_while_it_is_open_writes_go_through(cluster, server, clock):
    assert await push(cluster.behind(Fence(7.0, clock=clock)))
    assert server.taken == ["PATCH"]


async def test_afterwards_nothing_is_sent_but_reads(cluster, server, clock):
    fenced = cluster.behind(Fence(7.0, clock=clock))
    clock.now = 7.0
    with pytest.raises(LeaseOver):
        await push(fenced)
    await fenced.get_pod(POD)
    assert server.taken == ["GET"]


async def test_a_process_that_was_frozen_while_it_connected_sends_nothing(cluster, server, clock, monkeypatch):
    fenced = cluster.behind(Fence(7.0, clock=clock))
    connect = aiohttp.TCPConnector.connect

    async def frozen(self, *arguments, **named):
        made = await connect(self, *arguments, **named)
        clock.now = 60.0  # and the other leads since then
        return made

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", frozen)
    with pytest.raises(TimeoutError):
        await push(fenced)
    monkeypatch.undo()
    # The connection, which was made, has carried nothing.
    assert await push(cluster)
    assert server.taken == ["PATCH"]


async def test_what_is_under_way_gets_no_more_time_than_is_left(cluster, server, clock):
    server.answer.clear()
    with pytest.raises(TimeoutError):
        await push(cluster.behind(Fence(0.2, clock=clock)))
    assert server.taken == ["PATCH"]


async def test_closed_it_is_never_opened_again(clock):
    fence = Fence(7.0, clock=clock)
    fence.extend(9.0)
    assert fence.left == 9.0
    fence.close()
    fence.extend(20.0)
    assert fence.left < 0
    late = Fence(7.0, clock=clock)
    clock.now = 8.0
    # A renewal that was answered too late does not bring back what another may have taken.
    late.extend(20.0)
    assert late.left < 0


async def test_one_can_wait_for_what_is_under_way(cluster, server, clock):
    fence = Fence(7.0, clock=clock)
    assert await fence.quiet(seconds=5)
    server.answer.clear()
    pushing = asyncio.create_task(push(cluster.behind(fence)))
    await server.asked.wait()
    fence.close()
    assert not await fence.quiet(seconds=0.05)
    server.answer.set()
    assert await fence.quiet(seconds=60)
    assert await pushing
