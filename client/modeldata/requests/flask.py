"""Requests of Flask applications: those in this process are followed, without a line in the script."""

from __future__ import annotations

import contextvars
import logging
import sys

from . import context, headers, wsgi

logger = logging.getLogger("modeldata")

_KEY = "modeldata.request"


class _FlaskRequest:
    """A request that begins with Flask's signal. Its id stays until the thread's next one begins.

    A body that is streamed is made after Flask says that the request is over.
    """

    __slots__ = ("entered", "over")

    def __init__(self, entered: context.request_id) -> None:
        self.entered = entered
        self.over = False


_of_flask: contextvars.ContextVar[_FlaskRequest | None] = contextvars.ContextVar("modeldata_flask", default=None)
_follows = False


def follow() -> None:
    """Enter the requests of all Flask applications in this process, if Flask is loaded; once.

    Scripts behind azureml-inference-server-http, which is one, know nothing of its requests. Costs a request 10 us
    and ``collect`` nothing.
    """
    global _follows
    signals = sys.modules.get("flask.signals")
    # While another thread imports Flask, the module is there without its signals.
    if _follows or signals is None or not hasattr(signals, "request_tearing_down"):
        return
    _follows = True
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
    if context.is_given():  # by a middleware, ours or the application's, or by the request that asks in this one
        return
    entered = headers.enter(wsgi.id_of_environ, environ)
    if entered is not None:
        environ[_KEY] = begun = _FlaskRequest(entered)
        _of_flask.set(begun)


def _flask_ends(_sender: object, **_: object) -> None:
    environ = _flask_environ()
    ended = environ.pop(_KEY, None) if environ is not None else None
    if ended is not None:
        ended.over = True


def _flask_environ() -> wsgi.Environ | None:
    try:
        environ: wsgi.Environ = sys.modules["flask"].request.environ
    except (KeyError, RuntimeError):  # the signal was sent by hand, outside of any request
        return None
    return environ
