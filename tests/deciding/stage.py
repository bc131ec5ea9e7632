"""Workloads with a pod or two each, and what is decided about them."""

from __future__ import annotations

from modeldata_operator.api import restartables
from modeldata_operator.decide import rollout, verification
from modeldata_operator.decide.selection import Collections, Matched, choose

from .conftest import compare, merged

COMPLETE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
UNDER_WAY = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
OVERDUE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
WAITING = {"containerStatuses": [{"name": "scoring", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
PARSERS = {
    "StatefulSet": restartables.stateful_set,
    "DaemonSet": restartables.daemon_set,
    "Rollout": restartables.rollout,
}


class Stage:
    """Deployments with a pod or two each, and what is decided about them."""

    def __init__(self, build):
        self.build = build
        self.pods = []
        self.collection = build.collection()
        plan = verification.injection.plan(self.collection, build.pod())
        self.hash = plan.hash
        self.mark = f"models/churn/{plan.hash}"

    def deployment(self, name="scoring", *, mark=None, revision=None, **changes):
        """A Deployment whose rollout is over."""
        metadata = {"name": name, "uid": f"uid-{name}", **changes.pop("metadata", {})}
        if revision is not None:
            metadata["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
        status = {"availableReplicas": 2, "conditions": [COMPLETE], **changes.pop("status", {})}
        spec = changes.pop("spec", {})
        if mark is not None:
            spec = {**spec, "template": {"metadata": {"annotations": {"modeldata.dev/restarted-for": mark}}}}
        return self.build.deployment(metadata=metadata, spec=spec, status=status)

    def add(self, known=None, *, injected=False, mark=None, owner=None, **changes):
        """Add a pod."""
        deployment = known if known is not None and known.kind == "Deployment" else None
        number = len(self.pods)
        name = f"{known.key.name if known else 'alone'}-5c6f-{number}"
        metadata = {"name": name, "uid": f"uid-{number}", **changes.pop("metadata", {})}
        metadata["annotations"] = {"modeldata.dev/restarted-for": mark} if mark else {}
        metadata["ownerReferences"] = [owner] if owner else []
        if deployment:
            owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "u", "controller": True}
            metadata["ownerReferences"] = [{**owner, "name": f"{deployment.key.name}-5c6f"}]
        manifest = self.build.pod_manifest(metadata=metadata, **changes)
        if injected:
            plan = verification.injection.plan(self.collection, verification.workloads.pod(manifest))
            verification.injection.inject(manifest, plan, "{}")
        pod = verification.workloads.pod(manifest)
        chosen = choose(pod, deployment, Collections.of([self.collection]))
        self.pods.append(Matched(pod, deployment, chosen, known if deployment is None else None))

    def other(self, kind, body):
        """A workload of another kind, as the API server has it."""
        body = merged({"metadata": {"name": "other", "namespace": "models", "uid": "uid-other", "generation": 1}}, body)
        body = merged(body, {"spec": {"selector": {"matchLabels": {"app": "churn"}}}})
        return PARSERS[kind](body)

    def decide(self, *, elsewhere=(), credentials_ready=True, webhook_ready=True, now=0.0, given=None, **collection):
        decided_for = self.build.collection(**collection) if collection else self.collection
        compared = compare(decided_for, self.pods)
        verdicts = rollout.decide(
            decided_for,
            compared.states,
            elsewhere=elsewhere,
            given=rollout.Circumstances(
                credentials_ready=credentials_ready, webhook_ready=webhook_ready, now=now, **(given or {})
            ),
        )
        return {verdict.workload.key.name: verdict for verdict in verdicts}

    def only(self, **arguments):
        (verdict,) = self.decide(**arguments).values()
        return verdict
