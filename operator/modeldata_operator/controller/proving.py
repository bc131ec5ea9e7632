"""Asking the API server for a pod before one is given up for it: does injection work for this very workload?"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..api.owners import RestartMark, WorkloadName
from ..api.reasons import Reason
from ..api.resources import DataCollection
from ..api.restartables import DEPLOYMENT, ROLLOUT, Restartable
from ..api.workloads import Pod
from ..decide import rehearsal
from ..decide.rollout import Setback
from ..kube.cluster import Cluster
from ..kube.failures import ApiError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks at the webhook's configuration, while it keeps restarts waiting."""


class Prover:
    """Has pods made that are never stored (``dryRun``), by all webhooks and policies there are."""

    def __init__(self, cluster: Cluster, *, configuration: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._name = configuration
        self._clock = clock
        self._version = ""
        self._looked = float("-inf")

    async def prove(
        self,
        collection: DataCollection,
        restartable: Restartable,
        body: dict[str, Any],
        *,
        example: Pod,
        mark: RestartMark | None,
        namespace_labels: Mapping[str, str] | None,
    ) -> Setback | None:
        """Say what would keep the next pod of a workload from being injected; None if it would be.

        Raises:
            ApiError: the API server has no time, or the pod's name is taken.

        """
        template = await self._template(restartable, body)
        if template is None:
            message = f"{restartable} is not restarted: its pod template is neither in it nor in a Deployment"
            return Setback(Reason.RESTART_NOT_PROVEN, message)
        manifest = rehearsal.pod(body, restartable, example, mark, template=template)
        try:
            answer = await self._cluster.rehearse_pod(manifest)
        except ApiError as error:
            if not error.judged:
                raise
            message = f"{restartable} is not restarted: the API server was asked for such a pod, and says {error}"
            return Setback(Reason.RESTART_NOT_PROVEN, message)
        if rehearsal.judge(collection, answer, restartable.key.namespace):
            return None
        configuration, seen = await self._configuration()
        return rehearsal.not_injected(
            str(restartable),
            manifest,
            configuration,
            name=self._name,
            seen=seen,
            namespace_labels=namespace_labels,
        )

    async def changed(self) -> bool:
        """Tell whether the webhook's configuration is another than when it was last looked at."""
        if self._clock() - self._looked < LOOK_SECONDS:
            return False
        before = self._version
        await self._configuration()
        return before not in ("", self._version)

    async def _template(self, restartable: Restartable, body: dict[str, Any]) -> dict[str, Any] | None:
        template: dict[str, Any] | None = body["spec"].get("template")
        source = rehearsal.template_source(body) if restartable.kind == ROLLOUT else None
        if source is not None:
            followed = await self._cluster.get_workload(WorkloadName(DEPLOYMENT, source))
            template = followed["spec"]["template"] if followed is not None else None
        return template

    async def _configuration(self) -> tuple[dict[str, Any] | None, bool]:
        """Read the webhook's configuration, and whether that may be done: with a given certificate, it may not."""
        self._looked = self._clock()
        try:
            found = await self._cluster.get_webhook_configuration(self._name)
        except ApiError as error:
            if not error.refused:
                raise
            return None, False
        self._version = found["metadata"]["resourceVersion"] if found is not None else "none"
        return found, True
