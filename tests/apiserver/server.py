"""A real API server on a real etcd, without nodes: for what the operator says to it and hears from it.

Starts in a few seconds and needs no root, so tests may have one each, break it, and fill it. Nothing runs in it: a pod
is whatever the test writes. The programs are those of the local cluster.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import typing
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
TOKEN = "the-tests-own-token"
NAMESPACE = "modeldata-system"


class Refused(Exception):  # noqa: N818 (an answer)
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@functools.cache
def programs() -> pathlib.Path:
    """Build the programs if need be, and say where they are."""
    command = [sys.executable, str(REPOSITORY / "localcluster"), "programs"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = subprocess.run([sys.executable, str(REPOSITORY / "localcluster"), "bin"], check=True, capture_output=True)
    return pathlib.Path(found.stdout.decode().strip())


class ApiServer:
    """One API server with its etcd. ``stop`` and ``start`` keep what is stored; ``close`` removes everything."""

    def __init__(self, *, flags: typing.Sequence[str] = ()) -> None:
        self._programs = programs()
        self._flags = list(flags)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="apiserver-"))
        self._etcd_port, self._peer_port, self.port = free_ports(3)
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._context = ssl.create_default_context()
        self._prepare()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """A kubeconfig of a user who may do everything."""
        return self.directory / "kubeconfig"

    def kubeconfig_for(self, *, token: str = TOKEN, server: str = "", name: str = "kubeconfig") -> pathlib.Path:
        """Write a kubeconfig for another user, or through a proxy; return where."""
        cluster = {"server": server or self.url, "certificate-authority": str(self.directory / "tls.crt")}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bare", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": "user"}}],
            "current-context": "bare",
        }
        path = self.directory / name
        path.write_text(json.dumps(document))
        return path

    def start(self) -> None:
        """Start what does not run, and wait until it answers."""
        if self._etcd is None:
            self._etcd = self._run("etcd", self._etcd_flags())
        self._server = self._run("kube-apiserver", self._server_flags())
        deadline = time.monotonic() + 120
        while True:
            try:
                self.request("GET", "/readyz", text=True)
                self.request("GET", "/api/v1/namespaces/default")
                return
            except (OSError, Refused) as error:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    log = (self.directory / "kube-apiserver.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the API server does not answer: {error}\n{log}") from None
                time.sleep(0.1)

    def stop(self) -> None:
        """End the API server; etcd keeps what it stored."""
        if self._server is not None:
            _end(self._server)
            self._server = None

    def close(self) -> None:
        """End both, and remove their files."""
        self.stop()
        if self._etcd is not None:
            _end(self._etcd)
            self._etcd = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        """Run kubectl as the user who may do everything; return what it printed."""
        done = subprocess.run(
            # Not the user's own cache: it knows what another server of this port had.
            [
                str(self._programs / "kubectl"),
                "--kubeconfig",
                str(self.kubeconfig),
                "--cache-dir",
                str(self.directory / "cache"),
                *arguments,
            ],
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = TOKEN,
        content_type: str = "application/json",
        text: bool = False,
        headers: typing.Mapping[str, str] | None = None,
    ) -> typing.Any:
        """Send one request; return the parsed answer.

        Raises:
            Refused: with the status and message of the answer.

        """
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {token}", "Content-Type": content_type, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:
                data = answer.read()
        except urllib.error.HTTPError as error:
            content = error.read()
            try:
                message = json.loads(content).get("message", "")
            except (ValueError, AttributeError):
                message = content.decode(errors="replace")
            raise Refused(error.code, message) from None
        return data.decode() if text else json.loads(data)

    def create(self, path: str, body: object) -> typing.Any:
        """POST."""
        return self.request("POST", path, body)

    def get(self, path: str) -> typing.Any:
        """GET."""
        return self.request("GET", path)

    def merge(self, path: str, body: object) -> typing.Any:
        """PATCH, as ``kubectl patch --type merge``."""
        return self.request("PATCH", path, body, content_type="application/merge-patch+json")

    def delete(self, path: str) -> typing.Any:
        """DELETE, at once."""
        return self.request("DELETE", path, {"gracePeriodSeconds": 0})

    def namespace(self, name: str) -> None:
        """Make a namespace if it is not there."""
        with contextlib.suppress(Refused):
            self.create("/api/v1/namespaces", {"metadata": {"name": name}})

    def _prepare(self) -> None:
        certificate, key = self.directory / "tls.crt", self.directory / "tls.key"
        # In the older form: of a PKCS 8 file with an elliptic key the API server makes no public key for tokens.
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        subject = ["-subj", "/CN=bare", "-addext", "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"]
        _openssl("req", "-x509", "-new", "-key", str(key), "-out", str(certificate), "-days", "2", *subject)
        (self.directory / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self._context.load_verify_locations(certificate)
        self.kubeconfig_for()

    def _etcd_flags(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return [
            f"--data-dir={self.directory}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=error",
        ]

    def _server_flags(self) -> list[str]:
        files = self.directory
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--service-cluster-ip-range=10.210.0.0/24",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={files}/tls.crt",
            f"--tls-private-key-file={files}/tls.key",
            f"--cert-dir={files}",
            f"--token-auth-file={files}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files}/tls.crt",
            f"--service-account-signing-key-file={files}/tls.key",
            "--authorization-mode=RBAC",
            # Nobody makes the accounts that pods would run under.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            *self._flags,
        ]

    def _run(self, name: str, flags: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / name), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def install(server: ApiServer) -> None:
    """Install the CRDs, and the namespace of the operator."""
    server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds"))
    crds = ["crd/datacollections.modeldata.dev", "crd/storagegrants.modeldata.dev"]
    server.kubectl("wait", "--for=condition=Established", *crds, "--timeout=60s")
    server.namespace(NAMESPACE)


PORTS = range(10_300, 30_000)
"""Below what the kernel gives to connections, which would take a free port away before anyone listens on it; and beside
the local cluster's own ports and its Services'."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, at any address; drawn, so that tests side by side draw others."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = secrets.choice(PORTS)  # some tests seed the other randomness
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("", port)))
                found.append(port)
    return found


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
