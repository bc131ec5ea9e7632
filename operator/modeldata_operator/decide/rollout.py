"""Which Deployments are restarted so that their pods get injected: one at a time, once per injection, never on a doubt.

One at a time in each namespace: whoever has one may keep its Deployments from ever becoming available, and nobody
else's restart waits for that.

All that is decided on is in the cluster: the mark on a Deployment's template says that it was restarted, its status
what became of that, and the collection's own status where a rollout stopped. So nothing is forgotten with the process.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set

from ..api.keys import ObjectKey
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.resources import Rollout as Mode
from ..api.workloads import Deployment, Owner, RestartMark, Workload
from .verification import Verdict, WorkloadState

MISSED = "were not injected when they were created: the webhook did not answer, or they were opted out then"


def decide(
    collection: DataCollection,
    states: Sequence[WorkloadState],
    *,
    elsewhere: Iterable[Deployment],
    credentials_ready: bool,
    webhook_ready: bool,
    unserved: Set[str] = frozenset(),
) -> list[Verdict]:
    """Say of every workload why it is not collected, and which one Deployment, if any, is to be restarted now.

    Elsewhere are Deployments that have no served pod at the moment but were restarted for this collection, or stopped
    its rollout: a Deployment of the Recreate strategy has no pods for a while. Unserved are namespaces that have no
    valid SAS, or of which that is not known yet, though the credential is good.
    """
    stopped = stopped_at(collection)
    verdicts, running = [], list[Workload]()
    for state in states:
        ready = credentials_ready and state.workload.key.namespace not in unserved
        verdict = _verdict(collection, state, stopped, ready, webhook_ready)
        if verdict is not None:
            verdicts.append(verdict)
        if state.deployment is not None and _restarting(collection, state.deployment):
            running.append(state.workload)
    for deployment in elsewhere:
        if deployment.collect == "false" or not deployment.replicas:
            continue
        workload = _workload(deployment)
        problem = _stop(collection, deployment, stopped, trouble=None, missing=True)
        if problem is not None:
            verdicts.append(Verdict(workload, Reason.ROLLOUT_STOPPED, problem))
        elif _restarting(collection, deployment):
            verdicts.append(Verdict(workload, Reason.ROLLOUT_RUNNING, f"{workload} is rolling out"))
            running.append(workload)
    # After a restart in vain the next one most likely would be too.
    failures = (Reason.ROLLOUT_STOPPED, Reason.RESTARTED_IN_VAIN)
    failed = [verdict.workload for verdict in verdicts if verdict.reason in failures]
    # The first of each namespace; what failed goes before what runs.
    holders = {workload.key.namespace: workload for workload in reversed([*failed, *running])}
    return list(_in_turn(verdicts, holders))


def stopped_at(collection: DataCollection) -> set[ObjectKey]:
    """Name the Deployments that a rollout stopped at, unless a person has changed the collection since."""
    if collection.status.observed_generation != collection.generation:
        return set()
    return {
        workload.key
        for workload in collection.status.workloads
        if workload.kind == "Deployment" and workload.reason == Reason.ROLLOUT_STOPPED
    }


def mark(collection: DataCollection, deployment: Deployment, injection_hash: str) -> RestartMark:
    """Make what the template carries once it is restarted. Each change of a template makes the next revision."""
    revision = None if deployment.revision is None else deployment.revision + 1
    return RestartMark(collection.key, injection_hash, revision)


def restart_command(workload: Workload, deployment: Deployment | None, pod: str) -> str:
    """Write the command that restarts a workload; of what can't be restarted as a whole, one of its pods."""
    namespace, name = workload.key.namespace, workload.key.name
    if deployment is None or deployment.controller is None:
        match workload.kind:
            case "Deployment" | "StatefulSet" | "DaemonSet" as kind:
                return f"kubectl -n {namespace} rollout restart {kind.lower()}/{name}"
            case "Rollout":
                return f"kubectl argo rollouts restart {name} -n {namespace}"
            case "Job":
                return (
                    f"kubectl -n {namespace} delete job/{name}, and create it again (a CronJob's next run is collected)"
                )
            case "Pod":
                get = f"kubectl -n {namespace} get pod {name} -o yaml"
                return f"{get} | kubectl -n {namespace} replace --force -f -"
    return f"kubectl -n {namespace} delete pod {pod}, and the others, one at a time"


def blocked(collection: DataCollection, deployment: Deployment) -> tuple[Reason, str] | None:
    """Say why this Deployment must not be restarted now, whatever its pods lack."""
    name = deployment.key.name
    if deployment.paused:
        resume = f"kubectl -n {deployment.key.namespace} rollout resume deployment/{name}"
        return Reason.ROLLOUT_PAUSED, f"Deployment {name} is paused: {resume}"
    if _restarting(collection, deployment):
        return Reason.ROLLOUT_RUNNING, f"Deployment {name} is rolling out"
    if deployment.deadline_exceeded:
        message = f"Deployment {name} did not finish its last rollout: it is restarted once that is mended"
        return Reason.WORKLOAD_UNAVAILABLE, message
    if not deployment.observed or not deployment.rolled_out:
        # Old pods may still be leaving: what they lack says nothing about the present template.
        return Reason.ROLLOUT_RUNNING, f"Deployment {name} is rolling out"
    if not deployment.available:
        # Restarted now, it would look as if that had broken it.
        return Reason.WORKLOAD_UNAVAILABLE, f"Deployment {name} is restarted once all its pods are available"
    return None


