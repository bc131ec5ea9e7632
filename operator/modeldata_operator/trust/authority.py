"""The controller's side of the webhook's certificates: a good Secret, and an API server that knows whom to trust."""

import logging
from datetime import UTC, datetime

from ..api import names
from ..configuration import Configuration
from ..kube.cluster import Cluster
from ..kube.failures import ApiError
from . import certificates

logger = logging.getLogger(__name__)


class Authority:
    """Makes and renews certificates. Only the controller that leads does; those that read them are several."""

    def __init__(self, cluster: Cluster, configuration: Configuration) -> None:
        self._cluster = cluster
        self._configuration = configuration

    async def ensure(self) -> None:
        """Make sure that the Secret holds a good certificate and that the webhook configuration trusts its issuer."""
        if not self._configuration.own_certificates:
            return
        host, now = self._configuration.webhook_host, datetime.now(UTC)
        secret = await self._cluster.get_secret(self._configuration.certificate)
        present = certificates.from_secret(secret)
        if present is None or not certificates.good_until_renewal(present, host=host, now=now):
            present = certificates.renewed(present, host=host, now=now)
            wanted = certificates.to_secret(present, self._configuration.certificate)
            try:
                if secret is None:
                    await self._cluster.create_secret(wanted)
                else:
                    wanted["metadata"]["resourceVersion"] = secret["metadata"]["resourceVersion"]
                    await self._cluster.apply_secret(wanted)
            except ApiError as error:
                if error.conflict:
                    return  # another controller, which leads no more, was faster: the next look sees its work
                raise
            logger.info("webhook certificate renewed host=%s", host)
        await self._trust(present.ca_bundle)

    async def _trust(self, bundle: str) -> None:
        name = self._configuration.webhook_configuration
        found = await self._cluster.get_webhook_configuration(name)
        for entry in (found or {}).get("webhooks", ()):
            if entry.get("name") == names.WEBHOOK_ENTRY:
                if entry.get("clientConfig", {}).get("caBundle") != bundle:
                    await self._cluster.set_webhook_ca(
                        name, bundle, resource_version=(found or {})["metadata"]["resourceVersion"]
                    )
                    logger.info("webhook configuration trusts the new certificate authority")
                return
        logger.warning("there is no webhook %s: no pod is injected", name)
