"""SAS Secrets that are taken back."""

import asyncio
import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ..api.keys import ObjectKey
from ..kube.cluster import Cluster
from ..kube.failures import FAILURES, ApiError, said
from . import credentials, secrets, side_by_side

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """Why a Secret could not be taken back."""

    error: Exception
    seen: bool
    """Whether it is known to be there."""

    @property
    def nothing_written(self) -> bool:
        """Tell whether it can't be there: where the operator may not read Secrets, it has written none."""
        return not self.seen and isinstance(self.error, ApiError) and self.error.status == 403


async def withdraw(cluster: Cluster, collection: ObjectKey, namespaces: Iterable[str]) -> dict[str, Left]:
    """Delete a collection's SAS Secrets in these namespaces; what is not the operator's stays.

    Returns:
        Where that did not succeed, and what was said: one namespace's refusal keeps nobody's SAS alive but its own.

    """

    async def withdraw_from(namespace: str) -> Left | None:
        key, seen = secrets.secret_key(collection, namespace), False
        try:
            secret = await cluster.get_secret(key)
            if secret is None:
                return None
            held = credentials.held(secret, labels=secrets.labels(collection, namespace))
            if held.ours:
                seen = True
                await cluster.delete_secret(key, held.resource_version)
                logger.info("withdrawn collection=%s namespace=%s", collection, namespace)
        except FAILURES as error:
            logger.warning("not withdrawn collection=%s namespace=%s error=%s", collection, namespace, said(error))
            return Left(error, seen)
        return None

    calls = {namespace: functools.partial(withdraw_from, namespace) for namespace in sorted(namespaces)}
    until = asyncio.get_running_loop().time() + side_by_side.LOOK_SECONDS
    late: Left | None = Left(TimeoutError(), seen=False)
    found = await side_by_side.in_each(calls, until=until, late=late)
    return {namespace: left for namespace, left in found.items() if left is not None}
