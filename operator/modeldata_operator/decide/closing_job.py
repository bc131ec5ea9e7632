"""The Job that closes the days of one collection's container: its name, its arguments, its manifest.

What a tenant writes reaches it as values of arguments alone. Names come from digests, labels from names that the API
server has checked.
"""

import base64
import copy
import hashlib
import re
from datetime import datetime
from typing import Any

from ..api import names
from ..api.closing import Format, Runner
from ..api.jobs import Job
from ..api.resources import DataCollection, Storage
from .closing import Place

NAME = "modeldata-closing"
CREDENTIAL_DIRECTORY = f"{names.DIRECTORY}/credential"
SCRATCH_DIRECTORY = "/scratch"
REPORT = "/dev/termination-log"
RETRIES = 2
"""Of a pod that was killed, as for want of memory. What the command itself says is not tried again by the Job."""

DAYS_FAILED, WRONG_USAGE, STORAGE_REFUSED = 1, 2, 3
"""The command's exit codes, beside 0: docs/contract/closing.schema.json."""

_DIGEST = 20
_UNSAFE = re.compile(r"[^\w.()-]+")
_LONGEST_PART, _LONGEST_CLEANED, _PART_DIGEST = 128, 119, 8


def name(place: Place) -> str:
    """Name the Job of a place. While there is one of this name, the API server lets nobody make another."""
    text = f"{place.collection.namespace}/{place.collection.name}/{place.namespace}"
    return f"{NAME}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]}"


def arguments(collection: DataCollection, storage: Storage, namespace: str, runner: Runner) -> tuple[str, ...]:
    """Write the command line.

    Args:
        collection: with ``spec.closing``.
        storage: as within the namespace, its endpoint as it is dialled.
        namespace: whose pods have written there.
        runner: see there.

    """
    closing, workspace = collection.closing, collection.workspace
    assert closing is not None
    fixed = {
        "subscription": workspace.subscription,
        "resourceGroup": workspace.resource_group,
        "workspace": workspace.name or namespace,
        "webservice": collection.webservice,
    }
    found = [
        "close",
        f"{storage.endpoint}/{storage.container}",
        f"--path={storage.path}",
        # So that it closes the days of this collection, and not those of others in the container.
        *(
            f"--match={field}={part(value)}"
            for field, value in fixed.items()
            if value and f"{{{field}}}" in storage.path
        ),
        f"--after={closing.after}",
        *(f"--format={each}" for each in Format if each in closing.formats),
        *(["--delta"] if closing.delta else []),
        *([f"--delete-after={closing.delete_after}"] if closing.delete_after else []),
        f"--sas-file={CREDENTIAL_DIRECTORY}/{names.SAS_KEY}",
        f"--scratch={SCRATCH_DIRECTORY}",
        f"--memory={runner.memory}",
        f"--threads={runner.threads}",
        f"--report={REPORT}",
    ]
    # The kubelet fills in $(VARIABLE), and reads two dollars as one.
    return tuple(each.replace("$", "$$") for each in found)


def part(text: str) -> str:
    """Write a text as the client writes it into a path: tests/contract compares the two."""
    cleaned = _UNSAFE.sub("-", text).strip(".-")
    digest = hashlib.sha256(text.encode()).hexdigest()[:_PART_DIGEST]
    if cleaned == text:
        return _short(text, _LONGEST_PART) or "default"
    return f"{_short(cleaned, _LONGEST_CLEANED) or 'default'}-{digest}"


def job(
    place: Place,
    collection: DataCollection,
    args: tuple[str, ...],
    runner: Runner,
    *,
    namespace: str,
    seconds: int,
    tries: int,
    now: datetime,
) -> dict[str, Any]:
    """Write the Job.

    Args:
        place: what it is about.
        collection: for whose spec it is made.
        args: the command line.
        runner: see there.
        namespace: the operator's own.
        seconds: how long it may take.
        tries: how many failed before it.
        now: the present; its SAS is in a Secret of its own, called after it.

    """
    template = copy.deepcopy(dict(runner.template))
    metadata, spec = dict(template.get("metadata") or {}), dict(template["spec"])
    called = name(place)
    (container,) = spec["containers"]
    mounts = [
        {"name": names.CREDENTIAL_VOLUME, "mountPath": CREDENTIAL_DIRECTORY, "readOnly": True},
        *(container.get("volumeMounts") or ()),
    ]
    spec["containers"] = [{**container, "args": list(args), "volumeMounts": mounts}]
    secret = {"secretName": f"{called}-{int(now.timestamp())}", "defaultMode": 0o440}
    spec["volumes"] = [{"name": names.CREDENTIAL_VOLUME, "secret": secret}, *(spec.get("volumes") or ())]
    metadata["labels"] = {**(metadata.get("labels") or {}), names.CLOSING_LABEL: called}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": called,
            "namespace": namespace,
            "labels": {
                **runner.labels,
                names.MANAGED_BY_LABEL: names.FIELD_MANAGER,
                names.CLOSING_LABEL: called,
                names.COLLECTION_LABEL: collection.key.name,
                names.COLLECTION_NAMESPACE_LABEL: collection.key.namespace,
                names.CLOSED_NAMESPACE_LABEL: place.namespace,
            },
            "annotations": {
                names.COLLECTION_UID_ANNOTATION: collection.uid,
                names.GENERATION_ANNOTATION: str(collection.generation),
                names.TRIES_ANNOTATION: str(tries),
            },
        },
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": seconds,
            "podFailurePolicy": {
                "rules": [
                    # A node that is drained, or another pod that goes before it, is no failure.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "In", "values": [DAYS_FAILED, WRONG_USAGE, STORAGE_REFUSED]},
                    },
                ]
            },
            "template": {"metadata": metadata, "spec": spec},
        },
    }


def secret(of: Job, namespace: str, token: str) -> dict[str, Any]:
    """Write the Secret with a Job's SAS, which goes with it."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": of.name, "uid": of.uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": of.secret,
            "namespace": namespace,
            "labels": {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.CLOSING_LABEL: of.name},
            "ownerReferences": [owner],
        },
        "data": {names.SAS_KEY: base64.b64encode(token.encode()).decode()},
    }


def place_of(of: Job) -> Place:
    """Say what a Job is about."""
    return Place(of.collection, of.namespace)


def is_ours(of: Job) -> bool:
    """Tell whether a Job has the name that belongs to its labels."""
    return of.name == name(place_of(of))


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[: most - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:_PART_DIGEST]}"
