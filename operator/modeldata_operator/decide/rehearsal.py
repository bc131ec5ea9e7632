"""The pod that a restart would bring: made as its controller would make it, for the API server to be asked about.

What comes back tells whether injection works for that very pod: whether the webhook is asked for it, reached and
believed, and whether nothing else refuses it.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..api import names, selectors, workloads
from ..api.keys import ObjectKey
from ..api.namespaces import NAME_LABEL
from ..api.owners import OBJECT_NAME, RestartMark
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import DAEMON_SET, DEPLOYMENT, ROLLOUT, STATEFUL_SET, Restartable
from ..api.selectors import LabelSelector
from ..api.workloads import Pod
from . import injection
from .rollout import Setback


@dataclass(frozen=True, slots=True)
class Scope:
    """Which pods the API server asks the webhook about, and whether it could believe it."""

    trusted: bool
    namespaces: LabelSelector
    objects: LabelSelector


def scope(configuration: Mapping[str, Any]) -> Scope | None:
    """Read our entry of a MutatingWebhookConfiguration; None without one."""
    for entry in configuration.get("webhooks") or ():
        if entry.get("name") == names.WEBHOOK_ENTRY:
            return Scope(
                trusted=bool((entry.get("clientConfig") or {}).get("caBundle")),
                namespaces=selectors.label_selector(entry.get("namespaceSelector"), "namespaceSelector"),
                objects=selectors.label_selector(entry.get("objectSelector"), "objectSelector"),
            )
    return None


def template_source(body: Mapping[str, Any]) -> ObjectKey | None:
    """Name the Deployment whose template an Argo Rollout follows, if it has none of its own.

    Argo's definition takes any text for its name, and whoever wrote it must not have us read elsewhere.
    """
    reference = (body.get("spec") or {}).get("workloadRef") or {}
    name = reference.get("name")
    if reference.get("kind") != DEPLOYMENT or not isinstance(name, str) or not OBJECT_NAME.fullmatch(name):
        return None
    return ObjectKey(body["metadata"]["namespace"], name)


def pod(
    body: Mapping[str, Any],
    restartable: Restartable,
    example: Pod,
    mark: RestartMark | None,
    *,
    template: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the next pod of a workload.

    Args:
        body: the workload, as the API server has it.
        restartable: the same, parsed.
        example: one of its pods, from which what only its controller knows is taken: its ReplicaSet.
        mark: what a restart will add to the template.
        template: the pod template, where the workload has none of its own.

    """
    spec = body.get("spec") or {}
    template = template or spec.get("template") or {}
    head = template.get("metadata") or {}
    labels, annotations = dict(head.get("labels") or {}), dict(head.get("annotations") or {})
    if mark is not None and restartable.kind != ROLLOUT:
        annotations[names.RESTARTED_FOR_ANNOTATION] = str(mark)
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": restartable.key.namespace, "labels": labels, "annotations": annotations},
        "spec": copy.deepcopy(dict(template.get("spec") or {})),
    }
    metadata: dict[str, Any] = manifest["metadata"]  # type: ignore[assignment]
    if restartable.kind == STATEFUL_SET:
        _as_of_a_stateful_set(manifest, body, restartable.key.name)
    elif restartable.kind == DAEMON_SET:
        metadata["generateName"] = f"{restartable.key.name}-"
        labels[names.REVISION_HASH_LABEL] = example.labels.get(names.REVISION_HASH_LABEL, "")
        labels[names.TEMPLATE_GENERATION_LABEL] = str(restartable.revision or 1)
    else:
        hashed = names.ROLLOUT_HASH_LABEL if restartable.kind == ROLLOUT else names.TEMPLATE_HASH_LABEL
        labels[hashed] = example.labels.get(hashed, "")
        metadata["generateName"] = f"{example.owner.name if example.owner else restartable.key.name}-"
    if example.owner is not None:
        owner = example.owner
        # Not blockOwnerDeletion, which its controller sets: some API servers ask for a right on the owner for that.
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner.api_version,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
            }
        ]
    return manifest


