"""Closed days in a Delta log: each part once, whoever registers it and however often; one type for each column."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import typing

import deltalake
import pytest

from modeldata_analytics.catalog import open_store
from modeldata_analytics.closing import State

from ..conftest import Azurite
from . import azure_proxy, closers, stores
from .stores import FOLDER, LEADING, NOW, Filled, close, row, written

pytestmark = pytest.mark.azurite

HEADER = (*LEADING, "v", "naïve name")
FIRST = [row(number, str(number), "x") for number in range(3)]
OTHER = FOLDER.replace("28", "29")
LATER = NOW + datetime.timedelta(days=1)


def table(filled: Filled) -> dict[str, list[typing.Any]]:
    """Return what a reader of the log sees, by the designation's table."""
    place = filled.store.table("tables/inputs")
    found = deltalake.DeltaTable(place.uri, storage_options=dict(place.options)).to_pyarrow_table()
    ordered: dict[str, list[typing.Any]] = found.sort_by("$RequestId").to_pydict()
    return ordered


@pytest.fixture
def behind(local_azurite: Azurite, proxy: azure_proxy.AzureProxy) -> Filled:
    """A container behind the proxy, as Azurite alone does not list from a name on."""
    container = stores.container(local_azurite)
    store = open_store(f"{proxy.endpoint}/{container.container_name}", local_azurite.account_key)
    return Filled(store, container=container)


def test_in_a_container(behind: Filled, scratch: pathlib.Path) -> None:
    check(behind, scratch)


def test_in_a_directory(local: Filled, scratch: pathlib.Path) -> None:
    check(local, scratch)


def check(filled: Filled, scratch: pathlib.Path) -> None:
    filled.append("data.csv", written([HEADER, *FIRST]))
    (outcome,) = close(filled.store, scratch, with_delta=True)
    assert outcome.state is State.CLOSED, outcome.message
    # Late rows, with columns more; and another day.
    header = (*HEADER, "when", "n")
    filled.append("data.1.csv", written([header, row(3, "3", "x", "2025-01-02T03:04:05", "0.5")]))
    filled.append("data.csv", written([HEADER, row(4, "no number", "x")]), OTHER)
    assert [each.state for each in close(filled.store, scratch, now=LATER, with_delta=True)] == [State.CLOSED] * 2
    close(filled.store, scratch, now=LATER, with_delta=True)
    found = table(filled)
    assert found["$RequestId"] == [f"r{number}" for number in range(5)]
    assert found["v"] == [0, 1, 2, 3, None]
    assert found["when"][3] == datetime.datetime(2025, 1, 2, 3, 4, 5)
    assert found["$Rescued"] == [None] * 4 + ['{"v":"no number"}']
    assert {str(each) for each in found["day"]} == {"2025-11-28", "2025-11-29"}
    assert set(found["version"]) == {"default"}


def test_a_log_that_is_asked_for_late_gets_all_parts(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *FIRST]))
    close(local.store, scratch)
    local.append("data.csv", written([row(3, "3", "x")]))
    close(local.store, scratch)
    close(local.store, scratch, with_delta=True)
    assert table(local)["$RequestId"] == ["r0", "r1", "r2", "r3"]


def test_a_day_of_another_type_is_told_and_closed_all_the_same(local: Filled, scratch: pathlib.Path) -> None:
    local.append("data.csv", written([HEADER, *FIRST]))
    local.append("data.csv", written([HEADER, row(9, "no number", "x")]), OTHER)
    close(local.store, scratch, now=LATER)
    one, other = close(local.store, scratch, now=LATER, with_delta=True)
    assert (one.state, other.state, other.reason) == (State.CLOSED, State.FAILED, "DeltaTypes")
    assert "column v is VARCHAR on this day and BIGINT" in other.message
    local.append("data.csv", written([row(10, "x", "x")]), OTHER)
    close(local.store, scratch, now=LATER, with_delta=True)
    assert local.manifest(OTHER)["next"] is None
    assert len(local.closed(OTHER)[1]) == 2
    assert table(local)["$RequestId"] == ["r0", "r1", "r2"]


def test_killed_at_each_write_and_two_at_once(
    local_azurite: Azurite, proxy: azure_proxy.AzureProxy, scratch: pathlib.Path, behind: Filled
) -> None:
    address = behind.store.address
    with contextlib.ExitStack() as stack:
        both = [
            closers.Closers(scratch, credential=local_azurite.account_key, address=address, delta=True) for _ in "12"
        ]
        for closer in both:
            stack.callback(closer.close)
        number, killed, rows = 0, True, 0
        while killed:
            number += 1
            behind.append("data.csv", written([] if rows else [HEADER]) + written([row(rows, "1", "x")]))
            rows += 1
            writes = [number]

            def told(method: str, path: str, writes: list[int] = writes) -> None:
                writes[0] -= method == "PUT"
                if method == "PUT" and not writes[0]:
                    both[0].kill()

            proxy.after = told
            killed = both[0].run() == -9
            proxy.after = lambda method, path: None
            for closer in both:
                closer.start()
            assert {closer.end() for closer in both} <= {0, 1}
            assert both[0].run() == 0
            assert len(table(behind)["$RequestId"]) == len(set(table(behind)["$RequestId"])) == rows
        assert number >= 5
