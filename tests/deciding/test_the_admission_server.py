"""The webhook's own server, asked over real connections under TLS."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from modeldata_operator.observe import metrics
from modeldata_operator.trust import certificates
from modeldata_operator.webhook import server as admission
from modeldata_operator.webhook.room import CONNECTIONS

HOST = "localhost"


def issued():
    made = certificates.renewed(None, host=HOST, now=datetime.now(UTC))
    return certificates.Served(made.certificate, made.key)


async def echo(body):
    if body == b"nonsense":
        raise admission.NoReviewError("nonsense")
    return body


@pytest.fixture
async def served(tmp_path):
    """A server with a certificate, and the port it listens at."""
    async with serving(tmp_path) as found:
        yield found


@contextlib.asynccontextmanager
async def serving(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = admission.AdmissionServer(echo, port=port, directory=tmp_path / "tls")
    server.show(issued())
    await server.start()
    try:
        yield server, port
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def connection(port):
    """Connect as somebody who stays, and believes everything."""
    connector = aiohttp.TCPConnector(ssl=False, limit=1, keepalive_timeout=600)
    async with aiohttp.ClientSession(f"https://localhost:{port}", connector=connector) as session:
        yield session


async def answer(session, body=b"{}", path=admission.PATH):
    async with session.post(path, data=body) as response:
        return response.status, await response.read()


async def shown(port):
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(presented).serial_number


def number(certificate):
    return x509.load_pem_x509_certificate(certificate.certificate).serial_number


async def test_a_renewed_certificate_is_shown_at_once_and_no_connection_is_lost(served):
    server, port = served
    async with connection(port) as session:
        assert await answer(session, b"before") == (200, b"before")
        for _ in range(3):
            renewed = issued()
            assert server.show(renewed)
            assert await shown(port) == number(renewed)
            assert not server.show(renewed)
            # By the connection of before: its connector holds one.
            assert await answer(session, b"after") == (200, b"after")


def under_a_password(key):
    return serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


@pytest.mark.parametrize("broken", ["no certificate", "another's key", "no key", "a key under a password"])
async def test_what_cannot_be_served_with_is_refused_and_the_one_before_stays(served, broken):
    server, port = served
    good, other = issued(), issued()
    assert server.show(good)
    bad = {
        "no certificate": certificates.Served(b"x", good.key),
        "another's key": certificates.Served(other.certificate, good.key),
        "no key": certificates.Served(other.certificate, b""),
        "a key under a password": certificates.Served(other.certificate, under_a_password(other.key)),
    }[broken]
    with pytest.raises(admission.BadCertificateError):
        server.show(bad)
    assert await shown(port) == number(good)
    assert server.show(other)
    assert await shown(port) == number(other)


async def test_only_the_owner_can_read_the_key(served, tmp_path):
    key = tmp_path / "tls" / "tls.key"
    assert key.stat().st_mode & 0o777 == 0o600


# An API server takes requests of 3 MiB at most, and what is created has no older version beside it.
LARGEST = 3 * 1024 * 1024


async def test_the_largest_pod_is_reviewed(served):
    _, port = served
    body = b"x" * LARGEST
    async with connection(port) as session:
        assert await answer(session, body) == (200, body)


@pytest.fixture
def turned_away():
    """How many were turned away for a reason since the test began."""
    name = "modeldata_operator_admissions_turned_away_total"

    def counted(reason):
        return metrics.REGISTRY.get_sample_value(name, {"reason": reason}) or 0

    before = {reason: counted(reason) for reason in ("connections", "bytes", "size", "slow")}
    return lambda reason: counted(reason) - before[reason]


async def test_what_is_larger_is_not_read(served, turned_away, caplog):
    _, port = served
    async with connection(port) as session:
        assert (await answer(session, b"x" * (LARGEST + 1)))[0] == 413
        assert (await answer(session, b"x" * (LARGEST + 1)))[0] == 413
        assert await answer(session, b"{}") == (200, b"{}")
    assert turned_away("size") == 2
    assert caplog.text.count("turned away for its size") == 1


async def test_what_is_packed_is_not_unpacked(served):
    _, port = served
    packed = gzip.compress(b"x" * 1024)
    async with (
        connection(port) as session,
        session.post(admission.PATH, data=packed, headers={"Content-Encoding": "gzip"}, compress=False) as response,
    ):
        assert await response.read() == packed


async def test_a_body_without_a_length_counts_as_the_largest_and_ends_where_that_does(served):
    _, port = served

    async def endless():
        for _ in range(4):
            yield b"x" * 2**20

    async with connection(port) as session:
        assert (await answer(session, endless()))[0] == 413


async def answered(session, body, status):
    try:
        return (await answer(session, body))[0] == status
    except aiohttp.ClientError:
        return False


async def until(condition):
    """Wait for something that comes soon."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 (nothing sets an event)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def half_sent(port, *, size, sent=1):
    """Begin a review, and keep its end back."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    head = f"POST {admission.PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode() + b"x" * sent)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def test_over_the_bytes_held_at_once_a_review_is_answered_at_once_and_small_ones_have_room(served, turned_away):
    _, port = served
    async with contextlib.AsyncExitStack() as stack:
        # Half of it is all that one address gets: two of the largest.
        held = [await stack.enter_async_context(half_sent(port, size=LARGEST)) for _ in range(2)]
        assert len(held) == 2
        async with connection(port) as session:
            await until(lambda: answered(session, b"x" * LARGEST, 503))
            assert turned_away("bytes")
            assert await answer(session, b"{}") == (200, b"{}")
    async with connection(port) as session:
        await until(lambda: answered(session, b"x" * LARGEST, 200))


async def test_over_the_connections_of_one_address_a_new_one_is_closed_and_those_there_are_served(
    served, turned_away, monkeypatch
):
    monkeypatch.setattr(admission, "BODY_SECONDS", 600.0)
    _, port = served

    async def open_too_many(stack):
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(half_sent(port, size=10))

    async with connection(port) as session, contextlib.AsyncExitStack() as stack:
        assert await answer(session) == (200, b"{}")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await open_too_many(stack)
        assert turned_away("connections")
        assert await answer(session) == (200, b"{}")

    async def anew():
        async with connection(port) as session:
            return await answered(session, b"{}", 200)

    await until(anew)


async def test_who_never_ends_a_review_is_answered_and_closed(served, monkeypatch, turned_away):
    monkeypatch.setattr(admission, "BODY_SECONDS", 0.1)
    _, port = served
    async with half_sent(port, size=10) as reader:
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    assert turned_away("slow")


async def test_a_connection_by_which_no_review_came_is_closed_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(admission, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(admission, "FIRST_REVIEW_SECONDS", 0.5)
    async with serving(tmp_path) as (_, port), connection(port) as session:
        assert await answer(session) == (200, b"{}")
        async with half_sent(port, size=10, sent=0) as reader:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        # By the connection of before: its connector holds one, and would say nothing of a new one.
        assert len(session.connector._conns) == 1
        assert await answer(session) == (200, b"{}")


async def test_who_speaks_no_tls_is_closed_and_gives_its_room_back(served, monkeypatch):
    monkeypatch.setattr(admission, "HANDSHAKE_SECONDS", 0.1)
    server, port = served
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    reader, other = await asyncio.open_connection("127.0.0.1", port)
    other.write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        await reader.read()

    async def forgotten():
        return not server._connections

    await until(forgotten)
    for each in (writer, other):
        each.close()


async def test_an_idle_connection_outlives_the_api_servers_patience(served):
    # client-go gives an idle connection up after 90 seconds. Who closes first must not be us.
    server, _ = served
    assert server._runner._kwargs["keepalive_timeout"] > 90


async def test_what_is_no_review_is_refused_with_the_reason_and_the_next_is_answered(served, caplog):
    _, port = served
    async with connection(port) as session:
        assert await answer(session, b"nonsense") == (400, b"no admission review: nonsense")
        assert await answer(session) == (200, b"{}")
    assert "no admission review: nonsense" in caplog.text


async def test_who_hangs_up_or_sends_nonsense_over_and_over_does_not_fill_the_log(served, caplog):
    _, port = served
    for _ in range(5):
        async with half_sent(port, size=10):
            pass
        async with half_sent(port, size=10) as reader:
            pass
        async with half_sent(port, size="x") as reader:
            await reader.read()
        async with connection(port) as session:
            await answer(session, b"nonsense")
    assert len(caplog.records) <= 3


async def test_nothing_is_served_elsewhere(served):
    _, port = served
    async with connection(port) as session:
        assert (await answer(session, path="/other"))[0] == 404
