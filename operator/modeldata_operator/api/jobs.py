"""Jobs that close days, and their pods, as slim records."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import closing, fields, names
from .keys import ObjectKey

WAITING_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of ours."""

    name: str
    uid: str
    collection: ObjectKey
    namespace: str
    """For which namespace's container: that of the collection, but for the operator's default."""
    collection_uid: str
    generation: int
    """Of the collection's spec that it was made for."""
    tries: int
    """How many failed before it, one after the other."""
    created: datetime
    deadline: int
    """Seconds."""
    arguments: tuple[str, ...]
    secret: str
    """Of its SAS."""
    deleting: bool
    finished: datetime | None
    succeeded: bool
    why: str
    """What the Job controller says of a failure: a reason and a message."""
    too_late: bool
    """Whether it failed as its time was over."""


@dataclass(frozen=True, slots=True)
class JobPod:
    """A pod of such a Job."""

    owner_uid: str
    created: str
    exit_code: int | None
    """None: it has not ended, or nobody knows how."""
    reason: str
    """Why it ended, as in ``OOMKilled`` or ``Evicted``."""
    message: str
    """What its container left, that is its report; or why it was evicted."""
    waiting: str
    """Why it does not run yet, if that is known and may stay so."""


def job(body: Mapping[str, Any]) -> Job:
    """Parse a Job.

    Raises:
        ResourceError, KeyError: it is none of ours, whatever its labels say.

    """
    metadata, spec, status = body["metadata"], body["spec"], fields.mapping(body.get("status"), "status")
    labels, annotations = metadata["labels"], metadata["annotations"]
    pod = fields.mapping(spec["template"]["spec"], "spec.template.spec")
    secrets = [
        fields.text(volume["secret"]["secretName"], "secretName")
        for _, volume in fields.items(pod.get("volumes"), "volumes")
        if volume.get("name") == names.CREDENTIAL_VOLUME
    ]
    ended = [each for _, each in fields.items(status.get("conditions"), "conditions") if each.get("status") == "True"]
    complete = next((each for each in ended if each.get("type") == "Complete"), None)
    failed = next((each for each in ended if each.get("type") == "Failed"), None)
    over = complete or failed
    why = f"{failed.get('reason', '')}: {failed.get('message', '')}" if failed is not None else ""
    return Job(
        name=fields.text(metadata["name"], "metadata.name"),
        uid=fields.text(metadata["uid"], "metadata.uid"),
        collection=ObjectKey(labels[names.COLLECTION_NAMESPACE_LABEL], labels[names.COLLECTION_LABEL]),
        namespace=labels[names.CLOSED_NAMESPACE_LABEL],
        collection_uid=annotations[names.COLLECTION_UID_ANNOTATION],
        generation=int(annotations[names.GENERATION_ANNOTATION]),
        tries=int(annotations[names.TRIES_ANNOTATION]),
        created=_moment(metadata["creationTimestamp"]),
        deadline=int(spec["activeDeadlineSeconds"]),
        arguments=fields.strings(pod["containers"][0].get("args"), "args"),
        secret=secrets[0],
        deleting="deletionTimestamp" in metadata,
        finished=None if over is None else _moment(over["lastTransitionTime"]),
        succeeded=complete is not None,
        why=closing.cleaned(why),
        too_late=failed is not None and failed.get("reason") == "DeadlineExceeded",
    )


def pod(body: Mapping[str, Any]) -> JobPod:
    """Parse a pod of a Job; what is missing counts as not known yet."""
    metadata, status = fields.mapping(body.get("metadata"), "metadata"), fields.mapping(body.get("status"), "status")
    owners = fields.items(metadata.get("ownerReferences"), "ownerReferences")
    states = [
        fields.mapping(each.get("state"), "state")
        for _, each in fields.items(status.get("containerStatuses"), "containerStatuses")
    ]
    terminated = next((fields.mapping(each["terminated"], "terminated") for each in states if "terminated" in each), {})
    code = terminated.get("exitCode")
    return JobPod(
        owner_uid=next((str(owner.get("uid", "")) for _, owner in owners if owner.get("controller")), ""),
        created=str(metadata.get("creationTimestamp", "")),
        exit_code=code if isinstance(code, int) else None,
        reason=str(status.get("reason") or terminated.get("reason") or ""),
        message=str(terminated.get("message") or status.get("message") or ""),
        waiting=_waiting(states, status),
    )


def _waiting(states: list[Mapping[str, Any]], status: Mapping[str, Any]) -> str:
    """Say why a pod does not run, but for what every pod waits for: its volumes, its image."""
    for state in states:
        waiting = fields.mapping(state.get("waiting"), "waiting")
        if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
            return closing.cleaned(f"{waiting.get('reason', '')}: {waiting.get('message', '')}")[:WAITING_LENGTH]
    for _, condition in fields.items(status.get("conditions"), "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return closing.cleaned(f"{condition.get('reason', '')}: {condition.get('message', '')}")[:WAITING_LENGTH]
    return ""


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(fields.text(value, "a time"))
