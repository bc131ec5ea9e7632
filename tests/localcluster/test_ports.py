import os
import socket

import pytest

import ports
from console import ProblemError


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        taken = ports.Port("etcd", "127.0.0.1", number)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ports, "NEEDED", (taken,))
            with pytest.raises(
                ProblemError, match=rf"127.0.0.1:{number}/tcp \(etcd's\) is taken by .*\(pid {os.getpid()}\)"
            ):
                ports.refuse_taken(["etcd"])
            ports.refuse_taken(["kubelet"])


@pytest.mark.parametrize(
    ("address", "clashes"),
    [("127.0.0.1", True), ("0.0.0.0", True), ("::", True), ("127.0.0.53", False), ("10.0.0.1", False)],
)
def test_a_listener_clashes_on_the_same_address_or_on_all(address: str, clashes: bool) -> None:
    port = ports.Port("etcd", "127.0.0.1", 2379)
    assert ports.clash(port, ports.Listener("tcp", address, 2379, "1")) is clashes
    assert not ports.clash(port, ports.Listener("tcp", address, 2380, "1"))
    assert not ports.clash(port, ports.Listener("udp", address, 2379, "1"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("0100C90A", "10.201.0.1"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_are_read_as_the_kernel_writes_them(text: str, address: str) -> None:
    assert ports.parse_address(text) == address
