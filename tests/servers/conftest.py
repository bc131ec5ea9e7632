"""Real servers in processes of their own, asked over HTTP."""

from __future__ import annotations

import dataclasses
import http.client
import os
import pathlib
import signal
import subprocess
import sys
import typing

import pytest

from ..apiserver.server import free_ports
from ..conftest import Eventually, poll
from ..delivery.conftest import Pod, pod

__all__ = ["Pod", "pod"]

APPLICATIONS = pathlib.Path(__file__).parent
# A PID namespace of its own, as a container has.
FIRST_PROCESS = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@dataclasses.dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    directory: pathlib.Path
    """Where the application finds what a test gives it, and says how far it is."""
    first: bool

    def ask(self, path: str, *, body: str | None = None, **headers: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        try:
            connection.request("GET" if body is None else "POST", path, body, named)
            answer = connection.getresponse()
            content = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, content
        return content

    def wait_for(self, name: str) -> None:
        """Wait until the application says how far it is."""
        poll((self.directory / name).exists)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the server's first process, as a kubelet does; return how it ended."""
        os.kill(self.pid, number)
        return self.process.wait(90)

    def kill(self) -> None:
        """End all of its processes at once, as a container does that is out of memory."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(90)

    @property
    def pid(self) -> int:
        if not self.first:
            return self.process.pid
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text())


class Serve(typing.Protocol):
    def __call__(
        self,
        *command: str,
        first: bool = False,
        python: str | pathlib.Path = sys.executable,
        environment: typing.Mapping[str, str] = ...,
    ) -> Server: ...


@pytest.fixture
def serve(pod: Pod, eventually: Eventually, tmp_path: pathlib.Path) -> typing.Iterator[Serve]:
    """Start a server in the pod, as ``python -m <command>``; ``{port}`` in it is the port it listens on.

    ``first``: it is the first process of a container. ``environment``: beside what a pod has.
    """
    started: list[Server] = []
    nothing: typing.Mapping[str, str] = {}

    def start(
        *command: str,
        first: bool = False,
        python: str | pathlib.Path = sys.executable,
        environment: typing.Mapping[str, str] = nothing,
    ) -> Server:
        (port,) = free_ports(1)
        process = subprocess.Popen(
            [*(FIRST_PROCESS if first else ()), python, "-m", *(word.format(port=port) for word in command)],
            cwd=APPLICATIONS,
            env=pod.environment(SERVER_DIRECTORY=str(tmp_path), **environment),
            start_new_session=True,
        )
        server = Server(process, port, tmp_path, first)
        started.append(server)

        def answers() -> bool:
            if process.poll() is not None:
                pytest.fail(f"the server ended with {process.returncode}")
            return bool(server.ask("/"))

        eventually(answers)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()
