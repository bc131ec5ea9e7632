from __future__ import annotations

import asyncio

import pytest

from modeldata_operator.kube.workqueue import Workqueue


def tenant(key: str) -> str:
    return key[0]


async def test_a_key_added_many_times_is_worked_on_once():
    queue: Workqueue[str] = Workqueue(tenant)
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards_and_not_before():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    again = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not again.done()
    queue.done("a")
    assert await again == "a"
    queue.done("a")


async def test_a_later_wish_does_not_put_off_an_earlier_one():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add_later("a", 0.01)
    queue.add_later("a", 60)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_an_earlier_wish_replaces_a_later_one():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add_later("a", 60)
    queue.add_later("a", 0.01)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_a_key_at_rest_waits_and_is_not_forgotten():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a", rest=0.02)
    queue.add("a")
    again = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not again.done()
    assert await asyncio.wait_for(again, 5) == "a"


async def test_who_is_in_a_hurry_goes_before_others_and_without_a_rest():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a", rest=3600)
    queue.add("b")
    queue.hurry("a")
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_hurry_while_it_is_worked_on_spares_the_rest_that_follows_and_no_other():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("a")
    assert await queue.get() == "a"
    queue.hurry("a")
    queue.done("a", rest=3600)
    assert await asyncio.wait_for(queue.get(), 5) == "a"
    queue.done("a", rest=3600)
    queue.add("a")
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("hurried", [False, True])
async def test_tenants_take_turns_however_many_keys_one_of_them_has(hurried):
    queue: Workqueue[str] = Workqueue(tenant)
    for key in [f"a{number}" for number in range(1000)] + ["b0", "b1", "c0"]:
        (queue.hurry if hurried else queue.add)(key)
    got = [await queue.get() for _ in range(1003)]
    assert got[:6] == ["a0", "b0", "c0", "a1", "b1", "a2"]
    assert len(set(got)) == 1003


async def test_who_is_in_a_hurry_all_the_time_holds_up_nobody():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("b")
    queue.add("c")
    got = []
    for _ in range(4):
        queue.hurry("a")
        got.append(await queue.get())
        queue.done(got[-1])
    assert got == ["a", "b", "a", "c"]


async def test_a_hurry_while_it_is_worked_on_goes_before_others_once_that_is_done():
    queue: Workqueue[str] = Workqueue(tenant)
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("b")
    queue.hurry("a")
    queue.done("a")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
