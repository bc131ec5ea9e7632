"""What a SAS Secret is called, what it says of itself, and what is in it."""

import base64
from collections.abc import Mapping
from typing import Any

from ..api import names
from ..api.keys import ObjectKey
from ..api.resources import DataCollection
from . import credentials, permission


def secret_key(collection: ObjectKey, namespace: str) -> ObjectKey:
    """Name the SAS Secret of a collection in a namespace."""
    name = names.credential_secret(
        collection_namespace=collection.namespace, collection_name=collection.name, pod_namespace=namespace
    )
    return ObjectKey(namespace, name)


def labels(collection: ObjectKey, namespace: str) -> Mapping[str, str]:
    """Label a SAS Secret, so that it is known to be ours and whose."""
    own = {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.COLLECTION_LABEL: collection.name}
    if namespace != collection.namespace:
        own[names.COLLECTION_NAMESPACE_LABEL] = collection.namespace
    return own


def sas_secret(
    collection: DataCollection, namespace: str, token: str, rotation: int, *, hash_key: str
) -> dict[str, Any]:
    """Write a SAS Secret, without a SAS if the token is empty. Only in its own namespace it can have an owner."""
    key = secret_key(collection.key, namespace)
    moment = credentials.expiry(token)
    metadata: dict[str, Any] = {
        "name": key.name,
        "namespace": namespace,
        "labels": dict(labels(collection.key, namespace)),
        "annotations": {
            names.HASH_KEY_OF_ANNOTATION: collection.uid,
            names.ROTATION_ANNOTATION: str(rotation),
            names.EXPIRES_ANNOTATION: credentials.written(moment) if moment else "",
            names.SIGNED_BY_ANNOTATION: "operatorIdentity" if token and permission.asked_for(collection) else "",
        },
    }
    if namespace == collection.key.namespace:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": collection.key.name,
                "uid": collection.uid,
                "controller": True,
            }
        ]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "data": {
            key: base64.b64encode(value.encode()).decode()
            for key, value in ((names.SAS_KEY, token), (names.HASH_KEY, hash_key))
            if value
        },
    }
