"""Which Deployments are restarted so that their pods get injected: pure, once per injection, never on a doubt."""

from collections.abc import Iterable
from dataclasses import dataclass

from .reasons import Reason
from .resources import DataCollection, ObjectKey
from .workloads import Deployment


@dataclass(frozen=True, slots=True)
class Uninjected:
    """A served pod that does not carry what its collection would inject."""

    pod: ObjectKey
    deployment: Deployment | None
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one workload's un-injected pods. Only RESTART_NEEDED of a Deployment leads to a restart."""

    reason: Reason
    message: str
    deployment: Deployment | None = None
    marker: str = ""

    @property
    def restart(self) -> bool:
        """Tell whether the Deployment may be restarted now."""
        return self.reason is Reason.WAITING_FOR_RESTART


def marker(collection: DataCollection, injection_hash: str) -> str:
    """Write what a template carries once it was restarted for a collection's injection."""
    return f"{collection.key}/{injection_hash}"


def verdicts(
    collection: DataCollection, uninjected: Iterable[Uninjected], *, credentials_ready: bool, webhook_ready: bool
) -> list[Verdict]:
    """Decide for every workload with un-injected pods, in a stable order."""
    found: dict[ObjectKey, Uninjected] = {}
    bare: list[ObjectKey] = []
    for item in sorted(uninjected, key=lambda item: (item.pod, item.hash)):
        if item.deployment is None:
            bare.append(item.pod)
        else:
            known = found.get(item.deployment.key)
            if known is None or item.hash < known.hash:
                found[item.deployment.key] = item
    decided = [
        _verdict(collection, item, item.deployment, credentials_ready, webhook_ready)
        for item in found.values()
        if item.deployment is not None
    ]
    if bare:
        names = ", ".join(pod.name for pod in bare[:3]) + (", …" if len(bare) > 3 else "")
        message = f"{len(bare)} pods of no Deployment are collected only after someone restarts them: {names}"
        decided.append(Verdict(Reason.RESTART_NEEDED, message))
    return decided


def _verdict(
    collection: DataCollection,
    item: Uninjected,
    deployment: Deployment,
    credentials_ready: bool,
    webhook_ready: bool,
) -> Verdict:
    name, wanted = deployment.key.name, marker(collection, item.hash)
    if deployment.restarted_for == wanted and deployment.observed and deployment.rolled_out:
        return Verdict(
            Reason.RESTARTED_IN_VAIN,
            f"Deployment {name} was restarted once and its pods are still not injected; "
            f"kubectl -n {deployment.key.namespace} rollout restart deployment/{name} tries again",
            deployment,
        )
    if deployment.restarted_for == wanted or not deployment.observed or not deployment.rolled_out:
        # Old pods may still be leaving: what they lack says nothing about the present template.
        return Verdict(Reason.ROLLOUT_RUNNING, f"Deployment {name} is rolling out", deployment)
    if not collection.enabled:
        return Verdict(
            Reason.SWITCHED_OFF, f"Deployment {name} is not injected; nothing is restarted while switched off"
        )
    if deployment.paused:
        return Verdict(
            Reason.ROLLOUT_PAUSED,
            f"Deployment {name} is paused; kubectl -n {deployment.key.namespace} rollout resume deployment/{name}",
            deployment,
        )
    if not credentials_ready:
        return Verdict(Reason.CREDENTIALS_UNKNOWN, f"Deployment {name} is restarted once there is a SAS", deployment)
    if not webhook_ready:
        return Verdict(
            Reason.WEBHOOK_UNAVAILABLE, f"Deployment {name} is restarted once the webhook is ready", deployment
        )
    return Verdict(Reason.WAITING_FOR_RESTART, f"Deployment {name} is being restarted", deployment, wanted)
