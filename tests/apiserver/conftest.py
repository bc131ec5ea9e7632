"""A bare API server that the tests of this directory share, and the operator's real processes beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import typing
import uuid

import pytest

from ..conftest import Eventually
from . import server
from .actors import Actors, lead_to_webhook, trusted, webhook_replicas
from .proxy import Proxy

REPOSITORY = server.REPOSITORY


@pytest.fixture(scope="session")
def api() -> typing.Iterator[server.ApiServer]:
    """An API server with our CRD, for tests that keep to a namespace of their own."""
    started = server.ApiServer()
    try:
        started.start()
        server.install(started)
        yield started
    finally:
        started.close()


@pytest.fixture
def own_api() -> typing.Iterator[server.ApiServer]:
    """An API server that a test may stop, fill and break."""
    started = server.ApiServer()
    try:
        started.start()
        server.install(started)
        yield started
    finally:
        started.close()


@pytest.fixture
def namespace(api: server.ApiServer) -> str:
    """A namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.namespace(name)
    return name


@dataclasses.dataclass
class Running:
    """One of the operator's processes."""

    process: subprocess.Popen[bytes]
    log: pathlib.Path
    health_port: int
    webhook_port: int
    directory: pathlib.Path

    def said(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(errors="replace")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        self.process.send_signal(with_signal)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Start(typing.Protocol):
    def __call__(
        self, role: str, kubeconfig: pathlib.Path, *, environment: typing.Mapping[str, str] = ...
    ) -> Running: ...


@contextlib.contextmanager
def operators() -> typing.Iterator[Start]:
    """Start processes of the operator, by role; all are ended at the end, and their logs shown if a test failed."""
    running: list[Running] = []

    def start(role: str, kubeconfig: pathlib.Path, *, environment: typing.Mapping[str, str] = {}) -> Running:
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"operator-{role}-"))
        health_port, webhook_port = server.free_ports(2)
        log = directory / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "modeldata_operator", role],
                env={
                    **os.environ,
                    "KUBECONFIG": str(kubeconfig),
                    "MODELDATA_OPERATOR_NAMESPACE": server.NAMESPACE,
                    "MODELDATA_HEALTH_PORT": str(health_port),
                    "MODELDATA_WEBHOOK_PORT": str(webhook_port),
                    "MODELDATA_CERTIFICATE_DIRECTORY": str(directory / "tls"),
                    "MODELDATA_RESYNC": "2",
                    # The storage of the tests. Without it the operator dials nothing that a DataCollection names here.
                    "MODELDATA_ALLOWED_HOSTS": "127.0.0.1:*",
                    # Tests share an operator, and what one has restarted and left unfinished must not hold up the next.
                    "MODELDATA_RESTARTS_AT_ONCE": "1000",
                    **environment,
                },
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running.append(Running(process, log, health_port, webhook_port, directory))
        return running[-1]

    try:
        yield start
    finally:
        for each in running:
            if each.process.poll() is None:
                each.stop()
            sys.stdout.write(f"--- {each.log} (exit {each.process.returncode})\n{each.said()}\n")


@pytest.fixture
def start_operator() -> typing.Iterator[Start]:
    """Start processes of the operator, by role; all are ended with the test."""
    with operators() as start:
        yield start


def healthy(port: int, *, address: str = "127.0.0.1") -> bool:
    """Whether /readyz of this port says 200: it lives, and can do its work."""
    return _says_yes(port, b"/readyz", address)


def alive(port: int) -> bool:
    """Whether /healthz of this port says 200: the kubelet lets it go on."""
    return _says_yes(port, b"/healthz", "127.0.0.1")


def _says_yes(port: int, path: bytes, address: str) -> bool:
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path)
        return b" 200 " in connection.recv(64)


@contextlib.contextmanager
def behind_a_proxy(api: server.ApiServer, start: Start, eventually: Eventually) -> typing.Iterator[Proxy]:
    """Both processes at work, with a proxy between the controller and the API server."""
    webhook_replicas(api, 1)
    with contextlib.closing(Proxy(api)) as proxy:
        webhook = start("webhook", api.kubeconfig)
        lead_to_webhook(api, webhook.webhook_port)
        controller = start("controller", proxy.kubeconfig)
        eventually(lambda: healthy(webhook.health_port) and healthy(controller.health_port))
        eventually(lambda: trusted(api))
        yield proxy


@pytest.fixture(scope="session")
def webhook_api() -> typing.Iterator[server.ApiServer]:
    """An API server that calls our webhook."""
    started = server.ApiServer()
    try:
        started.start()
        server.install(started)
        yield started
    finally:
        started.close()


@dataclasses.dataclass
class Operated:
    """An API server with the operator's two processes at work."""

    api: server.ApiServer
    start: Start
    controller: Running
    webhook: Running

    def replace_controller(self) -> None:
        """End the controller, and start one that knows nothing of what that one did."""
        self.controller.stop()
        self.controller = self.start("controller", self.api.kubeconfig)


@pytest.fixture(scope="module")
def operated(webhook_api: server.ApiServer, eventually: Eventually) -> typing.Iterator[Operated]:
    """The controller, and a webhook that the API server reaches."""
    webhook_replicas(webhook_api, 1)
    with operators() as start:
        made = Operated(
            webhook_api, start, start("controller", webhook_api.kubeconfig), start("webhook", webhook_api.kubeconfig)
        )
        lead_to_webhook(webhook_api, made.webhook.webhook_port)
        eventually(lambda: healthy(made.controller.health_port) and healthy(made.webhook.health_port))
        eventually(lambda: trusted(webhook_api))
        yield made


@pytest.fixture
def actors(operated: Operated) -> Actors:
    """A namespace of this test's own, with a storage account's Secret, and the operator at work."""
    webhook_replicas(operated.api, 1)
    made = Actors(operated.api, f"test-{uuid.uuid4().hex[:8]}")
    operated.api.namespace(made.namespace)
    made.account()
    return made
