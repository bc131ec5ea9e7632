"""The id that a client, or the ingress before us, gave a request: the header ``x-request-id``, or another."""

from __future__ import annotations

import typing

from ..observe import counters
from . import context, given


def usable(text: str, attempt: str = "") -> str:
    """Return an id of a client's as it can be taken; empty if it can't.

    Args:
        text: what the header says.
        attempt: ``x-envoy-attempt-count``: a proxy's second try of a request has the id of the first, and may have come
            to another pod.

    """
    text = text.strip()
    if not text or len(text) > given.MOST_CHARACTERS or not text.isprintable():
        return ""
    again = attempt.isascii() and attempt.isdigit() and len(attempt) <= 4 and int(attempt) > 1
    return f"{text}.attempt{int(attempt)}" if again else text


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
