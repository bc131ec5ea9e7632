"""The few calls to the API server, each named for what it does. Everything above works on records, not on requests."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from ..api import lease, names, observed, restartables
from ..api.keys import ObjectKey
from ..api.lease import Lease
from ..api.owners import RestartMark, WorkloadName
from . import connection
from .connection import APPLY, MERGE, STRATEGIC, Connection
from .failures import ApiError
from .fencing import Fence
from .pacing import Urgency


async def connect() -> "Cluster":
    """Return the API server that the pod's own account, else the kubeconfig, leads to."""
    await connection.load_configuration()
    return Cluster(Connection(ApiClient()))


class Cluster:
    """The API server."""

    def __init__(self, api: Connection) -> None:
        self._api = api

    def behind(self, fence: Fence) -> "Cluster":
        """Return the same API server, to which writes go only while the fence is open."""
        return Cluster(self._api.behind(fence))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def has_custom_resource(self, plural: str) -> bool:
        """Tell whether a CRD of ours is established."""
        try:
            answer = await self._api.call("GET", f"/apis/{names.API_VERSION}")
        except ApiError as error:
            if error.absent:
                return False
            raise
        return any(resource.get("name") == plural for resource in answer.get("resources", ()))

    async def may_list_collections(self, namespace: str) -> bool:
        """Tell whether this account may list a namespace's DataCollections."""
        try:
            await self._api.call("GET", f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}")
        except ApiError as error:
            if error.status == 403:
                return False
            if not error.absent:  # the CRD is waited for later
                raise
        return True

    async def get_list(self, path: str, query: Sequence[tuple[str, str]], *, seconds: float) -> dict[str, Any]:
        """Read a page of a list."""
        return await self._api.call("GET", path, query=query, seconds=seconds)

    def stream(
        self, path: str, query: Sequence[tuple[str, str]], *, limits: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.StreamReader]:
        """Open a watch; its connection is closed with it."""
        return self._api.stream(path, query, limits=limits)

    async def get_pod(self, pod: ObjectKey) -> dict[str, Any] | None:
        """Read a pod."""
        return await self._api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")

    async def set_pod_settings(
        self,
        pod: ObjectKey,
        uid: str,
        settings: str,
        *,
        resource_version: str,
        collection: ObjectKey,
        urgency: Urgency,
        wanted: Callable[[], bool],
    ) -> str | None:
        """Write the settings annotation of exactly this pod, and return the pod's resource version then.

        None if it is gone or another of the same name. The pods of one collection take turns with those of the others.
        What is not wanted any more when its turn comes is not written: None as well.

        Of a pod that is not any more as it was read the present version is read, once. So a request that the API
        server takes late, from a process that does not lead any more, is never written over newer settings.
        """
        # A uid in a patch is a precondition: a StatefulSet's next pod has the same name and other settings.
        metadata = {"uid": uid, "annotations": {names.SETTINGS_ANNOTATION: settings}}
        path, flow = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", str(collection)
        body = {"metadata": {**metadata, "resourceVersion": resource_version}}
        version = await self._api.merge(path, body, flow=flow, urgency=urgency, wanted=wanted)
        if version is not None or not wanted():  # thousands may be left of a push that was overtaken
            return version
        present = await self.get_pod(pod)
        if present is None or present["metadata"]["uid"] != uid:
            return None
        body = {"metadata": {**metadata, "resourceVersion": present["metadata"]["resourceVersion"]}}
        del present  # thousands may wait for their turn
        return await self._api.merge(path, body, flow=flow, urgency=urgency, wanted=wanted)

    async def get_workload(self, workload: WorkloadName) -> dict[str, Any] | None:
        """Read a workload that can be restarted."""
        return await self._api.get(_workload_path(workload))

    async def restart(self, workload: WorkloadName, uid: str, mark: RestartMark, *, resource_version: str) -> bool:
        """Roll a workload by one annotation of its template; False if it is gone, or has changed meanwhile.

        An Argo Rollout is restarted by its own field, which leaves its template and its strategy's steps alone.
        """
        metadata: dict[str, Any] = {"uid": uid, "resourceVersion": resource_version}
        annotations = {names.RESTARTED_FOR_ANNOTATION: str(mark)}
        if workload.kind == restartables.ROLLOUT:
            spec: dict[str, Any] = {"restartAt": observed.timestamp(datetime.fromtimestamp(mark.at, UTC))}
            metadata["annotations"] = annotations
        else:
            spec = {"template": {"metadata": {"annotations": annotations}}}
        return await self._api.merge(_workload_path(workload), {"metadata": metadata, "spec": spec}) is not None

    async def rehearse_pod(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a pod that is not made; returns it as it would be, after all webhooks and policies."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
        return await self._api.call("POST", path, body=pod, query=[("dryRun", "All")], manage=True)

    async def evict_pod(self, pod: ObjectKey, uid: str, *, resource_version: str) -> bool:
        """Evict exactly this pod; False if it is gone, or has changed meanwhile.

        Status 429: a PodDisruptionBudget does not let it go yet.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": uid, "resourceVersion": resource_version}},
        }
        try:
            path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
            # What it says of waiting is about this pod and its budget.
            await self._api.call("POST", path, body=body, heeding=False)
        except ApiError as error:
            if error.absent or error.conflict:
                return False
            raise
        return True

    async def get_deployment(self, deployment: ObjectKey) -> dict[str, Any] | None:
        """Read a Deployment."""
        return await self.get_workload(WorkloadName(restartables.DEPLOYMENT, deployment))

    async def delete_deployment(self, deployment: ObjectKey) -> None:
        """Delete a Deployment, which is gone when its last pod is; or it is gone already."""
        path = f"/apis/apps/v1/namespaces/{deployment.namespace}/deployments/{deployment.name}"
        await self._api.delete(path, {"propagationPolicy": "Foreground"})

    async def set_status(
        self, collection: ObjectKey, uid: str, status: Mapping[str, Any], *, resource_version: str
    ) -> bool:
        """Write a DataCollection's status; False if it is gone, or has changed meanwhile."""
        path = f"/apis/{names.API_VERSION}/namespaces/{collection.namespace}/{names.PLURAL}/{collection.name}/status"
        body = {"metadata": {"uid": uid, "resourceVersion": resource_version}, "status": status}
        return await self._api.merge(path, body, flow=str(collection)) is not None

    async def get_secret(self, secret: ObjectKey) -> dict[str, Any] | None:
        """Read a Secret."""
        return await self._api.get(_secret_path(secret))

    async def create_secret(self, secret: Mapping[str, Any]) -> None:
        """Create a Secret; a conflict means that somebody's is there."""
        path = f"/api/v1/namespaces/{secret['metadata']['namespace']}/secrets"
        await self._api.call("POST", path, body=secret, manage=True)

    async def apply_secret(self, secret: Mapping[str, Any]) -> None:
        """Apply a Secret that was read before; its resourceVersion keeps a changed one from being overwritten."""
        metadata = secret["metadata"]
        path = _secret_path(ObjectKey(metadata["namespace"], metadata["name"]))
        await self._api.call("PATCH", path, body=secret, content_type=APPLY, manage=True, force=True)

    async def merge_secret(self, secret: Mapping[str, Any]) -> None:
        """Patch a Secret that was read before; its resourceVersion keeps a changed one from being overwritten."""
        metadata = secret["metadata"]
        path = _secret_path(ObjectKey(metadata["namespace"], metadata["name"]))
        await self._api.call("PATCH", path, body=secret, content_type=MERGE, manage=True)

    async def delete_secret(self, secret: ObjectKey, resource_version: str) -> None:
        """Delete a Secret that was read before."""
        await self._api.delete(_secret_path(secret), {"preconditions": {"resourceVersion": resource_version}})

    async def list_jobs(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """List the Jobs of a namespace with these labels."""
        return await self._list(f"/apis/batch/v1/namespaces/{namespace}/jobs", selector)

    async def list_pods_of(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """List the pods of a namespace with these labels, those that have ended, too."""
        return await self._list(f"/api/v1/namespaces/{namespace}/pods", selector)

    async def _list(self, path: str, selector: str) -> list[dict[str, Any]]:
        # Without a version: never older than the moment it was asked for.
        answer = await self._api.call("GET", path, query=[("labelSelector", selector)])
        return list(answer.get("items") or ())

    async def create_job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Job; a conflict means that one of its name is there."""
        path = f"/apis/batch/v1/namespaces/{job['metadata']['namespace']}/jobs"
        return await self._api.call("POST", path, body=job, manage=True)

    async def delete_job(self, job: ObjectKey, uid: str, *, with_pods: bool) -> None:
        """Delete exactly this Job; or it is gone already.

        With its pods: it is gone when the last of them is. Else they are collected afterwards.
        """
        path = f"/apis/batch/v1/namespaces/{job.namespace}/jobs/{job.name}"
        policy = "Foreground" if with_pods else "Background"
        await self._api.delete(path, {"propagationPolicy": policy, "preconditions": {"uid": uid}})

    async def get_lease(self, key: ObjectKey, *, seconds: float) -> Lease | None:
        """Read a Lease."""
        try:
            return lease.lease(await self._api.call("GET", _lease_path(key), seconds=seconds))
        except ApiError as error:
            if error.absent:
                return None
            raise

    async def create_lease(self, key: ObjectKey, spec: Mapping[str, Any], *, seconds: float) -> Lease:
        """Create a Lease; a conflict means that somebody else was faster."""
        body = {"metadata": {"name": key.name, "namespace": key.namespace}, "spec": spec}
        path = _lease_path(key).rpartition("/")[0]
        return lease.lease(await self._api.call("POST", path, body=body, manage=True, seconds=seconds, paced=False))

    async def change_lease(
        self, key: ObjectKey, spec: Mapping[str, Any], *, resource_version: str, seconds: float
    ) -> Lease:
        """Change a Lease that was read before; a conflict means that somebody else was faster."""
        body = {"metadata": {"resourceVersion": resource_version}, "spec": spec}
        answer = await self._api.call(
            "PATCH", _lease_path(key), body=body, content_type=MERGE, manage=True, seconds=seconds, paced=False
        )
        return lease.lease(answer)

    async def delete_lease(self, key: ObjectKey) -> None:
        """Delete a Lease; or it is gone already."""
        await self._api.delete(_lease_path(key), {})

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Post an Event."""
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        await self._api.call("POST", path, body=event, urgency=Urgency.RENEWAL)

    async def get_webhook_configuration(self, name: str) -> dict[str, Any] | None:
        """Read a MutatingWebhookConfiguration."""
        return await self._api.get(f"{_WEBHOOKS}/{name}")

    async def set_webhook_ca(self, name: str, bundle: str, *, resource_version: str) -> None:
        """Write the caBundle of our webhook, which was read before, and nothing else of it."""
        body = {
            "metadata": {"resourceVersion": resource_version},
            "webhooks": [{"name": names.WEBHOOK_ENTRY, "clientConfig": {"caBundle": bundle}}],
        }
        await self._api.call("PATCH", f"{_WEBHOOKS}/{name}", body=body, content_type=STRATEGIC, manage=True)

    async def delete_webhook_configuration(self, name: str) -> None:
        """Delete a MutatingWebhookConfiguration; or it is gone already."""
        await self._api.delete(f"{_WEBHOOKS}/{name}", {})


_PLURALS = {
    restartables.DEPLOYMENT: "deployments",
    restartables.STATEFUL_SET: "statefulsets",
    restartables.DAEMON_SET: "daemonsets",
    restartables.ROLLOUT: "rollouts",
}
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def _workload_path(workload: WorkloadName) -> str:
    root = f"/apis/{restartables.API_VERSIONS[workload.kind]}/namespaces/{workload.key.namespace}"
    return f"{root}/{_PLURALS[workload.kind]}/{workload.key.name}"


def _secret_path(secret: ObjectKey) -> str:
    return f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}"


def _lease_path(key: ObjectKey) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{key.namespace}/leases/{key.name}"
