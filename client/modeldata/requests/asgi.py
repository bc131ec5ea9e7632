"""Requests of ASGI applications."""

from __future__ import annotations

import typing

from . import headers

_NAMES = (b"x-request-id", b"x-ms-client-request-id")
_ATTEMPT = b"x-envoy-attempt-count"

Scope = typing.MutableMapping[str, typing.Any]


class ASGIMiddleware:
    """An ASGI application around another one."""

    def __init__(self, app: typing.Callable[..., typing.Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: typing.Any, send: typing.Any) -> None:
        """Answer a request, or serve a connection."""
        entered = headers.enter(_id_of_scope, scope)
        try:
            await self._app(scope, receive, send)
        finally:
            if entered is not None:
                entered.__exit__(None, None, None)


def _id_of_scope(scope: Scope) -> str | None:
    if scope["type"] not in ("http", "websocket"):
        return None
    found = {name: value for name, value in scope["headers"] if name in _NAMES or name == _ATTEMPT}
    attempt = found.get(_ATTEMPT, b"").decode("ascii", "replace")
    for name in _NAMES:
        text = headers.usable(found.get(name, b"").decode("utf-8", "replace"), attempt)
        if text:
            return text
    return ""
