from __future__ import annotations

import asyncio
import json

import pytest

from modeldata_operator.api import workloads
from modeldata_operator.controller import pushing
from modeldata_operator.kube.cluster import ApiError


class Cluster:
    def __init__(self) -> None:
        self.written = []
        self.answer = True

    async def set_pod_settings(self, pod, uid, settings, *, resource_version):
        self.written.append(settings)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(pushing, "REPEATS", ((0.01, "\n"), (0.01, "")))
    return Cluster()


async def settled(pusher):
    await asyncio.gather(*pusher._tasks, return_exceptions=True)
    assert pusher._latest == {}


async def test_every_push_is_repeated_as_a_change_that_means_the_same(cluster, build):
    pusher = pushing.Pusher(cluster)
    assert await pusher.push(build.pod(), '{"a":1}')
    await settled(pusher)
    assert cluster.written == ['{"a":1}', '{"a":1}\n', '{"a":1}']
    assert len({workloads.digest(text) for text in cluster.written}) == 1
    assert len({json.dumps(json.loads(text)) for text in cluster.written}) == 1


async def test_an_old_push_is_not_repeated_over_a_new_one(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(build.pod(), "old")
    await pusher.push(build.pod(), "new")
    await settled(pusher)
    assert [text for text in cluster.written if text.strip() == "old"] == ["old"]


async def test_a_pod_that_is_gone_is_left_alone(cluster, build):
    pusher = pushing.Pusher(cluster)
    cluster.answer = False
    assert not await pusher.push(build.pod(), "x")
    await settled(pusher)
    assert cluster.written == ["x"]


async def test_a_failed_repeat_is_nobodys_failure(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(build.pod(), "x")
    cluster.answer = ApiError(500, "away")
    await settled(pusher)


async def test_a_failed_push_is_told(cluster, build):
    pusher = pushing.Pusher(cluster)
    cluster.answer = ApiError(500, "away")
    with pytest.raises(ApiError):
        await pusher.push(build.pod(), "x")
    await settled(pusher)


async def test_when_the_process_ends_no_repeat_is_left(cluster, build, monkeypatch):
    monkeypatch.setattr(pushing, "REPEATS", ((3600, ""),))
    pusher = pushing.Pusher(cluster)
    assert await pusher.push(build.pod(), "{}")
    await pusher.close()
    assert not pusher._tasks
    assert cluster.written == ["{}"]


async def test_repeats_wait_while_many_are_pushed_for_the_first_time(cluster, build, monkeypatch):
    pusher = pushing.Pusher(cluster)
    await pusher.push(build.pod(), "early")
    through, begun = asyncio.Event(), []

    async def slow(pod, uid, settings, *, resource_version):
        begun.append(uid)
        await through.wait()
        return True

    monkeypatch.setattr(cluster, "set_pod_settings", slow)
    pods = [build.pod(metadata={"uid": f"uid-{number}"}) for number in range(pushing.MANY_PUSHES)]
    late = [asyncio.ensure_future(pusher.push(pod, "late")) for pod in pods]
    repeated = asyncio.ensure_future(asyncio.wait(list(pusher._tasks), return_when=asyncio.FIRST_COMPLETED))
    await asyncio.wait([repeated], timeout=0.1)  # ten times as long as a repeat waits
    assert sorted(begun) == sorted(pod.uid for pod in pods)
    through.set()
    assert all(await asyncio.gather(*late))
    await repeated
    await settled(pusher)
    assert begun.count(build.pod().uid) == len(pushing.REPEATS)
