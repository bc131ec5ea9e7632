"""Whether a grant lets a namespace use the operator's own Azure identity, and what an administrator is told if not."""

import json
from collections.abc import Iterable, Mapping

from ..api import endpoints, names, namespaces
from ..api.endpoints import Endpoint
from ..api.grants import StorageGrant
from ..api.resources import Storage
from . import hosts, status


def granted(
    grants: Iterable[StorageGrant], storage: Storage, *, namespace: str, labels: Mapping[str, str]
) -> Endpoint | None:
    """Return the endpoint in the form to dial it in, if a grant covers this namespace's endpoint and container.

    Args:
        grants: all there are.
        storage: as within the namespace.
        namespace: where the pods run.
        labels: the namespace's.

    """
    endpoint = endpoints.parse(storage.endpoint)
    if endpoint is None or not endpoint.secure:
        return None
    for grant in grants:
        if (
            grant.endpoint == endpoint
            and grant.namespaces.matches(labels)
            and any(namespaces.in_container(each, namespace) == storage.container for each in grant.containers)
        ):
            return endpoint
    return None


def request(storage: Storage, *, namespace: str, by_values: bool, closing: bool = False) -> str:
    """Say what is not granted, and how an administrator grants it: to be forwarded as it is.

    Nothing of it can end a shell's quotes: an endpoint without a plain form is not repeated.
    """
    endpoint = endpoints.parse(storage.endpoint)
    if endpoint is None or not endpoint.secure:
        return (
            "no StorageGrant can cover spec.storage.endpoint as it is written: write it as in "
            "https://account.blob.core.windows.net"
        )
    where, container = str(endpoint), storage.container
    purpose = " to close days (closing: true)" if closing else ""
    found = (
        f"no StorageGrant lets namespace {namespace} use the operator's identity for container {container} of {where}"
        f"{purpose}"
    )
    more = {"closing": True} if closing else {}
    warning = "" if hosts.is_azure(endpoint) else "; mind that this is no host of Azure Blob Storage"
    if by_values:
        item = {"namespaces": [namespace], "endpoint": where, "containers": [container], **more}
        how = f"an administrator may add to the chart's value storage.grants: {json.dumps(item)}"
    else:
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.GRANT_KIND,
            "metadata": {"generateName": f"{namespace}-"},
            "spec": {
                "namespaces": {"matchLabels": {namespaces.NAME_LABEL: namespace}},
                "endpoint": where,
                "containers": [container],
                **more,
            },
        }
        how = f"an administrator may run: echo '{json.dumps(body, separators=(',', ':'))}' | kubectl create -f -"
    whole = f"{found}{warning}; {how}"
    # Half a command would be worse than none.
    return whole if len(whole) <= status.MESSAGE_LIMIT else f"{found}{warning}; an administrator may grant exactly that"
