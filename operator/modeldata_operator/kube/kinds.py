"""The kinds of objects that are watched, and what is kept of each."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from ..api import grants, names, namespaces, resources, restartables, workloads
from ..api.grants import StorageGrant
from ..api.namespaces import Namespace
from ..api.resources import DataCollection, UnreadableCollection
from ..api.restartables import Deployment, Restartable
from ..api.workloads import Pod
from .store import R


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """What is watched, and what is kept of it. ``parse`` raises ValueError for an object that makes no sense."""

    name: str
    root: str
    parse: Callable[[Mapping[str, Any]], R]
    field_selector: str = ""
    namespaced: bool = True
    optional: bool = False
    """The operator works without it: where the kind does not exist, or must not be listed, there is none of it."""

    def path(self, namespace: str) -> str:
        """Say where the objects are listed; an empty namespace means all."""
        return f"{self.root}/namespaces/{namespace}/{self.name}" if namespace else f"{self.root}/{self.name}"


def collections(cluster: str = resources.DEFAULT_CLUSTER) -> Kind[DataCollection | UnreadableCollection]:
    """Watch DataCollections of a cluster of this name."""
    parse = functools.partial(resources.collection, cluster=cluster)
    return Kind(names.PLURAL, f"/apis/{names.API_VERSION}", parse)


DEPLOYMENTS: Kind[Deployment] = Kind("deployments", "/apis/apps/v1", restartables.deployment)
# What else can be restarted. Argo Rollouts are there where their CRD is; the rights on all of them, but where
# Roles are of an older version.
OTHERS: Mapping[str, Kind[Restartable]] = {
    restartables.STATEFUL_SET: Kind("statefulsets", "/apis/apps/v1", restartables.stateful_set, optional=True),
    restartables.DAEMON_SET: Kind("daemonsets", "/apis/apps/v1", restartables.daemon_set, optional=True),
    restartables.ROLLOUT: Kind("rollouts", "/apis/argoproj.io/v1alpha1", restartables.rollout, optional=True),
}
# A finished pod collects nothing; clusters keep thousands of them.
PODS: Kind[Pod] = Kind("pods", "/api/v1", workloads.pod, "status.phase!=Succeeded,status.phase!=Failed")
NAMESPACES: Kind[Namespace] = Kind("namespaces", "/api/v1", namespaces.namespace, namespaced=False)
GRANTS: Kind[StorageGrant] = Kind(names.GRANT_PLURAL, f"/apis/{names.API_VERSION}", grants.grant, namespaced=False)
