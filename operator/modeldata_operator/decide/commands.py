"""What a person would type: the commands that messages name."""

from ..api.owners import Workload
from ..api.restartables import DAEMON_SET, DEPLOYMENT, ROLLOUT, STATEFUL_SET, Restartable


def restart(workload: Workload, known: Restartable | None, pod: str) -> str:
    """Write the command that restarts a workload; of what can't be restarted as a whole, one of its pods."""
    namespace, name = workload.key.namespace, workload.key.name
    if known is None or (known.controller is None and not known.by_hand):
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


def undo(restartable: Restartable) -> str:
    """Say what takes a restart back."""
    namespace, name = restartable.key.namespace, restartable.key.name
    if restartable.kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        return f"kubectl -n {namespace} rollout undo {restartable.kind.lower()}/{name} takes the restart back"
    return "its template is as it was: look at its pods"


def resume(restartable: Restartable) -> str:
    """Write the command that lets a paused workload go on."""
    namespace, name = restartable.key.namespace, restartable.key.name
    if restartable.kind == ROLLOUT:
        return f"kubectl argo rollouts promote {name} -n {namespace}"
    return f"kubectl -n {namespace} rollout resume {restartable.kind.lower()}/{name}"
