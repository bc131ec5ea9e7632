"""The webhook's own server, asked over real connections under TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from modeldata_operator.trust import certificates
from modeldata_operator.webhook import server as admission

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
    connector = aiohttp.TCPConnector(ssl=False, limit=1)
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


async def test_the_largest_pod_is_reviewed(served):
    _, port = served
    body = b'{"pad": "' + b"x" * (6 * 1024 * 1024) + b'"}'
    async with connection(port) as session:
        assert await answer(session, body) == (200, body)


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


async def test_nothing_is_served_elsewhere(served):
    _, port = served
    async with connection(port) as session:
        assert (await answer(session, path="/other"))[0] == 404
