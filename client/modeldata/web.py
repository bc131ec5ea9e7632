"""Ids of HTTP requests: what is collected within one has the id that its client, or the ingress before us, gave it.

    app = modeldata.web.ASGIMiddleware(app)  # FastAPI, Starlette; or app.add_middleware(modeldata.web.ASGIMiddleware)
    app.wsgi_app = modeldata.web.WSGIMiddleware(app.wsgi_app)  # Django, any WSGI; Flask needs no line of it

The id is the header ``x-request-id``, else ``x-ms-client-request-id``, as in azureml-inference-server-http. Not the
trace id of ``traceparent``: one trace may ask a model many times, and rows join by their request's id. Without a header
that can be taken the id is our own; either way a request begins here, whatever the thread or task has collected before.

A fault of ours costs a request its id, and nothing else. No framework is imported.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import typing

from . import pipeline, request

logger = logging.getLogger("modeldata")

_WSGI_KEYS = ("HTTP_X_REQUEST_ID", "HTTP_X_MS_CLIENT_REQUEST_ID")
_ASGI_NAMES = (b"x-request-id", b"x-ms-client-request-id")
_FLASK_KEY = "modeldata.request"

Environ = dict[str, typing.Any]
Scope = typing.MutableMapping[str, typing.Any]


class WSGIMiddleware:
    """A WSGI application around another one."""

    def __init__(self, app: typing.Callable[..., typing.Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: typing.Callable[..., typing.Any]) -> typing.Iterable[bytes]:
        """Answer a request."""
        entered = _enter(_id_of_environ, environ)
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

    def __init__(self, body: typing.Iterable[bytes], entered: request.request_id) -> None:
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


class ASGIMiddleware:
    """An ASGI application around another one."""

    def __init__(self, app: typing.Callable[..., typing.Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: typing.Any, send: typing.Any) -> None:
        """Answer a request, or serve a connection."""
        entered = _enter(_id_of_scope, scope)
        try:
            await self._app(scope, receive, send)
        finally:
            if entered is not None:
                entered.__exit__(None, None, None)


class _FlaskRequest:
    """A request that begins with Flask's signal. Its id stays until the thread's next one begins.

    A body that is streamed is made after Flask says that the request is over.
    """

    __slots__ = ("entered", "over")

    def __init__(self, entered: request.request_id) -> None:
        self.entered = entered
        self.over = False


_of_flask: contextvars.ContextVar[_FlaskRequest | None] = contextvars.ContextVar("modeldata_flask", default=None)
_follows_flask = False


def follow_flask() -> None:
    """Enter the requests of all Flask applications in this process, if Flask is loaded; once.

    Scripts behind azureml-inference-server-http, which is one, know nothing of its requests. Costs a request 10 us
    and ``collect`` nothing.
    """
    global _follows_flask
    signals = sys.modules.get("flask.signals")
    # While another thread imports Flask, the module is there without its signals.
    if _follows_flask or signals is None or not hasattr(signals, "request_tearing_down"):
        return
    _follows_flask = True
    try:
        signals.request_started.connect(_flask_begins)
        signals.request_tearing_down.connect(_flask_ends)
    except RuntimeError:  # Flask before 2.3 without blinker
        logger.info("modeldata: without blinker, requests of Flask have ids of our own")


def _flask_begins(_sender: object, **_: object) -> None:
    environ = _flask_environ()
    if environ is None:
        return
    last = _of_flask.get()
    if last is not None and last.over and last.entered.holds():
        last.entered.__exit__(None, None, None)
    if request.is_given():  # by a middleware, ours or the application's, or by the request that asks in this one
        return
    entered = _enter(_id_of_environ, environ)
    if entered is not None:
        environ[_FLASK_KEY] = begun = _FlaskRequest(entered)
        _of_flask.set(begun)


def _flask_ends(_sender: object, **_: object) -> None:
    environ = _flask_environ()
    ended = environ.pop(_FLASK_KEY, None) if environ is not None else None
    if ended is not None:
        ended.over = True


def _flask_environ() -> Environ | None:
    try:
        environ: Environ = sys.modules["flask"].request.environ
    except (KeyError, RuntimeError):  # the signal was sent by hand, outside of any request
        return None
    return environ


def _id_of_environ(environ: Environ) -> str:
    for key in _WSGI_KEYS:
        text = environ.get(key)
        if text:
            # WSGI has bytes as Latin-1.
            text = _usable(text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace"))
            if text:
                return text
    return ""


def _id_of_scope(scope: Scope) -> str | None:
    if scope["type"] not in ("http", "websocket"):
        return None
    found = {name: value for name, value in scope["headers"] if name in _ASGI_NAMES}
    for name in _ASGI_NAMES:
        text = _usable(found.get(name, b"").decode("utf-8", "replace"))
        if text:
            return text
    return ""


def _usable(text: str) -> str:
    text = text.strip()
    return text if len(text) <= request.MOST_ID_CHARACTERS and text.isprintable() else ""


Source = typing.TypeVar("Source")


def _enter(find: typing.Callable[[Source], str | None], source: Source) -> request.request_id | None:
    """Begin a request with the id that is found; return what ends it. None: there is none, or it can't be told."""
    try:
        found = find(source)
        if found is None:
            return None
        entered = request.request_id(found)
        entered.__enter__()
    except Exception as error:  # the model's request must go on whatever is wrong here
        ours = pipeline.existing()
        if ours is not None:
            ours.counters.complain("web", "the id of a request can't be told: %s", type(error).__name__)
        return None
    return entered
