"""The operator brought into a cluster, and taken out again."""

from __future__ import annotations

import pathlib
import tempfile
import typing

from ..docs.pages import REPOSITORY, blocks
from .shell import Shell

SYSTEM = "modeldata-system"
CLUSTER_WIDE = "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingadmissionpolicies"
*_, PLAIN_UNINSTALL = blocks("sh", "localcluster", page="docs/install.md")


class Installation:
    """The operator that tests share: there, or not. Only what changes that takes time."""

    def __init__(self, cluster: typing.Any) -> None:
        self._cluster = cluster
        self._there: bool | None = None

    def bring(self) -> None:
        """Have it there."""
        if not self._there:
            install(self._cluster, REPOSITORY)
        self._there = True

    def take_out(self) -> None:
        """Have it gone."""
        if self._there is None:
            self.bring()  # a cluster that was up already may have it
        if self._there:
            uninstall_plainly(self._cluster)
        self._there = False


def install(cluster: typing.Any, root: pathlib.Path) -> None:
    """Install the operator of a checkout; its image has been brought into the cluster."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(root / "crds"))
    cluster.kubectl("apply", "-f", str(root / "manifests/install.yaml"))
    # Looking at the unwatched Secrets more often than every 30 s makes their tests shorter, and changes nothing else.
    # And the storage of the tests is no host of Azure's.
    settings = ("MODELDATA_RESYNC=5", "MODELDATA_ALLOWED_HOSTS=azurite.storage.svc:10000")
    cluster.kubectl("-n", "modeldata-system", "set", "env", "deploy/modeldata-operator-controller", *settings)
    for name in ("modeldata-operator-webhook", "modeldata-operator-controller"):
        # A cluster that was up already may run an older image of the same tag.
        cluster.kubectl("-n", "modeldata-system", "rollout", "restart", f"deploy/{name}")
        cluster.kubectl("-n", "modeldata-system", "rollout", "status", f"deploy/{name}", "--timeout=300s")


def uninstall_plainly(cluster: typing.Any) -> None:
    """Do what docs/install.md says without Helm."""
    with tempfile.TemporaryDirectory() as home:
        Shell(cluster, pathlib.Path(home))(PLAIN_UNINSTALL.text)
    assert left(cluster) == []


def left(cluster: typing.Any) -> list[str]:
    """What of the operator is in the cluster, but for the CRD."""
    wide = cluster.kubectl("get", CLUSTER_WIDE, "-l", "app.kubernetes.io/part-of=modeldata", "-o", "name")
    kinds = "deployments,services,secrets,serviceaccounts,roles,rolebindings,jobs,networkpolicies,poddisruptionbudgets"
    namespaced = cluster.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/part-of=modeldata", "-o", "name")
    managed = "app.kubernetes.io/managed-by=modeldata-operator"
    return (wide + namespaced + cluster.kubectl("get", "secrets", "-A", "-l", managed, "-o", "name")).split()
