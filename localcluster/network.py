"""The cluster's network: the node's address on `lo`, one veth a pod, and kube-proxy's nftables."""

import json
import subprocess
from pathlib import Path

from console import ProblemError
from layout import NODE_IP, PODS, Layout, write

PLUGIN_DIRECTORIES = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin"))
PLUGINS = ("ptp", "host-local", "loopback")

PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def prepare(layout: Layout) -> None:
    """Gives the machine the node's address, and containerd the pods' network."""
    # On lo, as the kernel of a small virtual machine may have no `dummy` devices. Pods route to it through their veth.
    if not _has_node_address():
        _run("ip", "address", "add", f"{NODE_IP}/32", "dev", "lo")
    write(layout.state / "cni" / "10-pods.conflist", json.dumps(pod_network(layout), indent=2))


def pod_network(layout: Layout) -> dict[str, object]:
    """The CNI configuration: `ptp`, a routed link for each pod.

    Not `bridge`: two pods on one bridge answer each other past the host, so that a connection by way of a Service sees
    the answer come from an address it never called, unless br_netfilter is there. And ptp leaves no device behind.
    Not `portmap`: it would put iptables rules beside kube-proxy's nftables, for host ports that nobody needs here.
    """
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.state / "cni" / "addresses"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def remove(layout: Layout) -> None:
    """Takes back what the cluster put into the machine's network. Pods' links went with their network namespaces."""
    for family, table in PROXY_TABLES:
        _run("nft", "delete", "table", family, table, must=False)
    if _has_node_address():
        _run("ip", "address", "del", f"{NODE_IP}/32", "dev", "lo")


def plugin_directory() -> Path | None:
    """Where the CNI plugins are, if all that are needed are there."""
    for directory in PLUGIN_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in PLUGINS):
            return directory
    return None


def refuse_closed_forwarding() -> None:
    """Raises ProblemError if the machine's firewall drops what is forwarded, as Docker sets it: that cuts pods off."""
    listed = _run("nft", "--json", "list", "chains", must=False)
    for entry in json.loads(listed or "{}").get("nftables", []):
        chain = entry.get("chain", {})
        if chain.get("hook") == "forward" and chain.get("policy") == "drop":
            raise ProblemError(
                f"the machine's firewall drops forwarded packets (nftables table {chain['family']} {chain['table']}, "
                f"chain {chain['name']}), so pods could not reach each other. Docker sets it so; "
                "`iptables -P FORWARD ACCEPT` allows it."
            )


def _has_node_address() -> bool:
    return f" {NODE_IP}/32 " in _run("ip", "-oneline", "-4", "address", "show", "dev", "lo")


def _run(*command: str, must: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if must and done.returncode:
        raise ProblemError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