def judge(collection: DataCollection, answer: Mapping[str, Any], namespace: str) -> bool:
    """Tell whether the API server's answer is injected for this collection, and as it would be now."""
    found = workloads.pod(answer, namespace=namespace)
    if found.injection is None or found.injection.collection != collection.key:
        return False
    plan = injection.plan(collection, found)
    return isinstance(plan, injection.Plan) and plan.accepts(found.injection.hash)


def not_injected(
    workload: str,
    manifest: Mapping[str, Any],
    configuration: Mapping[str, Any] | None,
    *,
    name: str,
    seen: bool,
    namespace_labels: Mapping[str, str] | None = None,
) -> Setback:
    """Say that injection does not work for a pod, and what to look at.

    Args:
        workload: as a person calls it.
        manifest: the pod that the API server was asked about.
        configuration: the MutatingWebhookConfiguration; None if there is none.
        name: of the configuration.
        seen: whether the configuration could be looked at.
        namespace_labels: of the pod's namespace; None if they are not known.

    """
    namespace, labels = manifest["metadata"]["namespace"], manifest["metadata"]["labels"]
    where = f"MutatingWebhookConfiguration {name}"
    found = scope(configuration) if configuration is not None else None
    unreached = (
        f"the API server does not reach the webhook or does not trust it (its Service, a firewall, the port, the "
        f"caBundle of {where}), or its replicas do not know the DataCollection yet"
    )
    if not seen:
        why = f"look at namespaceSelector, objectSelector and caBundle of {where}; else {unreached}"
    elif found is None:
        why = f"there is no {where} with the webhook {names.WEBHOOK_ENTRY}"
    elif not found.trusted:
        why = f"{where} has no caBundle, so the API server trusts nobody there"
    elif not _selects(found.objects, labels):
        why = f"the objectSelector of {where} leaves this pod out"
    else:
        why = _by_namespace(found.namespaces, namespace, namespace_labels, where) or unreached
    message = f"{workload} is not restarted: the API server was asked for such a pod, and it came un-injected: {why}"
    return Setback(Reason.WEBHOOK_UNREACHABLE, message)


def _by_namespace(selector: LabelSelector, namespace: str, labels: Mapping[str, str] | None, where: str) -> str:
    """Say whether, or by which labels, the webhook is not asked about a namespace."""
    unknown = []
    for requirement in selector.requirements:
        if labels is None and requirement.key != NAME_LABEL:
            unknown.append(requirement.key)
        elif not requirement.matches(labels if labels is not None else {NAME_LABEL: namespace}):
            return f"the namespaceSelector of {where} leaves namespace {namespace} out, by the label {requirement.key}"
    if not unknown:
        return ""
    return (
        f"the namespaceSelector of {where} asks for labels that namespace {namespace} may lack "
        f"({', '.join(unknown)}); or the API server does not reach the webhook (its Service, a firewall, the port)"
    )


def _selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    return not selector.requirements or selector.matches(labels)


def _as_of_a_stateful_set(manifest: dict[str, Any], body: Mapping[str, Any], name: str) -> None:
    """Give a pod what a StatefulSet's has of its own: a name, a host name, claims.

    The ordinal is the one after the last: the API server refuses a pod of a name that is taken, also when only asked.
    """
    spec, status = body.get("spec") or {}, body.get("status") or {}
    most = max(spec.get("replicas", 1), status.get("replicas", 0))
    index = (spec.get("ordinals") or {}).get("start", 0) + most
    called = f"{name}-{index}"
    metadata, pod_spec = manifest["metadata"], manifest["spec"]
    metadata |= {"name": called, "generateName": f"{name}-"}
    metadata["labels"] |= {
        names.REVISION_HASH_LABEL: status.get("updateRevision") or "",
        names.POD_NAME_LABEL: called,
        names.POD_INDEX_LABEL: str(index),
    }
    pod_spec["hostname"] = called
    if spec.get("serviceName"):
        pod_spec["subdomain"] = spec["serviceName"]
    claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or ()]
    volumes = [volume for volume in pod_spec.get("volumes") or () if volume.get("name") not in claims]
    pod_spec["volumes"] = [
        *({"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{called}"}} for claim in claims),
        *volumes,
    ]
