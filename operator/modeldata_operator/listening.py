"""Where the processes listen: at every address of their pod, of whatever family the cluster gives it."""

import errno
import socket

NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""How a kernel says that it has no IPv6, built without it or told so."""

BACKLOG = 128
"""Connections that may wait to be taken, as aiohttp has it: for many pods at once the API server opens dozens."""


def everywhere(port: int) -> socket.socket:
    """Listen at all addresses, of IPv6 and of IPv4 alike, or of IPv4 where the kernel has no other.

    Not left to asyncio or Prometheus' client: what they make of ``::`` is deaf to IPv4, always or by a sysctl.

    Raises:
        OSError: the port can't be had.

    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        except OSError as error:
            if error.errno not in NO_SUCH_FAMILY:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=BACKLOG)  # noqa: S104 - in a pod of its own
