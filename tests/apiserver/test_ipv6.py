"""Where a cluster has IPv6 alone, or both, the operator is reached and reaches the API server, and helm test works."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import typing

import pytest

from ..conftest import Eventually
from . import actors, server
from .conftest import Start, healthy

SCRIPT = server.REPOSITORY / "manifests/chart/files/see_a_pod_injected.py"
ADDRESSES = ["127.0.0.1", "::1"]

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this kernel has no IPv6")


@pytest.fixture(scope="module")
def dual() -> typing.Iterator[server.ApiServer]:
    """An API server at addresses of both families."""
    started = server.ApiServer(flags=["--bind-address=::"])
    try:
        started.start()
        server.install(started)
        yield started
    finally:
        started.close()


def see_a_pod_injected(api: server.ApiServer, address: str, directory: pathlib.Path) -> str:
    """What the pod of helm test does, with the account and the API server's address that a pod has."""
    (directory / "token").write_text(server.TOKEN)
    (directory / "ca.crt").write_bytes((api.directory / "tls.crt").read_bytes())
    source = SCRIPT.read_text()
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert account in source
    where = {"KUBERNETES_SERVICE_HOST": address, "KUBERNETES_SERVICE_PORT": str(api.port), "TEST_NAMESPACE": "models"}
    done = subprocess.run(
        [sys.executable, "-c", source.replace(account, str(directory))],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_over_ipv6_alone_pods_are_injected(
    dual: server.ApiServer, start_operator: Start, eventually: Eventually, tmp_path: pathlib.Path
) -> None:
    kubeconfig = dual.kubeconfig_for(server=f"https://[::1]:{dual.port}", name="kubeconfig-ipv6")
    controller, webhook = (start_operator(role, kubeconfig) for role in ("controller", "webhook"))
    actors.lead_to_webhook(dual, webhook.webhook_port)
    for address in ADDRESSES:
        for each in (controller, webhook):
            eventually(lambda each=each, address=address: healthy(each.health_port, address=address))  # type: ignore[misc]
    eventually(lambda: actors.trusted(dual))
    dual.namespace("models")
    for address in ADDRESSES:
        assert "is injected" in see_a_pod_injected(dual, address, tmp_path)
