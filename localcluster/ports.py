"""The ports the cluster needs on this machine, and who has them."""

import dataclasses
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from console import ProblemError
from layout import API_PORT, NODE_IP

LOOPBACK = "127.0.0.1"
LISTENING = "0A"
UNCONNECTED = "07"


@dataclasses.dataclass(frozen=True)
class Port:
    """A port that a program of the cluster listens on."""

    program: str
    address: str
    number: int
    protocol: str = "tcp"


@dataclasses.dataclass(frozen=True)
class Listener:
    """A socket that someone listens on."""

    protocol: str
    address: str
    number: int
    inode: str


NEEDED = (
    Port("etcd", LOOPBACK, 2379),
    Port("etcd", LOOPBACK, 2380),
    Port("kube-apiserver", NODE_IP, API_PORT),
    Port("kube-controller-manager", LOOPBACK, 10257),
    Port("kube-scheduler", LOOPBACK, 10259),
    Port("kubelet", LOOPBACK, 10248),
    Port("kubelet", NODE_IP, 10250),
    Port("kube-proxy", LOOPBACK, 10249),
    Port("kube-proxy", LOOPBACK, 10256),
    Port("coredns", NODE_IP, 53),
    Port("coredns", NODE_IP, 53, "udp"),
)


def refuse_taken(programs: Iterable[str]) -> None:
    """Raises ProblemError if a port that one of these programs needs is taken: which, by whom, and the way out."""
    starting = set(programs)
    here = listeners()
    taken = [
        f"{port.address}:{port.number}/{port.protocol} ({port.program}'s) is taken by {_holder(listener)}"
        for port in NEEDED
        if port.program in starting
        for listener in here
        if clash(port, listener)
    ]
    if taken:
        raise ProblemError("the cluster can't start: " + "; ".join(taken) + ". Stop that program, then run this again.")


def clash(port: Port, listener: Listener) -> bool:
    """Whether the program could not listen on its port because of this listener."""
    if (listener.protocol, listener.number) != (port.protocol, port.number):
        return False
    return listener.address in {port.address, "0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on


def listeners(proc: Path = Path("/proc")) -> list[Listener]:
    """Everything that listens on this machine."""
    found = []
    for table, protocol, state in (
        ("tcp", "tcp", LISTENING),
        ("tcp6", "tcp", LISTENING),
        ("udp", "udp", UNCONNECTED),
        ("udp6", "udp", UNCONNECTED),
    ):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for fields in map(str.split, lines):
            if fields[3] == state:
                address, _, number = fields[1].partition(":")
                found.append(Listener(protocol, parse_address(address), int(number, 16), fields[9]))
    return found


def parse_address(text: str) -> str:
    """An address as the kernel's tables show it: 32-bit words in the machine's byte order, here little-endian."""
    raw = bytes.fromhex(text)
    address = ipaddress.ip_address(b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4)))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _holder(listener: Listener) -> str:
    wanted = f"socket:[{listener.inode}]"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(descriptor.readlink()) == wanted for descriptor in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return "a process that can't be seen from here"
