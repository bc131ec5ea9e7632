"""An Azurite that is stopped and started again, with what it holds."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import time
import typing

from ..apiserver.server import free_ports

ACCOUNT = "devstoreaccount1"


class Server:
    """A real Azurite on one loopback port."""

    def __init__(self, program: pathlib.Path, directory: pathlib.Path, *, flags: typing.Sequence[str] = ()) -> None:
        (self._port,) = free_ports(1)
        self._directory = directory
        self._command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(self._port)]
        self._command += ["--location", str(directory), "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self._command += flags
        self._scheme = "https" if "--cert" in flags else "http"
        self.start()

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._port}/{ACCOUNT}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self._directory, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        # By SIGTERM: by SIGKILL it forgets what it said it had (measured), and the client would get the blame.
        self._process.terminate()
        self._process.wait(60)
