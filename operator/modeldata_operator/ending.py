"""Ending tasks for good."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.2


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all of them have ended, with whatever result.

    Once is not enough. Where the time of a request is over at the same moment, aiohttp takes the cancellation for its
    own (3.14: a timer that is entered twice takes back two), and the task goes on after a TimeoutError. What a leader
    has under way is cancelled at just that moment, as no request is given more time than its Lease.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # or it would be logged that nobody asked for it
