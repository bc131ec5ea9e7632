"""The middlewares by themselves: which id they take, and that they are in nobody's way."""

from __future__ import annotations

import re
import sys
import time
import types
import typing
import wsgiref.util

import flask
import pytest

from modeldata.requests import asgi, context, wsgi
from modeldata.requests import flask as following

OURS = "ours"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(autouse=True)
def _no_request_before_or_after() -> typing.Iterator[None]:
    context._recent.clear()
    context._current.set(None)
    yield
    context._current.set(None)  # Flask's last one stays until its thread's next


def current() -> str:
    """Return the id of what would be collected here."""
    return context.enter("inputs", "", time.time_ns() // 1000).id


def wsgi_id(headers: dict[bytes, bytes]) -> str:
    found = []

    def application(environ: typing.Any, start_response: typing.Any) -> list[bytes]:
        found.append(current())
        return []

    keys = {name: f"HTTP_{name.decode().upper().replace('-', '_')}" for name in headers}
    environ = {keys[name]: text.decode("latin-1") for name, text in headers.items()}
    wsgi.WSGIMiddleware(application)(environ, None)
    return found[0]


async def asgi_id(headers: dict[bytes, bytes], kind: str = "http") -> str:
    found = []

    async def application(scope: typing.Any, receive: typing.Any, send: typing.Any) -> None:
        found.append(current())

    await asgi.ASGIMiddleware(application)({"type": kind, "headers": list(headers.items())}, None, None)
    return found[0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({b"x-request-id": b"a"}, "a"),
        ({b"x-ms-client-request-id": b"b", b"x-request-id": b"a"}, "a"),
        ({b"x-ms-client-request-id": b"b"}, "b"),
        ({b"x-request-id": b"", b"x-ms-client-request-id": b"b"}, "b"),
        ({b"x-request-id": b"  a\t"}, "a"),
        ({b"x-request-id": b"  "}, OURS),
        ({b"x-request-id": b"x" * 128}, "x" * 128),
        ({b"x-request-id": b"x" * 129, b"x-ms-client-request-id": b"b"}, "b"),
        ({b"x-request-id": b"a\0b"}, OURS),
        ({b"x-request-id": "é€".encode()}, "é€"),
        ({b"x-request-id": b"\xff!"}, "\ufffd!"),
        ({b"x-request-id": "é".encode() * 128}, "é" * 128),
        ({b"x-request-id": b"=1+1"}, "'=1+1"),
        ({b"x-request-id": b"a", b"x-envoy-attempt-count": b"1"}, "a"),
        ({b"x-request-id": b"a", b"x-envoy-attempt-count": b"2"}, "a.attempt2"),
        ({b"x-envoy-attempt-count": b"3", b"x-ms-client-request-id": b"a"}, "a.attempt3"),
        ({b"x-request-id": b"a", b"x-envoy-attempt-count": b"\xb2"}, "a"),
        ({b"x-request-id": b"a", b"x-envoy-attempt-count": b"9" * 99}, "a"),
        ({b"x-envoy-attempt-count": b"2"}, OURS),
        ({b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, OURS),
        ({}, OURS),
    ],
)
async def test_the_id_is_the_header(headers: dict[bytes, bytes], expected: str) -> None:
    for number, found in enumerate((wsgi_id(headers), await asgi_id(headers), await asgi_id(headers, "websocket"))):
        if expected == OURS:
            assert UUID.fullmatch(found)
        else:  # the same id again is the request that is tried again
            assert found == (f"{expected}.{number}" if number else expected)


async def test_a_request_without_an_id_is_not_joined_to_the_one_before() -> None:
    before = current()
    assert len({before, wsgi_id({}), wsgi_id({}), await asgi_id({})}) == 4
    assert context.enter("predictions", "", 0).id == before


def test_a_body_that_is_made_while_it_is_sent_belongs_to_the_request() -> None:
    closed = []

    def application(environ: typing.Any, start_response: typing.Any) -> typing.Iterator[bytes]:
        try:
            yield current().encode()
        finally:
            closed.append(True)

    body = wsgi.WSGIMiddleware(application)({"HTTP_X_REQUEST_ID": "a"}, None)
    assert list(body) == [b"a"]
    body.close()
    assert closed == [True]
    assert UUID.fullmatch(current())


@pytest.mark.parametrize("body", [[b"text"], (b"text",), wsgiref.util.FileWrapper(None)])
def test_a_server_gets_bodies_that_it_has_short_cuts_for_as_they_are(body: typing.Any) -> None:
    middleware = wsgi.WSGIMiddleware(lambda environ, start_response: body)
    assert middleware({"wsgi.file_wrapper": wsgiref.util.FileWrapper}, None) is body
    assert UUID.fullmatch(current())


def test_an_error_of_the_application_is_its_own() -> None:
    def application(environ: typing.Any, start_response: typing.Any) -> typing.NoReturn:
        raise KeyError(current())

    with pytest.raises(KeyError, match="mine"):
        wsgi.WSGIMiddleware(application)({"HTTP_X_REQUEST_ID": "mine"}, None)
    assert UUID.fullmatch(current())


async def test_an_error_of_an_asgi_application_is_its_own() -> None:
    async def application(scope: typing.Any, receive: typing.Any, send: typing.Any) -> typing.NoReturn:
        raise KeyError(current())

    with pytest.raises(KeyError, match="mine"):
        await asgi.ASGIMiddleware(application)({"type": "http", "headers": [(b"x-request-id", b"mine")]}, None, None)
    assert UUID.fullmatch(current())


@pytest.mark.parametrize("environ", [None, {"HTTP_X_REQUEST_ID": 7}])
def test_what_no_server_would_say_costs_the_id_and_nothing_else(environ: typing.Any) -> None:
    assert wsgi.WSGIMiddleware(lambda *given: [given])(environ, "start") == [(environ, "start")]


@pytest.mark.parametrize(
    "scope", [None, {}, {"type": "http"}, {"type": "http", "headers": [b"x-request-id"]}, {"type": "lifespan"}]
)
async def test_what_no_asgi_server_would_say_costs_the_id_and_nothing_else(scope: typing.Any) -> None:
    given: list[typing.Any] = []

    async def application(*arguments: typing.Any) -> None:
        given.append(arguments)

    await asgi.ASGIMiddleware(application)(scope, "receive", "send")
    assert given == [(scope, "receive", "send")]


@pytest.fixture
def application() -> flask.Flask:
    made = flask.Flask("model")
    following.follow()

    @made.get("/id")
    def tell() -> str:
        return current()

    @made.get("/fails")
    def fail() -> typing.NoReturn:
        raise RuntimeError("as the test wants it")

    @made.get("/asks-itself")
    def ask() -> list[str]:
        before = current()
        inner = made.test_client().get("/id", headers={"x-request-id": "inner"}).text
        return [before, inner, context.enter("predictions", "", 0).id]

    return made


def test_a_flask_that_is_still_being_imported_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_follows", False)
    with monkeypatch.context() as importing:
        importing.setitem(sys.modules, "flask.signals", types.ModuleType("flask.signals"))
        following.follow()
    assert not following._follows
    following.follow()
    assert following._follows


def test_flask_requests_have_their_ids_one_after_the_other(application: flask.Flask) -> None:
    client = application.test_client()
    assert client.get("/id", headers={"x-request-id": "a"}).text == "a"
    assert client.get("/fails", headers={"x-request-id": "b"}).status_code == 500
    assert UUID.fullmatch(client.get("/id").text)
    assert client.get("/id", headers={"x-request-id": "a"}).text == "a.1"  # tried again


def test_an_id_that_is_given_around_flask_stays(application: flask.Flask) -> None:
    client = application.test_client()
    client.get("/id", headers={"x-request-id": "before"})
    with context.request_id("given"):
        assert client.get("/id", headers={"x-request-id": "header"}).text == "given"
    assert client.get("/id", headers={"x-request-id": "after"}).text == "after"


def test_a_flask_request_within_another_does_not_end_it(application: flask.Flask) -> None:
    asked = application.test_client().get("/asks-itself", headers={"x-request-id": "a"}).json
    assert asked == ["a", "a.1", "a.1"]
