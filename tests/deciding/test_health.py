from __future__ import annotations

import asyncio
import time

import pytest

from modeldata_operator.api.keys import ObjectKey
from modeldata_operator.configuration import Configuration
from modeldata_operator.controller import loop
from modeldata_operator.kube import watching


@pytest.fixture
async def running():
    made = loop.Controller(Configuration("modeldata-system"))
    made._watches = watching.Watches(cluster=None)
    made._watches.add(watching.PODS, watching.Store())
    made._tasks = [asyncio.create_task(asyncio.Event().wait(), name="worker")]
    yield made
    made._tasks[0].cancel()


async def test_a_controller_that_hears_and_reconciles_is_healthy(running):
    assert await running.sick() == ""


async def test_an_api_server_that_is_silent_for_long_is_said(running, monkeypatch):
    monkeypatch.setattr(loop, "SILENT_AFTER", -1.0)
    assert "silent=pods" in await running.sick()


async def test_a_reconcile_that_does_not_end_is_said(running):
    running._started[ObjectKey("models", "churn")] = time.monotonic() - loop.STUCK_AFTER - 1
    assert "stuck=['models/churn']" in await running.sick()


async def test_a_resync_that_is_overdue_is_said(running):
    running._ticked = time.monotonic() - 3600
    assert "late=True" in await running.sick()


async def test_a_task_that_ended_is_said(running):
    running._tasks[0].cancel()
    await asyncio.wait(running._tasks)
    assert "worker" in await running.sick()
