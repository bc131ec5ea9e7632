"""Everything that the processes bind answers IPv6 and IPv4, at real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime

import aiohttp
import pytest

from modeldata_operator import listening
from modeldata_operator.observe import metrics
from modeldata_operator.process.health import HealthServer
from modeldata_operator.trust import certificates
from modeldata_operator.webhook import server

LOOPBACKS = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]


@pytest.fixture
def port():
    with contextlib.closing(listening.everywhere(0)) as free:
        return free.getsockname()[1]


def written(address):
    return f"[{address}]" if ":" in address else address


async def status(url, **options):
    async with aiohttp.ClientSession() as session, session.request("GET", url, **options) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("address", LOOPBACKS)
async def test_probes_are_answered(port, address):
    sick = ""

    class Patient:
        async def sick(self):
            return sick

        async def unready(self):
            return "nothing is listed yet"

    health = HealthServer(port=port)
    await health.start()
    try:
        url = f"http://{written(address)}:{port}/healthz"
        assert await status(url) == (200, "well")  # it has not begun, and is none the worse for it
        ready = f"http://{written(address)}:{port}/readyz"
        assert (await status(ready))[0] == 500
        health.of(Patient())
        assert await status(ready) == (500, "nothing is listed yet")
        assert await status(url) == (200, "well")
        sick = "silent=pods"
        assert await status(url) == (500, "silent=pods")
        sick = ""
        assert await status(url) == (200, "well")
    finally:
        await health.close()


async def test_what_is_wrong_is_logged_once(port, caplog):
    class Patient:
        async def sick(self):
            return "silent=pods"

    health = HealthServer(port=port)
    health.of(Patient())
    await health.start()
    try:
        for _ in range(3):
            await status(f"http://127.0.0.1:{port}/healthz")
    finally:
        await health.close()
    assert caplog.text.count("silent=pods") == 1


@pytest.mark.parametrize("address", LOOPBACKS)
async def test_reviews_are_answered(port, address, tmp_path):
    async def echo(body):
        return body

    admission = server.AdmissionServer(echo, port=port, directory=tmp_path)
    made = certificates.renewed(None, host="localhost", now=datetime.now(UTC))
    admission.show(certificates.Served(made.certificate, made.key))
    await admission.start()
    try:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"https://{written(address)}:{port}{server.PATH}"
        async with aiohttp.ClientSession() as session, session.post(url, data=b"{}", ssl=context) as answer:
            assert await answer.read() == b"{}"
    finally:
        await admission.close()


@pytest.mark.parametrize("address", LOOPBACKS)
async def test_scrapes_are_answered(port, address):
    metrics.serve(port)

    def scraped():
        with urllib.request.urlopen(f"http://{written(address)}:{port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    assert "modeldata_operator_reconciles_total" in await asyncio.to_thread(scraped)


def test_a_port_that_is_taken_is_said_and_nothing_else_stops(port, caplog):
    with contextlib.closing(listening.everywhere(port)):
        metrics.serve(port)
    assert f"port {port} of MODELDATA_METRICS_PORT can't be had" in caplog.text


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_kernel_without_ipv6_listens_to_ipv4(port, number, monkeypatch):
    made = socket.create_server

    def create(address, *, family=socket.AF_INET, **options):
        if family == socket.AF_INET6:
            raise OSError(number, "no IPv6 here")
        return made(address, family=family, **options)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    monkeypatch.setattr(socket, "create_server", create)
    with contextlib.closing(listening.everywhere(port)) as listener:
        assert listener.family == socket.AF_INET
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_one_that_was_built_without_it_does_too(port, monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with contextlib.closing(listening.everywhere(port)) as listener:
        assert listener.family == socket.AF_INET
