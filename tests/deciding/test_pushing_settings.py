from __future__ import annotations

import asyncio
import json

import pytest

from modeldata_operator.api import workloads
from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.controller import pushing
from modeldata_operator.decide.verification import Push
from modeldata_operator.kube.failures import ApiError
from modeldata_operator.kube.pacing import Urgency

CHURN = ObjectKey("models", "churn")


class Cluster:
    def __init__(self) -> None:
        self.written, self.urgencies, self.versions = [], [], []
        self.answer = "7"

    async def set_pod_settings(self, pod, uid, settings, *, resource_version, collection, urgency, wanted):
        if not wanted():
            return None
        self.written.append(settings)
        self.versions.append(resource_version)
        self.urgencies.append(urgency)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(pushing, "REPEATS", ((0.01, "\n"), (0.01, "")))
    return Cluster()


def push(pod, settings, *, urgent=True):
    return Push(pod, settings, urgent)


async def settled(pusher):
    await asyncio.gather(*pusher._tasks, return_exceptions=True)
    assert pusher._latest == {}


async def test_a_switch_is_repeated_as_a_change_that_means_the_same(cluster, build):
    pusher = pushing.Pusher(cluster)
    assert await pusher.push(push(build.pod(), '{"a":1}'), CHURN)
    await settled(pusher)
    assert cluster.written == ['{"a":1}', '{"a":1}\n', '{"a":1}']
    assert len({workloads.digest(text) for text in cluster.written}) == 1
    assert len({json.dumps(json.loads(text)) for text in cluster.written}) == 1


async def test_a_repeat_is_of_the_pod_as_the_one_before_left_it(cluster, build):
    pusher = pushing.Pusher(cluster)
    pod = build.pod()
    await pusher.push(push(pod, "{}"), CHURN)
    await settled(pusher)
    assert cluster.versions == [pod.resource_version, "7", "7"]


async def test_an_old_push_is_not_repeated_over_a_new_one(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(push(build.pod(), "old"), CHURN)
    await pusher.push(push(build.pod(), "new"), CHURN)
    await settled(pusher)
    assert [text for text in cluster.written if text.strip() == "old"] == ["old"]


async def test_a_pod_that_is_gone_is_left_alone(cluster, build):
    pusher = pushing.Pusher(cluster)
    cluster.answer = None
    assert not await pusher.push(push(build.pod(), "x"), CHURN)
    await settled(pusher)
    assert cluster.written == ["x"]


async def test_a_failed_repeat_is_nobodys_failure(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(push(build.pod(), "x"), CHURN)
    cluster.answer = ApiError(500, "away")
    await settled(pusher)


async def test_a_failed_push_is_told(cluster, build):
    pusher = pushing.Pusher(cluster)
    cluster.answer = ApiError(500, "away")
    with pytest.raises(ApiError):
        await pusher.push(push(build.pod(), "x"), CHURN)
    await settled(pusher)


async def test_when_the_process_ends_no_repeat_is_left(cluster, build, monkeypatch):
    monkeypatch.setattr(pushing, "REPEATS", ((3600, ""),))
    pusher = pushing.Pusher(cluster)
    assert await pusher.push(push(build.pod(), "{}"), CHURN)
    await pusher.close()
    assert not pusher._tasks
    assert cluster.written == ["{}"]


async def test_a_renewal_is_written_once(cluster, build):
    pusher = pushing.Pusher(cluster)
    assert await pusher.push(push(build.pod(), "{}", urgent=False), CHURN)
    await settled(pusher)
    assert cluster.written == ["{}"]
    assert cluster.urgencies == [Urgency.RENEWAL]


async def test_a_renewal_in_the_place_of_a_switch_is_repeated_as_that_would_have_been(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(push(build.pod(), "off"), CHURN)
    await pusher.push(push(build.pod(), "off, and a new SAS", urgent=False), CHURN)
    await settled(pusher)
    assert [text.strip() for text in cluster.written] == ["off", *["off, and a new SAS"] * 3]


async def test_a_switch_goes_first_and_its_repeats_last(cluster, build):
    pusher = pushing.Pusher(cluster)
    await pusher.push(push(build.pod(), "off"), CHURN)
    await settled(pusher)
    assert cluster.urgencies == [Urgency.SWITCH, Urgency.RENEWAL, Urgency.RENEWAL]


async def test_what_is_not_wanted_any_more_is_not_written(cluster, build):
    pusher = pushing.Pusher(cluster)
    assert not await pusher.push(push(build.pod(), "old"), CHURN, wanted=lambda: False)
    await settled(pusher)
    assert cluster.written == []
