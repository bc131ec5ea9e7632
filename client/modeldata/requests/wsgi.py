"""Requests of WSGI applications."""

from __future__ import annotations

import typing

from . import context, headers

_KEYS = ("HTTP_X_REQUEST_ID", "HTTP_X_MS_CLIENT_REQUEST_ID")
_ATTEMPT = "HTTP_X_ENVOY_ATTEMPT_COUNT"

Environ = dict[str, typing.Any]


class WSGIMiddleware:
    """A WSGI application around another one."""

    def __init__(self, app: typing.Callable[..., typing.Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: typing.Callable[..., typing.Any]) -> typing.Iterable[bytes]:
        """Answer a request."""
        entered = headers.enter(id_of_environ, environ)
        if entered is None:
            return self._app(environ, start_response)
        try:
            body = self._app(environ, start_response)
        except BaseException:
            entered.__exit__(None, None, None)
            raise
        if not _is_whole(body, environ):
            return _Body(body, entered)
        entered.__exit__(None, None, None)
        return body


def _is_whole(body: typing.Iterable[bytes], environ: Environ) -> bool:
    """Return whether nothing more will be collected for a body, so that the server may have it as it is.

    Servers take short cuts with lists (their length) and with files that the wrapper of theirs holds.
    """
    if isinstance(body, (list, tuple)):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper is not None and (not isinstance(wrapper, type) or isinstance(body, wrapper))


class _Body:
    """A body that is made while it is sent: it belongs to the request, which ends with its ``close``."""

    def __init__(self, body: typing.Iterable[bytes], entered: context.request_id) -> None:
        self._body = body
        self._entered = entered

    def __iter__(self) -> typing.Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._entered.__exit__(None, None, None)


def id_of_environ(environ: Environ) -> str:
    """Return the id that a request's environment has; empty if none that can be taken."""
    for key in _KEYS:
        text = environ.get(key)
        if text:
            # WSGI has bytes as Latin-1.
            text = text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")
            text = headers.usable(text, environ.get(_ATTEMPT, ""))
            if text:
                return text
    return ""
