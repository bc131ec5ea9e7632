"""The operator's processes under their own accounts, what they take, and what they ask of the API server."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing
import urllib.request

import server

TICKS = os.sysconf("SC_CLK_TCK")
WEBHOOK_CONFIGURATION = "modeldata-operator"
ACCOUNT = "system:serviceaccount:modeldata-system:modeldata-operator-"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "users": [f"{ACCOUNT}controller", f"{ACCOUNT}webhook"]},
        {"level": "None"},
    ],
}


class Operator:
    """One running process of the operator."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: pathlib.Path, health_port: int, webhook_port: int
    ) -> None:
        self.started = time.monotonic()
        self.log = log
        self.webhook_port = webhook_port
        self._process = process
        self._health_port = health_port

    @property
    def peak_mib(self) -> float:
        """The most memory it ever had resident."""
        for line in self._file("status").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"ended: {self.log.read_text()[-2000:]}")

    @property
    def processor_seconds(self) -> float:
        fields = self._file("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            if self._process.poll() is not None:
                raise RuntimeError(f"ended: {self.log.read_text()[-2000:]}") from None
            return False

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _file(self, name: str) -> str:
        return pathlib.Path(f"/proc/{self._process.pid}/{name}").read_text()


class AuditedServer(server.ApiServer):
    """An API server that writes down what the operator asks of it, under the accounts and rights it has elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        policy, self._log = self.directory / "audit-policy.json", self.directory / "audit.log"
        policy.write_text(json.dumps(AUDIT_POLICY))
        self._flags += [f"--audit-policy-file={policy}", f"--audit-log-path={self._log}"]

    def start(self) -> None:
        super().start()
        server.install(self)
        manifest = server.REPOSITORY / "manifests/install.yaml"
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest))
        # It points to a Service, and nothing routes here.
        self.kubectl("delete", "mutatingwebhookconfiguration", WEBHOOK_CONFIGURATION)

    def asked(self) -> list[str]:
        """List the verb and the resource of each request of the operator that has ended so far."""
        if not self._log.exists():
            return []
        events = map(json.loads, self._log.read_text().splitlines())
        return [f"{each['verb']} {each.get('objectRef', {}).get('resource', each['requestURI'])}" for each in events]


@contextlib.contextmanager
def operator(api: server.ApiServer, role: str) -> typing.Iterator[Operator]:
    """Run a process as its account."""
    name = f"modeldata-operator-{role}"
    path = f"/api/v1/namespaces/{server.NAMESPACE}/serviceaccounts/{name}/token"
    token = api.create(path, {"spec": {"expirationSeconds": 36000}})["status"]["token"]
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{role}-") as directory:
        log = pathlib.Path(directory) / "log"
        health_port, webhook_port = server.free_ports(2)
        environment = {
            # Not this program's own path: the tests' modules on it have the names of others.
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "KUBECONFIG": str(api.kubeconfig_for(token=token, name=f"kubeconfig-{role}")),
            "MODELDATA_OPERATOR_NAMESPACE": server.NAMESPACE,
            "MODELDATA_HEALTH_PORT": str(health_port),
            "MODELDATA_WEBHOOK_PORT": str(webhook_port),
            "MODELDATA_CERTIFICATE_DIRECTORY": f"{directory}/tls",
            # Where the collections' storage is said to be: looking for it is part of the work.
            "MODELDATA_ALLOWED_HOSTS": "127.0.0.1:9",
        }
        command = [sys.executable, "-m", "modeldata_operator", role]
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
        running = Operator(process, log, health_port=health_port, webhook_port=webhook_port)
        try:
            yield running
        finally:
            running.stop()


def until(look: typing.Callable[[], bool], *, seconds: float = 300.0) -> float:
    """Wait for something; return the seconds it took."""
    began = time.monotonic()
    while not look():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"not within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - began
