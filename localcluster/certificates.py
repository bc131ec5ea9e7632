"""The cluster's own certificate authority, a certificate for each part of it, and the kubeconfigs that go with them."""

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from console import ProblemError
from layout import API_PORT, API_SERVICE_IP, NODE_IP, NODE_NAME, Layout, write

DAYS = "365"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Who it is for: the subject is the user (CN) and group (O) that Kubernetes authorizes."""

    name: str
    subject: str
    alternatives: str
    kubeconfig: bool = False


ALL = (
    Certificate(
        "apiserver",
        "/CN=kube-apiserver",
        "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        f"DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:{API_SERVICE_IP},IP:{NODE_IP}",
    ),
    Certificate("apiserver-kubelet-client", "/O=system:masters/CN=apiserver-kubelet-client", "DNS:apiserver"),
    Certificate("kubelet-server", f"/CN={NODE_NAME}", f"DNS:{NODE_NAME},IP:{NODE_IP}"),
    Certificate("admin", "/O=system:masters/CN=admin", "DNS:admin", kubeconfig=True),
    Certificate("controller-manager", "/CN=system:kube-controller-manager", "DNS:controller-manager", kubeconfig=True),
    Certificate("scheduler", "/CN=system:kube-scheduler", "DNS:scheduler", kubeconfig=True),
    Certificate("kubelet", f"/O=system:nodes/CN=system:node:{NODE_NAME}", "DNS:kubelet", kubeconfig=True),
    Certificate("proxy", "/CN=system:kube-proxy", "DNS:proxy", kubeconfig=True),
)


def make(layout: Layout) -> None:
    """Makes all of them, unless they are there. They come into place together: an interruption leaves none or all."""
    if layout.pki.exists():
        return
    for unfinished in layout.state.glob("pki.*"):
        shutil.rmtree(unfinished)
    directory = Path(tempfile.mkdtemp(prefix="pki.", dir=layout.state))
    _key(directory / "ca.key")
    _openssl(
        "req",
        "-x509",
        "-new",
        "-key",
        directory / "ca.key",
        "-out",
        directory / "ca.crt",
        "-days",
        DAYS,
        "-subj",
        "/CN=localcluster",
    )
    for certificate in ALL:
        _sign(directory, certificate)
        if certificate.kubeconfig:
            write(
                directory / f"{certificate.name}.conf",
                json.dumps(kubeconfig(layout, certificate.name), indent=2),
                0o600,
            )
    _key(directory / "service-accounts.key")
    _openssl("pkey", "-in", directory / "service-accounts.key", "-pubout", "-out", directory / "service-accounts.pub")
    directory.rename(layout.pki)


def kubeconfig(layout: Layout, user: str) -> dict[str, object]:
    """A kubeconfig for this user, as data (JSON is YAML)."""
    cluster = {"server": f"https://{NODE_IP}:{API_PORT}", "certificate-authority": str(layout.pki / "ca.crt")}
    files = {"client-certificate": str(layout.pki / f"{user}.crt"), "client-key": str(layout.pki / f"{user}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "localcluster", "cluster": cluster}],
        "users": [{"name": user, "user": files}],
        "contexts": [{"name": "localcluster", "context": {"cluster": "localcluster", "user": user}}],
        "current-context": "localcluster",
    }


def _sign(directory: Path, certificate: Certificate) -> None:
    key, request = directory / f"{certificate.name}.key", directory / f"{certificate.name}.csr"
    extensions = directory / "extensions"
    extensions.write_text(f"subjectAltName={certificate.alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n")
    _key(key)
    _openssl("req", "-new", "-key", key, "-out", request, "-subj", certificate.subject)
    _openssl(
        "x509", "-req", "-in", request, "-CA", directory / "ca.crt", "-CAkey", directory / "ca.key", "-CAcreateserial",
        "-days", DAYS, "-extfile", extensions, "-out", directory / f"{certificate.name}.crt",
    )  # fmt: skip
    request.unlink()
    extensions.unlink()


def _key(path: Path) -> None:
    # Elliptic curves: ten RSA keys would take longer than the rest of `up` together.
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    os.chmod(path, 0o600)  # noqa: PTH101


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProblemError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
