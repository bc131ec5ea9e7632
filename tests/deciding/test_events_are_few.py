from __future__ import annotations

import asyncio
import dataclasses
import itertools
from datetime import UTC, datetime

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.api.reasons import Reason
from modeldata_operator.kube import events
from modeldata_operator.kube.failures import ApiError

SUBJECT = events.about_deployment(ObjectKey("models", "scoring"), "uid")


class Cluster:
    def __init__(self) -> None:
        self.events = []
        self.failure = None

    async def create_event(self, event):
        if self.failure is not None:
            raise self.failure
        self.events.append(event)


async def test_the_same_is_said_once_in_a_while():
    cluster, now = Cluster(), [0.0]
    recorder = events.Recorder(cluster, clock=lambda: now[0])
    for _ in range(3):
        await recorder.record(SUBJECT, Reason.CONFLICT, "one", warning=True)
    await recorder.record(SUBJECT, Reason.CONFLICT, "another")
    assert [event["message"] for event in cluster.events] == ["one", "another"]
    now[0] = events.REPEAT_SECONDS + 1
    await recorder.record(SUBJECT, Reason.CONFLICT, "one")
    assert len(cluster.events) == 3


@pytest.mark.parametrize(
    ("failure", "posted"), [(TimeoutError(), 1), (ApiError(503, "away"), 1), (ApiError(403, "not allowed"), 0)]
)
async def test_what_an_api_server_that_was_away_did_not_take_is_told_at_the_next_look(failure, posted):
    cluster = Cluster()
    recorder = events.Recorder(cluster, clock=lambda: 0.0)
    cluster.failure = failure
    await recorder.record(SUBJECT, Reason.CONFLICT, "one")
    cluster.failure = None
    await recorder.record(SUBJECT, Reason.CONFLICT, "one")
    assert len(cluster.events) == posted


async def test_another_count_is_no_news():
    recorder = events.Recorder(Cluster(), clock=lambda: 0.0)
    assert recorder.due(SUBJECT, Reason.CONFLICT, "2 pods match")
    assert not recorder.due(SUBJECT, Reason.CONFLICT, "3 pods match")
    assert recorder.due(SUBJECT, Reason.CONFLICT, "3 pods differ")


async def test_trouble_of_a_thousand_is_told_little_by_little():
    now = [0.0]
    recorder = events.Recorder(Cluster(), clock=lambda: now[0])
    subjects = [dataclasses.replace(SUBJECT, uid=str(number)) for number in range(1000)]
    assert sum(recorder.due(subject, Reason.CONFLICT, "x") for subject in subjects) == events.BURST
    told = events.BURST
    while told < len(subjects):
        now[0] += 10.0
        some = sum(recorder.due(subject, Reason.CONFLICT, "x") for subject in subjects)
        assert 0 < some <= 10.0 * events.A_SECOND
        told += some


async def test_a_namespace_in_trouble_without_end_keeps_no_other_from_being_told_of_its_own():
    now = [0.0]
    recorder = events.Recorder(Cluster(), clock=lambda: now[0])
    other, number = events.about_deployment(ObjectKey("others", "scoring"), "other"), itertools.count()
    for look in range(100):
        now[0] += 1.0
        for _ in range(100):
            recorder.due(dataclasses.replace(SUBJECT, uid=str(next(number))), Reason.CONFLICT, "x")
        assert recorder.due(other, Reason.CONFLICT, "x" * look)


async def test_a_namespace_whose_events_are_not_answered_for_keeps_no_other_from_being_told_of_its_own():
    class Hanging(Cluster):
        async def create_event(self, event):
            if event["metadata"]["namespace"] == "models":
                await asyncio.Event().wait()
            await super().create_event(event)

    cluster, now = Hanging(), itertools.count()
    recorder = events.Recorder(cluster, clock=lambda: 100.0 * next(now))
    telling = [
        recorder.record(dataclasses.replace(SUBJECT, uid=str(number)), Reason.CONFLICT, "x") for number in range(200)
    ]
    await asyncio.gather(*telling)
    await recorder.record(events.about_deployment(ObjectKey("others", "scoring"), "other"), Reason.CONFLICT, "x")
    await asyncio.sleep(0)
    assert [event["metadata"]["namespace"] for event in cluster.events] == ["others"]
    await recorder.close()


async def test_of_what_was_said_no_more_is_remembered_than_was_told():
    recorder = events.Recorder(Cluster(), clock=lambda: 0.0)
    containers = ", ".join(["c" * 63] * 10_000)
    assert recorder.due(SUBJECT, Reason.CONTAINER_NOT_FOUND, f"no container is named model; the pod has {containers}")
    assert sum(len(message) for _, _, message in recorder._said) <= events.LONGEST


async def test_what_was_said_does_not_fill_the_memory():
    now = itertools.count()
    recorder = events.Recorder(Cluster(), clock=lambda: float(next(now)))
    for number in range(events.MEMORY + 50):
        recorder.due(dataclasses.replace(SUBJECT, uid=str(number)), Reason.CONFLICT, "x")
    assert len(recorder._said) == events.MEMORY


async def test_an_event_names_its_object_and_fits():
    event = events.event(SUBJECT, Reason.RESTARTED, "x" * 5000, warning=False, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert event["involvedObject"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "models",
        "name": "scoring",
        "uid": "uid",
    }
    assert len(event["message"]) == 1024
    assert (event["type"], event["firstTimestamp"]) == ("Normal", "2026-01-01T00:00:00Z")
