"""Requests to the API server: writes pass a fence and take turns, and every refusal is counted."""

import contextlib
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient

from ..api import names
from ..observe import metrics
from . import fencing
from .failures import FAILURES, ApiError, OvertakenError, refusal
from .fencing import Fence, LeaseOver
from .pacing import HeldError, Pace, Urgency

TIMEOUT = 10.0
"""Seconds for one call: longer than a healthy API server takes, short enough that a dead one stops no worker."""

JSON = "application/json"
# Of a patched pod only its metadata comes back: a tenth of the bytes, and the API server encodes less.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


async def load_configuration() -> None:
    """Find the API server: the pod's own account, else the kubeconfig."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await config.load_kube_config()  # type: ignore[no-untyped-call]


# A name may have come from an object that somebody else wrote: it must not lead to another object than was meant.
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[-A-Za-z0-9._:]+)+")


class Connection:
    """The way to the API server."""

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

    def behind(self, fence: Fence) -> "Connection":
        """Return the same API server, to which writes go only while the fence is open."""
        return Connection(self._client, fence=fence, pace=self._pace)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: Sequence[tuple[str, str]], *, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a watch; its connection is closed with it."""
        response = await self._send("GET", path, query=query, limits=limits)
        try:
            if response.status != 200:
                raise refusal(response, _parsed(await response.read()))
            yield response.content
        finally:
            response.close()

    async def merge(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        flow: str = "",
        urgency: Urgency = Urgency.CHANGE,
        wanted: Callable[[], bool] = lambda: True,
    ) -> str | None:
        """Patch an object, and return its resource version then.

        None if it is gone, is not the one whose uid or version the body names, or is not wanted any more.
        """
        try:
            answer = await self.call(
                "PATCH",
                path,
                body=body,
                content_type=MERGE,
                accept=METADATA,
                manage=True,
                flow=flow,
                urgency=urgency,
                wanted=wanted,
            )
        except OvertakenError:
            return None
        except ApiError as error:
            if error.absent or error.conflict:
                return None
            raise
        return str(answer["metadata"]["resourceVersion"])

    async def delete(self, path: str, options: Mapping[str, Any]) -> None:
        """Delete an object; or it is gone already."""
        try:
            await self.call("DELETE", path, body=options)
        except ApiError as error:
            if not error.absent:
                raise

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read an object; None if there is none."""
        try:
            return await self.call("GET", path)
        except ApiError as error:
            if error.absent:
                return None
            raise

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
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
                raise refusal(response, _parsed(data))
            return _parsed(data)

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
        content_type: str = JSON,
        accept: str = JSON,
    ) -> aiohttp.ClientResponse:
        if not _PATH.fullmatch(path):
            raise ApiError(400, "no object can be called so")
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