def _in_turn(verdicts: Iterable[Verdict], holders: Mapping[str, Workload]) -> Iterable[Verdict]:
    """Let one Deployment of each namespace be restarted, and none while another one holds the rollout up there."""
    waited_for = dict(holders)
    for verdict in verdicts:
        namespace = verdict.workload.key.namespace
        holder = waited_for.get(namespace)
        if verdict.reason is Reason.WAITING_FOR_RESTART and holder is not None:
            message = f"{verdict.workload} waits for {holder}"
            yield dataclasses.replace(verdict, reason=Reason.WAITING_FOR_TURN, message=message, mark=None)
            continue
        if verdict.reason is Reason.WAITING_FOR_RESTART:
            waited_for[namespace] = verdict.workload
        yield verdict


def _verdict(
    collection: DataCollection,
    state: WorkloadState,
    stopped: set[ObjectKey],
    credentials_ready: bool,
    webhook_ready: bool,
) -> Verdict | None:
    reason, message, injection_mark = Reason.ALL_INJECTED, "", None
    deployment, workload = state.deployment, state.workload
    problem = None
    if deployment is not None:
        problem = _stop(collection, deployment, stopped, trouble=state.trouble, missing=bool(state.missing))
    if problem is not None:
        reason, message = Reason.ROLLOUT_STOPPED, problem
    elif state.refusal is not None:
        reason, message = state.refusal.reason, f"{workload}: {state.refusal.message}"
    elif not state.missing:
        return None
    elif not collection.enabled:
        reason, message = Reason.SWITCHED_OFF, f"{workload} is not injected; nothing is restarted while switched off"
    elif deployment is not None and deployment.controller is None:
        reason, message = _of_deployment(collection, state, deployment, credentials_ready, webhook_ready)
        if reason is Reason.WAITING_FOR_RESTART:
            injection_mark = mark(collection, deployment, state.hash)
    elif not webhook_ready:
        reason, message = Reason.WEBHOOK_UNAVAILABLE, f"{workload} can be restarted once the webhook is ready"
    else:
        reason, message = Reason.RESTART_NEEDED, _please_restart(state)
    return Verdict(workload, reason, message, state.pods, state.injected, injection_mark)


def _of_deployment(
    collection: DataCollection,
    state: WorkloadState,
    deployment: Deployment,
    credentials_ready: bool,
    webhook_ready: bool,
) -> tuple[Reason, str]:
    done = deployment.restarted_for is not None and deployment.restarted_for.same_reason(collection.key, state.hash)
    if done and deployment.complete and deployment.rolled_out:
        command = restart_command(state.workload, deployment, "")
        if state.missed:
            return Reason.WEBHOOK_MISSED, f"{_missed(state)}, after it was restarted for that: {command}"
        message = f"{state.workload} was restarted once and its pods are still not injected, so no other is restarted; "
        return Reason.RESTARTED_IN_VAIN, f"{message}{command} tries again"
    held_up = blocked(collection, deployment)
    if held_up is not None:
        return held_up
    if done:
        return Reason.ROLLOUT_RUNNING, f"{state.workload} is rolling out"
    if not webhook_ready:
        return Reason.WEBHOOK_UNAVAILABLE, f"{state.workload} can be restarted once the webhook is ready"
    if collection.rollout is Mode.MANUAL:
        return Reason.RESTART_NEEDED, _please_restart(state)
    if not credentials_ready:
        return Reason.CREDENTIALS_UNKNOWN, f"{state.workload} is restarted once the credential is known to be good"
    return Reason.WAITING_FOR_RESTART, f"{state.workload} is being restarted"


def _please_restart(state: WorkloadState) -> str:
    command = restart_command(state.workload, state.deployment, state.missing[0])
    if state.missed:
        return f"{_missed(state)}: {command}"
    return f"{state.workload} runs without what collecting needs until it is restarted: {command}"


def _missed(state: WorkloadState) -> str:
    return f"{state.missed} of the {state.pods} pods of {state.workload} {MISSED}"


def _restarting(collection: DataCollection, deployment: Deployment) -> bool:
    """Tell whether this collection's restart of a Deployment is still under way."""
    return _made_present_template(collection, deployment) and not deployment.complete


def _made_present_template(collection: DataCollection, deployment: Deployment) -> bool:
    done = deployment.restarted_for
    if done is None or done.collection != collection.key:
        return False
    return (
        not deployment.observed or None in (done.revision, deployment.revision) or done.revision == deployment.revision
    )


def _stop(
    collection: DataCollection, deployment: Deployment, stopped: set[ObjectKey], *, trouble: str | None, missing: bool
) -> str | None:
    """Say what stops the rollout at this Deployment, or stopped it before and is not mended."""
    namespace, name = deployment.key.namespace, deployment.key.name
    undo = f"kubectl -n {namespace} rollout undo deployment/{name} takes the restart back"
    if _restarting(collection, deployment) and (trouble or deployment.deadline_exceeded):
        found = trouble or "its progress deadline is over"
        return f"Deployment {name} was restarted and does not become available ({found}); no other is restarted; {undo}"
    if deployment.key in stopped and (missing or not deployment.complete):
        again = f"kubectl -n {namespace} rollout restart deployment/{name}"
        return (
            f"Deployment {name} did not become available after its restart; no other is restarted until its pods are "
            f'injected and available ({again}), or its annotation collect_model_data is "false"'
        )
    return None


def _workload(deployment: Deployment) -> Workload:
    known = Owner("apps/v1", "Deployment", deployment.key.name, deployment.uid)
    return Workload("Deployment", deployment.key, known)
