"""Taking, keeping and giving back a Lease, on a real API server."""

from __future__ import annotations

import asyncio
import collections.abc
import typing

import pytest
from kubernetes.aio import config

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.controller.election import Election
from modeldata_operator.kube.cluster import Cluster
from modeldata_operator.kube.connection import Connection

from .server import ApiServer, Refused

Use = collections.abc.Callable[[Cluster, ObjectKey], typing.Coroutine[typing.Any, typing.Any, None]]


@pytest.fixture
def lease(namespace: str) -> ObjectKey:
    return ObjectKey(namespace, "controller")


def run(api: ApiServer, lease: ObjectKey, use: Use) -> None:
    async def connected() -> None:
        cluster = Cluster(Connection(await config.new_client_from_config(str(api.kubeconfig))))
        try:
            await asyncio.wait_for(use(cluster, lease), 100)
        finally:
            await cluster.close()

    asyncio.run(connected())


def path(lease: ObjectKey) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{lease.namespace}/leases/{lease.name}"


def holder(api: ApiServer, lease: ObjectKey) -> str:
    return str(api.get(path(lease))["spec"]["holderIdentity"])


def nothing(_: bool) -> None:
    pass


def test_it_is_made_kept_and_given_back_and_the_next_one_counts_on(api: ApiServer, lease: ObjectKey) -> None:
    async def use(cluster: Cluster, key: ObjectKey) -> None:
        one, other = (Election(cluster, key, me=me) for me in ("one", "other"))
        fence = await one.acquire(nothing)
        keeping = asyncio.create_task(one.keep(fence))
        waiting = asyncio.create_task(other.acquire(nothing))
        before = api.get(path(key))["spec"]
        while api.get(path(key))["spec"]["renewTime"] == before["renewTime"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert holder(api, key) == "one"
        assert not waiting.done()
        keeping.cancel()
        await asyncio.wait([keeping])
        await one.give_back()
        assert (await waiting).left > 0
        spec = api.get(path(key))["spec"]
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("other", 1)

    run(api, lease, use)


def test_it_is_given_back_though_a_renewal_was_taken_whose_answer_nobody_heard(
    api: ApiServer, lease: ObjectKey
) -> None:
    async def use(cluster: Cluster, key: ObjectKey) -> None:
        one = Election(cluster, key, me="one")
        await one.acquire(nothing)
        api.merge(path(key), {"spec": {"renewTime": "2026-11-20T00:00:00.000000Z"}})
        await one.give_back()
        assert not api.get(path(key))["spec"].get("holderIdentity")

    run(api, lease, use)


def test_one_that_another_has_taken_is_lost_and_not_given_back_for_it(api: ApiServer, lease: ObjectKey) -> None:
    async def use(cluster: Cluster, key: ObjectKey) -> None:
        one = Election(cluster, key, me="one")
        fence = await one.acquire(nothing)
        api.merge(path(key), {"spec": {"holderIdentity": "other"}})
        await one.keep(fence)
        assert fence.left < 0
        await one.give_back()
        assert holder(api, key) == "other"

    run(api, lease, use)


def test_somebodys_label_on_it_is_no_reason_to_lose_it(api: ApiServer, lease: ObjectKey) -> None:
    async def use(cluster: Cluster, key: ObjectKey) -> None:
        one = Election(cluster, key, me="one")
        fence = await one.acquire(nothing)
        keeping = asyncio.create_task(one.keep(fence))
        api.merge(path(key), {"metadata": {"labels": {"team": "platform"}}})
        before = api.get(path(key))["spec"]["renewTime"]
        while api.get(path(key))["spec"]["renewTime"] == before:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert not keeping.done()
        keeping.cancel()
        await asyncio.wait([keeping])

    run(api, lease, use)


def test_one_that_is_deleted_is_lost_at_the_next_renewal(api: ApiServer, lease: ObjectKey) -> None:
    async def use(cluster: Cluster, key: ObjectKey) -> None:
        one = Election(cluster, key, me="one")
        fence = await one.acquire(nothing)
        api.delete(path(key))
        await one.keep(fence)
        assert fence.left < 0
        with pytest.raises(Refused):
            api.get(path(key))

    run(api, lease, use)
