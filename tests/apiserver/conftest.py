"""A bare API server that the tests of this directory share, and the operator's real processes beside it."""

from __future__ import annotations

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

from . import server

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


@pytest.fixture
def start_operator() -> typing.Iterator[Start]:
    """Start a process of the operator, by role; all are ended with the test, and their logs shown if it failed."""
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
                    **environment,
                },
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running.append(Running(process, log, health_port, webhook_port, directory))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()
        sys.stdout.write(f"--- {each.log} (exit {each.process.returncode})\n{each.said()}\n")


def healthy(port: int) -> bool:
    """Whether /healthz of this port says 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)
