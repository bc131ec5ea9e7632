"""Which rows belong together: everything one request collects shares one request id."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import time
import types

from . import given, ids

MOST_RECENT = 4096
"""Given ids that are remembered, in some 2 MiB: a request that is tried again comes within seconds."""


class Request:
    """One call of a model, as its collectors see it.

    Whoever makes one sets all of it. Without a constructor: that takes half the time, in each request of the model.
    """

    __slots__ = ("correlation", "designations", "id", "input_rows")

    id: str
    correlation: str
    """What the user gave; empty: the request's id."""
    designations: tuple[str, ...]
    input_rows: int
    """The most rows of it so far, by rule those of its inputs: tells a batch of predictions from one row of them."""


class _Known:
    """What is known of a given id, whoever enters it: a retried request has the id of the first try."""

    __slots__ = ("claims", "parts")

    def __init__(self) -> None:
        self.claims: dict[str, int] = {}
        """By designation: the entry that collected it under the id itself."""
        self.parts = itertools.count(1)


class _Span:
    """What all parts of a request share: tasks and threads each copy the context, and collect parts of their own."""

    __slots__ = ("is_over", "known", "number")

    def __init__(self, known: _Known | None) -> None:
        self.known = known
        """None until something is collected: what collects nothing need not be remembered."""
        self.number = next(_entries)
        self.is_over = False


class _Given(Request):
    """A request whose id was given, or the n-th part of it: a designation collected again under the same id."""

    __slots__ = ("_given", "is_part", "span")

    def __init__(self, given: str, correlation: str, known: _Known | None = None) -> None:
        self.id = self._given = given
        self.correlation = correlation
        self.designations = ()
        self.input_rows = 0
        self.span = _Span(known)
        self.is_part = False

    def claims(self, designation: str) -> bool:
        """Return whether a designation is collected under this id here, and not by another entry of it before."""
        if self.is_part:
            return True
        known = self.span.known
        if known is None:
            known = self.span.known = _remember(self._given)
        number = self.span.number
        return known.claims.setdefault(designation, number) == number

    def next_part(self, correlation: str, designation: str) -> Request:
        known = self.span.known
        assert known is not None  # something was collected
        after = _Given(self._given, correlation or self.correlation)
        after.id = f"{self._given}.{next(known.parts)}"
        after.designations = (designation,)
        after.span, after.is_part = self.span, True
        return after


_entries = itertools.count(1)
_recent: dict[str, _Known] = {}
"""By given id; the oldest first."""


def _remember(given_id: str) -> _Known:
    known = _recent.get(given_id)
    if known is None:
        known = _recent.setdefault(given_id, _Known())
        if len(_recent) > MOST_RECENT:
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # another thread does it too
                del _recent[next(iter(_recent))]
    return known


_current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("modeldata_request", default=None)
_get, _set = _current.get, _current.set


def enter(designation: str, user_correlation_id: str, microseconds: int) -> Request:
    """Return the request that a collector of this designation is in.

    A context (a thread, an asyncio task) that collects a designation again is in its next request: model servers reuse
    threads, and ``run()`` collects each designation once. Under an id that was given, it is in the request's next part,
    ``<id>.<n>``, until that request is over: a task that was started in it and serves others since, as the one that
    gathers batches does, must not give them its id. It is in the next part too where another entry of the id has
    collected the designation: the request is tried again.
    """
    request = _get()
    if (
        request is not None
        and designation not in request.designations
        and (type(request) is not _Given or request.claims(designation))
    ):
        request.designations += (designation,)
        if user_correlation_id:
            request.correlation = user_correlation_id
        return request
    if type(request) is _Given and not request.span.is_over:
        request = request.next_part(user_correlation_id, designation)
    else:
        request = Request()
        request.id = ids.new_id(microseconds)
        request.correlation = user_correlation_id
        request.designations = (designation,)
        request.input_rows = 0
    _set(request)
    return request


def input_rows() -> int:
    """Return how many rows the inputs of this context's request had; 0 if none were collected."""
    request = _current.get()
    return request.input_rows if request is not None else 0


def is_given() -> bool:
    """Return whether this context is within a ``request_id`` that is not over."""
    request = _current.get()
    return isinstance(request, _Given) and not request.span.is_over


def leave() -> None:
    """Forget the request that this context is in: what comes next belongs to another."""
    request = _current.get()
    if request is not None and not isinstance(request, _Given):
        _current.set(None)


class request_id:  # noqa: N801 (used as a verb: with modeldata.request_id("..."))
    """Within this context manager, what is collected has this ``$RequestId``.

    For the id of an incoming HTTP request, and for labels that come later. Holds in this thread or asyncio task, and in
    what is started in it with its context (``asyncio.create_task``, ``asyncio.to_thread``).

    Args:
        request_id: a text, or what has one; made safe (see ``given``). Where there is none, ids are our own, as without
            it.
        user_correlation_id: for ``$CorrelationId``, unless ``collect`` is given one.

    """

    def __init__(self, request_id: object, user_correlation_id: object = "") -> None:
        text, correlation = given.safe(request_id), given.safe(user_correlation_id)
        self._request = (
            _Given(text, correlation) if text else _Given(ids.new_id(time.time_ns() // 1000), correlation, _Known())
        )
        self._token: contextvars.Token[Request | None] | None = None

    def __enter__(self) -> str:
        """Begin; return the id."""
        self._request.span.is_over = False
        self._token = _current.set(self._request)
        return self._request.id

    def holds(self) -> bool:
        """Return whether what is collected here has this id."""
        found = _current.get()
        return isinstance(found, _Given) and found.span is self._request.span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        """End: what comes next is in the request that was before."""
        self._request.span.is_over = True
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:  # ended in another context, as an ASGI server may end a generator
                _current.set(None)
            self._token = None


def forget() -> None:
    """Forget the request that this context is in, a given one too: a forked child is in none."""
    _current.set(None)
