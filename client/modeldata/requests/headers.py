"""The id that a client, or the ingress before us, gave a request: the header ``x-request-id``, or another."""

from __future__ import annotations

import typing

from ..observe import counters
from . import context


def usable(text: str) -> str:
    """Return an id of a client's as it can be taken; empty if it can't."""
    text = text.strip()
    return text if len(text) <= context.MOST_ID_CHARACTERS and text.isprintable() else ""


Source = typing.TypeVar("Source")


def enter(find: typing.Callable[[Source], str | None], source: Source) -> context.request_id | None:
    """Begin a request with the id that is found; return what ends it. None: there is none, or it can't be told."""
    try:
        found = find(source)
        if found is None:
            return None
        entered = context.request_id(found)
        entered.__enter__()
    except Exception as error:  # the model's request must go on whatever is wrong here
        if counters.mine is not None:
            counters.mine.complain("web", "the id of a request can't be told: %s", type(error).__name__)
        return None
    return entered
