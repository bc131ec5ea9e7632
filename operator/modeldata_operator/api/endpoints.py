"""A blob endpoint in the one form that it is compared and dialled in."""

import ipaddress
import re
from dataclasses import dataclass

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LONGEST_HOST = 253
# What two libraries could read in two ways is no endpoint: user info, percent signs, other letters than ASCII's, a
# backslash, a dot at the host's end, empty or dotted parts of the path.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Scheme, host and port of a storage service, and the account's name as path where the host does not have it."""

    scheme: str
    host: str
    """In lower case; an address of IPv6 without brackets, in its shortest form."""
    port: int
    path: str
    """Empty, or begins with a slash."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def secure(self) -> bool:
        """Tell whether what is sent there is encrypted."""
        return self.scheme == "https"

    @property
    def usual_port(self) -> bool:
        """Tell whether the port is that of the scheme."""
        return self.port == _DEFAULT_PORTS[self.scheme]


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """A host that an administrator lets the operator dial."""

    host: str
    port: int | None = None
    """None: that of the scheme."""
    any_port: bool = False

    def covers(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint is on this host."""
        if endpoint.host != self.host:
            return False
        return self.any_port or (endpoint.usual_port if self.port is None else endpoint.port == self.port)


def parse(url: str) -> Endpoint | None:
    """Read an endpoint. None for what has no one form: it is equal to nothing, and nobody dials it."""
    found = _URL.fullmatch(url)
    if found is None:
        return None
    host = found["host"].lower()
    if host.startswith("["):
        try:
            host = ipaddress.IPv6Address(host[1:-1]).compressed
        except ValueError:
            return None
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[found["scheme"]]
    if not 0 < port < 65536 or len(host) > _LONGEST_HOST:
        return None
    return Endpoint(found["scheme"], host, port, found["path"])


def allowed_host(text: str) -> AllowedHost | None:
    """Read host, host:port or host:*; an address of IPv6 stands in brackets. None if it is none of them."""
    anywhere = text.endswith(":*")
    endpoint = parse(f"https://{text.removesuffix(':*')}")
    if endpoint is None or "/" in text:
        return None
    named = re.search(r":[0-9]+$", text.removesuffix(":*").rpartition("]")[2]) is not None
    if anywhere:
        return None if named else AllowedHost(endpoint.host, any_port=True)
    return AllowedHost(endpoint.host, endpoint.port if named else None)
