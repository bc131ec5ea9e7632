"""Whom the operator dials: Azure Blob Storage by its names, and what an administrator has listed."""

import re
from collections.abc import Iterable

from ..api.endpoints import AllowedHost, Endpoint

# An account's name has letters and digits only. What may follow a hyphen is Azure's own: the way that a request takes
# (-microsoftrouting, -internetrouting). A private endpoint has the usual name: no certificate is for that of its zone.
_AZURE = re.compile(
    r"[a-z0-9]{3,24}(-[a-z0-9]+)?\."
    r"(blob\.core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)|z[0-9]{1,2}\.blob\.storage\.azure\.net)"
)


def is_azure(endpoint: Endpoint) -> bool:
    """Tell whether only Azure Blob Storage can answer there: the name is Microsoft's, and a certificate proves it."""
    return _AZURE.fullmatch(endpoint.host) is not None and endpoint.secure and endpoint.usual_port and not endpoint.path


def may_dial(endpoint: Endpoint | None, allowed: Iterable[AllowedHost]) -> bool:
    """Tell whether the operator opens a connection to an endpoint that a tenant has named."""
    return endpoint is not None and (is_azure(endpoint) or any(each.covers(endpoint) for each in allowed))
