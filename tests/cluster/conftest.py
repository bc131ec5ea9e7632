"""The real cluster that these tests share, with the operator and Azurite in it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import typing
import uuid

import pytest
from azure.storage.blob import ContainerClient

from .installation import Installation

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
# Azurite's well-known account, the same in every installation of it: no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def localcluster(*arguments: str, root: pathlib.Path = REPOSITORY) -> str:
    done = subprocess.run(
        [sys.executable, str(root / "localcluster"), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(
            f"localcluster {shlex.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}", pytrace=False
        )
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Cluster:
    kubeconfig: pathlib.Path
    programs: pathlib.Path

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        """Run kubectl; return what it printed (with ``check=False`` its complaints too)."""
        done = subprocess.run(
            [str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr


@pytest.fixture(scope="session")
def cluster() -> typing.Iterator[Cluster]:
    """The cluster. Taken down at the end, unless MODELDATA_KEEP_CLUSTER is set (for whoever writes tests)."""
    if os.geteuid() != 0:
        pytest.fail("the cluster tests need root (containerd, network); make test-unit is the part that doesn't", False)
    localcluster("up")
    try:
        localcluster("images", "python", "azurite", "operator", "analytics", "diabetes")
        yield Cluster(pathlib.Path(localcluster("kubeconfig").strip()), pathlib.Path(localcluster("bin").strip()))
    finally:
        if not os.environ.get("MODELDATA_KEEP_CLUSTER"):
            localcluster("down")


@pytest.fixture(scope="session")
def serving_image(cluster: Cluster) -> None:
    """The image of manifests/samples' model servers."""
    localcluster("images", "serving")


@pytest.fixture(scope="session")
def installation(cluster: Cluster) -> Installation:
    """Whether the operator that tests share is there."""
    return Installation(cluster)


@pytest.fixture(scope="module")
def operator(installation: Installation) -> None:
    """The operator, installed as a user would, and ready."""
    installation.bring()


@dataclasses.dataclass(frozen=True)
class Azurite:
    endpoint: str
    outside: str
    """The same, as this machine reaches it."""
    account_name: str = ACCOUNT
    account_key: str = KEY
    trusted: pathlib.Path | None = None
    """Whose certificates are believed, where it is https."""

    def container(self, name: str) -> ContainerClient:
        account = {"account_name": self.account_name, "account_key": self.account_key}
        verified = {"connection_verify": str(self.trusted)} if self.trusted else {}
        return ContainerClient(self.outside, name, credential=account, **verified)


@pytest.fixture(scope="session")
def azurite(cluster: Cluster) -> Azurite:
    cluster.kubectl("apply", "-f", str(REPOSITORY / "examples/azurite.yaml"))
    cluster.kubectl("-n", "storage", "rollout", "status", "deploy/azurite", "--timeout=120s")
    address = cluster.kubectl("-n", "storage", "get", "service", "azurite", "-o", "jsonpath={.spec.clusterIP}")
    return Azurite(f"http://azurite.storage.svc:10000/{ACCOUNT}", f"http://{address}:10000/{ACCOUNT}")


@contextlib.contextmanager
def namespace_of_its_own(cluster: Cluster, name: str = "") -> typing.Iterator[str]:
    """A namespace, new unless it is named, as strict as a careful cluster's."""
    name = name or f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(cluster: Cluster) -> typing.Iterator[str]:
    """A namespace of this test's own."""
    with namespace_of_its_own(cluster) as name:
        yield name
