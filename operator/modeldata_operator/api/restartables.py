"""Workloads that can be restarted as a whole, as slim records: one shape for all kinds, parsed from each kind's status.

What each kind's controller says of its progress differs; what is decided on does not.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import bounds, names, owners, selectors
from .keys import ObjectKey
from .owners import Owner, RestartMark, Workload, WorkloadName
from .selectors import LabelSelector

DEPLOYMENT, STATEFUL_SET, DAEMON_SET, ROLLOUT = "Deployment", "StatefulSet", "DaemonSet", "Rollout"

API_VERSIONS = {
    DEPLOYMENT: "apps/v1",
    STATEFUL_SET: "apps/v1",
    DAEMON_SET: "apps/v1",
    ROLLOUT: "argoproj.io/v1alpha1",
}

ROLLED_OUT = "NewReplicaSetAvailable"
"""Why a Deployment is Progressing, once its rollout is over and all its pods were available."""


@dataclass(frozen=True, slots=True)
class Restartable:
    """What is decided on about a workload that can be restarted."""

    kind: str
    key: ObjectKey
    uid: str
    selector: LabelSelector
    restarted_for: RestartMark | None
    revision: int | None
    """The number that the next change of the template, or the next restart of an Argo Rollout, raises."""
    controller: Owner | None
    paused: bool
    by_hand: bool
    """Its owner wants to delete pods himself (the strategy OnDelete)."""
    partitioned: bool
    """A change of its template would reach a part of its pods only, and is somebody's canary."""
    observed: bool
    rolled_out: bool
    """No pod of an older template is left: an un-injected pod then is one of the present template."""
    available: bool
    complete: bool
    """Its last rollout or restart is over, whatever became of its pods since."""
    was_available: bool
    """Complete says that all pods were available then, too."""
    deadline: bool
    """Its own controller says when a rollout makes no progress."""
    deadline_exceeded: bool
    replicas: int

    @property
    def name(self) -> WorkloadName:
        """Tell it from all others."""
        return WorkloadName(self.kind, self.key)

    @property
    def workload(self) -> Workload:
        """Name it as a person would, and for Events."""
        return Workload(self.kind, self.key, Owner(API_VERSIONS[self.kind], self.kind, self.key.name, self.uid))

    def __str__(self) -> str:
        return f"{self.kind} {self.key.name}"


@dataclass(frozen=True, slots=True)
class Deployment(Restartable):
    """What is decided on about a Deployment: it alone has the annotations that choose a collection."""

    collect: str | None
    choice: str | None
    ready_replicas: int


def deployment(body: Mapping[str, Any]) -> Deployment:
    """Parse a Deployment."""
    metadata, spec, status = _parts(body)
    conditions: dict[str, Mapping[str, Any]] = {item.get("type"): item for item in status.get("conditions") or ()}
    progressing = conditions.get("Progressing", {})
    annotations = metadata.get("annotations") or {}
    wanted = spec.get("replicas", 1)
    observed = _observed(metadata, status)
    rolled_out = status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
    available = status.get("availableReplicas", 0) >= wanted
    return Deployment(
        kind=DEPLOYMENT,
        key=_key(metadata),
        uid=metadata.get("uid") or "",
        selector=selectors.label_selector(spec.get("selector"), "spec.selector"),
        restarted_for=_template_mark(spec),
        revision=owners.number(annotations.get(names.REVISION_ANNOTATION)),
        controller=owners.controller(metadata.get("ownerReferences")),
        paused=bool(spec.get("paused")),
        by_hand=False,
        partitioned=False,
        observed=observed,
        rolled_out=rolled_out,
        available=available,
        # This reason stays until the template changes, also while pods come and go. There is none where a Deployment is
        # paused, was just resumed, or has no progress deadline.
        complete=observed
        and (
            progressing.get("reason") == ROLLED_OUT
            if progressing.get("status", "Unknown") != "Unknown"
            else rolled_out and available
        ),
        was_available=True,
        deadline=True,
        deadline_exceeded=progressing.get("status") == "False",
        replicas=wanted,
        collect=_short(annotations.get(names.COLLECT_ANNOTATION)),
        choice=_short(annotations.get(names.CHOICE_ANNOTATION)),
        ready_replicas=status.get("readyReplicas", 0),
    )


