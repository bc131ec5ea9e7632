from __future__ import annotations

import asyncio
import time

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.configuration import Configuration
from modeldata_operator.controller import loop, replica
from modeldata_operator.controller.election import Election
from modeldata_operator.known.inventory import Inventory
from modeldata_operator.kube import kinds, store, watching
from modeldata_operator.kube.store import Store

CONFIGURATION = Configuration("modeldata-system")
AFTER = CONFIGURATION.sick_after


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def running(clock):
    made = replica.Controller(CONFIGURATION)
    made._watches = watching.Watches(cluster=None)
    made._watches.add(kinds.PODS, store.Store())
    made._election = Election(None, ObjectKey("modeldata-system", "lease"), me="me", clock=clock)
    made._standing = asyncio.create_task(asyncio.Event().wait(), name="election")
    yield made
    made._standing.cancel()


@pytest.fixture
async def working():
    inventory = Inventory(
        collections=Store(), deployments=Store(), namespaces=Store(), operator_namespace="modeldata-system"
    )
    made = loop.Loop(None, CONFIGURATION, known=None, inventory=inventory, pods=None, grants=None)
    made._tasks = [asyncio.create_task(asyncio.Event().wait(), name="worker")]
    yield made
    made._tasks[0].cancel()


def silence_pods(running, seconds):
    (watch,) = running._watches._kinds[0]
    watch._heard_at = watch._answered_at = time.monotonic() - seconds
    return watch


async def test_before_it_has_begun_it_is_alive_and_not_ready():
    controller = replica.Controller(CONFIGURATION)
    assert await controller.sick() == ""
    assert await controller.unready()


async def test_a_controller_that_stands_by_is_healthy(running):
    assert await running.sick() == ""


async def test_ready_is_who_knows_everything_and_reaches_the_lease(running):
    assert "listed" in await running.unready()
    running._watches._synced.set()
    assert "Lease" in await running.unready()
    running._election._heard()
    assert await running.unready() == ""
    running._election._failed("looked at", TimeoutError())
    assert "Lease" in await running.unready()


async def test_a_watch_that_is_deaf_while_others_are_answered_is_said(running, clock):
    silence_pods(running, AFTER + 1)
    running._election._heard()
    clock.now += AFTER + 1
    assert "watch=pods" in await running.sick()


async def test_an_api_server_that_is_away_for_an_hour_is_no_sickness(running, clock):
    running._election._heard()
    silence_pods(running, 3600)
    clock.now += 3600
    running._election._failed("looked at", ConnectionRefusedError())
    assert await running.sick() == ""
    # It is back, and the watch about to be tried again.
    running._election._heard()
    clock.now += AFTER - 1
    assert await running.sick() == ""


async def test_a_refusal_is_an_answer_too(running, clock):
    running._election._heard()
    clock.now += 3600
    watch = silence_pods(running, 3600)
    watch._answered_at = time.monotonic()
    assert await running.sick() == ""


async def test_what_a_leader_says_of_its_work_is_said(running, working):
    running._loop = working
    working._ticked = time.monotonic() - 3600
    assert "late=True" in await running.sick()


async def test_a_reconcile_that_does_not_end_is_said(working):
    assert working.standing_still() == ""
    working._started[ObjectKey("models", "churn")] = time.monotonic() - AFTER - 1
    assert "stuck=['models/churn']" in working.standing_still()


async def test_a_task_that_ended_is_said(running, working):
    working._tasks[0].cancel()
    await asyncio.wait(working._tasks)
    assert "worker" in working.standing_still()
    running._standing.cancel()
    await asyncio.wait([running._standing])
    assert "election" in await running.sick()
