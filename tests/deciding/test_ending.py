from __future__ import annotations

import asyncio

from modeldata_operator import ending


async def test_a_task_that_takes_the_cancellation_for_its_own_is_ended_all_the_same():
    taken = 0

    async def stubborn():
        nonlocal taken
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                taken += 1
                if taken == 3:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await ending.end([task])
    assert task.cancelled()
    assert taken == 3


async def test_what_has_ended_or_fails_while_it_ends_is_nobodys_trouble(caplog):
    async def failing():
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the connection is gone")

    done, failed = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(failing())
    await done
    await ending.end([done, failed])
    assert isinstance(failed.exception(), OSError)
    await ending.end([])