def stateful_set(body: Mapping[str, Any]) -> Restartable:
    """Parse a StatefulSet."""
    metadata, spec, status = _parts(body)
    strategy = spec.get("updateStrategy") or {}
    wanted, observed = spec.get("replicas", 1), _observed(metadata, status)
    partitioned = ((strategy.get("rollingUpdate") or {}).get("partition") or 0) > 0
    present, newest = status.get("currentRevision"), status.get("updateRevision")
    # The controller makes them one when the last pod of an update is ready. With a partition they stay two.
    complete = observed and present == newest
    return Restartable(
        kind=STATEFUL_SET,
        key=_key(metadata),
        uid=metadata.get("uid") or "",
        selector=selectors.label_selector(spec.get("selector"), "spec.selector"),
        restarted_for=_template_mark(spec),
        # A revision's name can't be foretold. The generation is raised by scaling, too: what is scaled while it is
        # restarted is not taken for the restart's doing, which errs to the safe side.
        revision=metadata.get("generation"),
        controller=owners.controller(metadata.get("ownerReferences")),
        paused=False,
        by_hand=strategy.get("type") == "OnDelete",
        partitioned=partitioned,
        observed=observed,
        rolled_out=partitioned or complete,
        available=status.get("availableReplicas", 0) >= wanted,
        complete=complete,
        was_available=True,
        deadline=False,
        deadline_exceeded=False,
        replicas=wanted,
    )


def daemon_set(body: Mapping[str, Any]) -> Restartable:
    """Parse a DaemonSet."""
    metadata, spec, status = _parts(body)
    strategy = spec.get("updateStrategy") or {}
    wanted, observed = status.get("desiredNumberScheduled", 0), _observed(metadata, status)
    rolled_out = status.get("updatedNumberScheduled", 0) >= wanted
    return Restartable(
        kind=DAEMON_SET,
        key=_key(metadata),
        uid=metadata.get("uid") or "",
        selector=selectors.label_selector(spec.get("selector"), "spec.selector"),
        restarted_for=_template_mark(spec),
        revision=owners.number((metadata.get("annotations") or {}).get(names.TEMPLATE_GENERATION_ANNOTATION)),
        controller=owners.controller(metadata.get("ownerReferences")),
        paused=False,
        by_hand=strategy.get("type") == "OnDelete",
        partitioned=False,
        observed=observed,
        rolled_out=rolled_out,
        available=status.get("numberAvailable", 0) >= wanted,
        # A node that fails next week makes its pods unavailable, and is not the restart's doing.
        complete=observed and rolled_out,
        was_available=False,
        deadline=False,
        deadline_exceeded=False,
        replicas=wanted,
    )


def rollout(body: Mapping[str, Any]) -> Restartable:
    """Parse an Argo Rollout. It is restarted by spec.restartAt, which leaves its template and so its revision alone."""
    metadata, spec, status = _parts(body)
    annotations = metadata.get("annotations") or {}
    wanted = spec.get("replicas", 1)
    conditions: dict[str, Mapping[str, Any]] = {item.get("type"): item for item in status.get("conditions") or ()}
    # A string; that of old versions is a hash.
    generation = owners.number(str(status.get("observedGeneration", "")))
    observed = generation is None or generation >= metadata.get("generation", 0)
    restart_at, restarted_at = _epoch(spec.get("restartAt")), _epoch(status.get("restartedAt"))
    stable = status.get("stableRS")
    return Restartable(
        kind=ROLLOUT,
        key=_key(metadata),
        uid=metadata.get("uid") or "",
        # One that follows a Deployment's template need not have a selector of its own.
        selector=selectors.label_selector(spec.get("selector") or {}, "spec.selector"),
        restarted_for=owners.restart_mark(annotations.get(names.RESTARTED_FOR_ANNOTATION)),
        revision=restart_at,
        controller=owners.controller(metadata.get("ownerReferences")),
        paused=bool(spec.get("paused") or status.get("pauseConditions")),
        by_hand=False,
        partitioned=False,
        observed=observed,
        rolled_out=bool(stable) and stable == status.get("currentPodHash") and not status.get("abort"),
        available=status.get("availableReplicas", 0) >= wanted,
        # It is noted when the last pod was evicted, not when the next one is there.
        complete=observed and restarted_at >= restart_at,
        was_available=False,
        deadline=False,
        deadline_exceeded=conditions.get("Progressing", {}).get("status") == "False",
        replicas=wanted,
    )


def _parts(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    return body.get("metadata") or {}, body.get("spec") or {}, body.get("status") or {}


def _key(metadata: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(sys.intern(metadata.get("namespace") or ""), metadata.get("name") or "")


def _observed(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    return bool(status.get("observedGeneration", 0) >= metadata.get("generation", 0))


def _template_mark(spec: Mapping[str, Any]) -> RestartMark | None:
    template = ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    return owners.restart_mark(template.get(names.RESTARTED_FOR_ANNOTATION))


def _short(text: str | None) -> str | None:
    return None if text is None else bounds.shortened(text, bounds.LONGEST_NAME)


def _epoch(timestamp: str | None) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp()) if timestamp else 0
