"""The few calls to the API server, each named for what it does. Everything above works on records, not on requests."""

import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient

from ..api import lease, names, observed, restartables
from ..api.keys import ObjectKey
from ..api.lease import Lease
from ..api.owners import RestartMark, WorkloadName
from ..observe import metrics
from . import fencing
from .fencing import Fence, LeaseOver
from .pacing import HeldError, Pace, Urgency

TIMEOUT = 10.0
"""Seconds for one call: longer than a healthy API server takes, short enough that a dead one stops no worker."""

_JSON = "application/json"
# Of a patched pod only its metadata comes back: a tenth of the bytes, and the API server encodes less.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused a call."""

    def __init__(self, status: int, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.retry_after = retry_after
        """Seconds that the API server asked to be left alone for."""

    @property
    def absent(self) -> bool:
        """Tell whether the object, or its namespace, is not there."""
        return self.status == 404

    @property
    def refused(self) -> bool:
        """Tell whether somebody does not let this be done: a right is missing, a policy or a webhook says no."""
        return self.status in (400, 403, 422)

    @property
    def judged(self) -> bool:
        """Tell whether somebody says no: a right is missing, a policy, a quota, a webhook does, or a webhook fails.

        What is not: an object that is gone or changed, and an API server without time, which passes by itself.
        """
        return 400 <= self.status <= 500 and self.status not in (401, 404, 408, 409, 410, 429)

    @property
    def conflict(self) -> bool:
        """Tell whether somebody else was faster; the next reconcile sees what they did."""
        return self.status == 409


class OvertakenError(Exception):
    """What was to be written is not wanted any more."""


FAILURES = (ApiError, aiohttp.ClientError, TimeoutError)
"""What an API server that is away, or says no, raises."""


def said(error: Exception) -> str:
    """Put a failure into words for people: the API server's own, where it said any."""
    if isinstance(error, ApiError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the API server did not answer in time"
    return f"the API server can't be reached: {error}"


async def load_configuration() -> None:
    """Find the API server: the pod's own account, else the kubeconfig."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await config.load_kube_config()  # type: ignore[no-untyped-call]


class Cluster:
    """The API server."""

    def __init__(self, client: ApiClient, *, fence: Fence | None = None, pace: Pace | None = None) -> None:
        """Talk to the API server by a client, which is closed with this.

        Args:
            client: the connections.
            fence: what every write has to pass.
            pace: who gives writes their turns.

        """
        self._client = client
        self._fence = fence
        self._pace = pace or Pace()
        # Looking for proxies and passwords in the environment takes two threads' help in each request, a tenth of it.
        client.configuration.client_session_kwargs = {"trust_env": bool(urllib.request.getproxies())}
        # Each watch keeps a connection: with three for each of some dozen namespaces, a hundred connections would be
        # taken, and no request would ever be sent again.
        client.rest_client.maxsize = 0
        client.configuration.trace_configs = [_TRACE]

    def behind(self, fence: Fence) -> "Cluster":
        """Return the same API server, to which writes go only while the fence is open."""
        return Cluster(self._client, fence=fence, pace=self._pace)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def has_custom_resource(self, plural: str) -> bool:
        """Tell whether a CRD of ours is established."""
        try:
            answer = await self._call("GET", f"/apis/{names.API_VERSION}")
        except ApiError as error:
            if error.absent:
                return False
            raise
        return any(resource.get("name") == plural for resource in answer.get("resources", ()))

    async def may_list_collections(self, namespace: str) -> bool:
        """Tell whether this account may list a namespace's DataCollections."""
        try:
            await self._call("GET", f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}")
        except ApiError as error:
            if error.status == 403:
                return False
            if not error.absent:  # the CRD is waited for later
                raise
        return True

    async def get_list(self, path: str, query: Sequence[tuple[str, str]], *, seconds: float) -> dict[str, Any]:
        """Read a page of a list."""
        return await self._call("GET", path, query=query, seconds=seconds)

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: Sequence[tuple[str, str]], *, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a watch; its connection is closed with it."""
        response = await self._send("GET", path, query=query, limits=limits)
        try:
            if response.status != 200:
                raise _refusal(response, _parsed(await response.read()))
            yield response.content
        finally:
            response.close()

    async def get_pod(self, pod: ObjectKey) -> dict[str, Any] | None:
        """Read a pod."""
        return await self._get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")

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
    ) -> bool:
        """Write the settings annotation of exactly this pod; False if it is gone or another of the same name.

        The pods of one collection take turns with those of the others. What is not wanted any more when its turn
        comes is not written: False as well.

        Of a pod that is not any more as it was read the present version is read, once. So a request that the API
        server takes late, from a process that does not lead any more, is never written over newer settings.
        """
        # A uid in a patch is a precondition: a StatefulSet's next pod has the same name and other settings.
        metadata = {"uid": uid, "annotations": {names.SETTINGS_ANNOTATION: settings}}
        path, flow = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}", str(collection)
        if resource_version:
            body = {"metadata": {**metadata, "resourceVersion": resource_version}}
            if await self._merge(path, body, flow=flow, urgency=urgency, wanted=wanted):
                return True
        if not wanted():
            return False  # thousands may be left of a push that was overtaken
        present = await self.get_pod(pod)
        if present is None or present["metadata"]["uid"] != uid:
            return False
        body = {"metadata": {**metadata, "resourceVersion": present["metadata"]["resourceVersion"]}}
        return await self._merge(path, body, flow=flow, urgency=urgency, wanted=wanted)

    async def get_workload(self, workload: WorkloadName) -> dict[str, Any] | None:
        """Read a workload that can be restarted."""
        return await self._get(_workload_path(workload))

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
        return await self._merge(_workload_path(workload), {"metadata": metadata, "spec": spec})

    async def rehearse_pod(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a pod that is not made; returns it as it would be, after all webhooks and policies."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
        return await self._call("POST", path, body=pod, query=[("dryRun", "All")], manage=True)

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
            await self._call("POST", path, body=body, heeding=False)
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
        await self._delete(path, {"propagationPolicy": "Foreground"})

    async def set_status(
        self, collection: ObjectKey, uid: str, status: Mapping[str, Any], *, resource_version: str
    ) -> bool:
        """Write a DataCollection's status; False if it is gone, or has changed meanwhile."""
        path = f"/apis/{names.API_VERSION}/namespaces/{collection.namespace}/{names.PLURAL}/{collection.name}/status"
        body = {"metadata": {"uid": uid, "resourceVersion": resource_version}, "status": status}
        return await self._merge(path, body, flow=str(collection))

    async def get_secret(self, secret: ObjectKey) -> dict[str, Any] | None:
        """Read a Secret."""
        return await self._get(_secret_path(secret))

    async def create_secret(self, secret: Mapping[str, Any]) -> None:
        """Create a Secret; a conflict means that somebody's is there."""
        path = f"/api/v1/namespaces/{secret['metadata']['namespace']}/secrets"
        await self._call("POST", path, body=secret, manage=True)

    async def apply_secret(self, secret: Mapping[str, Any]) -> None:
        """Apply a Secret that was read before; its resourceVersion keeps a changed one from being overwritten."""
        metadata = secret["metadata"]
        path = _secret_path(ObjectKey(metadata["namespace"], metadata["name"]))
        await self._call("PATCH", path, body=secret, content_type=_APPLY, manage=True, force=True)

    async def merge_secret(self, secret: Mapping[str, Any]) -> None:
        """Patch a Secret that was read before; its resourceVersion keeps a changed one from being overwritten."""
        metadata = secret["metadata"]
        path = _secret_path(ObjectKey(metadata["namespace"], metadata["name"]))
        await self._call("PATCH", path, body=secret, content_type=_MERGE, manage=True)

    async def delete_secret(self, secret: ObjectKey, resource_version: str) -> None:
        """Delete a Secret that was read before."""
        await self._delete(_secret_path(secret), {"preconditions": {"resourceVersion": resource_version}})

    async def get_lease(self, key: ObjectKey, *, seconds: float) -> Lease | None:
        """Read a Lease."""
        try:
            return lease.lease(await self._call("GET", _lease_path(key), seconds=seconds))
        except ApiError as error:
            if error.absent:
                return None
            raise

    async def create_lease(self, key: ObjectKey, spec: Mapping[str, Any], *, seconds: float) -> Lease:
        """Create a Lease; a conflict means that somebody else was faster."""
        body = {"metadata": {"name": key.name, "namespace": key.namespace}, "spec": spec}
        path = _lease_path(key).rpartition("/")[0]
        return lease.lease(await self._call("POST", path, body=body, manage=True, seconds=seconds, paced=False))

    async def change_lease(
        self, key: ObjectKey, spec: Mapping[str, Any], *, resource_version: str, seconds: float
    ) -> Lease:
        """Change a Lease that was read before; a conflict means that somebody else was faster."""
        body = {"metadata": {"resourceVersion": resource_version}, "spec": spec}
        answer = await self._call(
            "PATCH", _lease_path(key), body=body, content_type=_MERGE, manage=True, seconds=seconds, paced=False
        )
        return lease.lease(answer)

    async def delete_lease(self, key: ObjectKey) -> None:
        """Delete a Lease; or it is gone already."""
        await self._delete(_lease_path(key), {})

    async def create_event(self, event: Mapping[str, Any]) -> None:
        """Post an Event."""
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        await self._call("POST", path, body=event, urgency=Urgency.RENEWAL)

    async def get_webhook_configuration(self, name: str) -> dict[str, Any] | None:
        """Read a MutatingWebhookConfiguration."""
        return await self._get(f"{_WEBHOOKS}/{name}")

    async def set_webhook_ca(self, name: str, bundle: str, *, resource_version: str) -> None:
        """Write the caBundle of our webhook, which was read before, and nothing else of it."""
        body = {
            "metadata": {"resourceVersion": resource_version},
            "webhooks": [{"name": names.WEBHOOK_ENTRY, "clientConfig": {"caBundle": bundle}}],
        }
        await self._call("PATCH", f"{_WEBHOOKS}/{name}", body=body, content_type=_STRATEGIC, manage=True)

    async def delete_webhook_configuration(self, name: str) -> None:
        """Delete a MutatingWebhookConfiguration; or it is gone already."""
        await self._delete(f"{_WEBHOOKS}/{name}", {})

    async def _merge(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        flow: str = "",
        urgency: Urgency = Urgency.CHANGE,
        wanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Patch an object; False if it is gone, or is not the one whose uid the body names."""
        try:
            await self._call(
                "PATCH",
                path,
                body=body,
                content_type=_MERGE,
                accept=_METADATA,
                manage=True,
                flow=flow,
                urgency=urgency,
                wanted=wanted,
            )
        except OvertakenError:
            return False
        except ApiError as error:
            if error.absent or error.conflict:
                return False
            raise
        return True

    async def _delete(self, path: str, options: Mapping[str, Any]) -> None:
        try:
            await self._call("DELETE", path, body=options)
        except ApiError as error:
            if not error.absent:
                raise

    async def _get(self, path: str) -> dict[str, Any] | None:
        try:
            return await self._call("GET", path)
        except ApiError as error:
            if error.absent:
                return None
            raise

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        manage: bool = False,
        force: bool = False,
        seconds: float = TIMEOUT,
        flow: str = "",
        urgency: Urgency = Urgency.CHANGE,
        wanted: Callable[[], bool] = lambda: True,
        paced: bool = True,
        heeding: bool = True,
    ) -> dict[str, Any]:
        """Ask the API server; what writes waits for its turn among others of its flow, unless it is not paced."""
        query = [*query, *([("fieldManager", names.FIELD_MANAGER)] if manage else [])]
        if force:
            query.append(("force", "true"))

        async def ask() -> dict[str, Any]:
            # Looked at last of all, as other things may have to be waited for.
            fence = None if method == "GET" else self._fence
            fenced = contextlib.nullcontext(seconds) if fence is None else fence.writing()
            with fenced as left:
                limits = aiohttp.ClientTimeout(total=min(seconds, left))
                response = await self._send(
                    method, path, query=query, body=body, content_type=content_type, accept=accept, limits=limits
                )
                data = await response.read()
            if not 200 <= response.status <= 299:
                raise _refusal(response, _parsed(data))
            return {} if accept == _METADATA else _parsed(data)

        if method == "GET" or not paced:
            return await ask()
        flow = flow or _namespace(path)
        try:
            async with self._pace.turn(flow, urgency):
                if not wanted():
                    raise OvertakenError
                return await ask()
        except HeldError as held:
            raise ApiError(429, str(held), retry_after=held.seconds) from None
        except LeaseOver:
            raise
        except ApiError as error:
            if heeding and error.retry_after and error.status in (429, 503):
                self._pace.leave_alone(flow, error.retry_after)
            if not (error.absent or error.conflict):
                metrics.WRITES_REFUSED.labels(_resource(path), str(error.status)).inc()
            raise
        except FAILURES:
            metrics.WRITES_REFUSED.labels(_resource(path), "none").inc()
            raise

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        limits: aiohttp.ClientTimeout,
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> aiohttp.ClientResponse:
        try:
            request = await self._client.param_serialize(
                method=method,
                resource_path=path,
                query_params=list(query),
                header_params={"Accept": accept, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
        except config.ConfigException as error:
            # The account's token is read anew now and then, and is not always there.
            raise ApiError(401, str(error)) from None
        try:
            answer = await self._client.call_api(*request, _request_timeout=limits)
        except (aiohttp.ClientError, TimeoutError):
            metrics.API_ERRORS.labels("unreachable").inc()
            raise
        response: aiohttp.ClientResponse = answer.response
        if not 200 <= response.status <= 299:
            metrics.API_ERRORS.labels(str(response.status)).inc()
        return response


_TRACE = fencing.trace()
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


def _namespace(path: str) -> str:
    """Name the namespace that a request is about, or say that it is about none."""
    _, found, rest = path.partition("/namespaces/")
    return f"namespace {rest.partition('/')[0]}" if found else ""


def _resource(path: str) -> str:
    """Name the kind of object that a request is about, in the plural."""
    _, found, rest = path.partition("/namespaces/")
    return rest.split("/")[1] if found else path.split("/")[4]


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(response: aiohttp.ClientResponse, answer: Mapping[str, Any]) -> ApiError:
    try:
        retry_after = float(response.headers.get("Retry-After", 0))
    except ValueError:
        retry_after = 0.0  # a date, which no API server sends
    return ApiError(response.status, str(answer.get("message") or response.reason), retry_after=retry_after)
