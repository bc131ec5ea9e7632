"""The node: containerd, the kubelet, kube-proxy and CoreDNS, as their configuration files and commands."""

import json
from pathlib import Path

import kernel
import network
import requirements
from layout import NODE_IP, NODE_NAME, PODS, Layout, write

RUNTIME = ("containerd",)
AGENTS = ("kubelet", "kube-proxy", "coredns")

PAUSE = "localhost/pause:1"


def commands(layout: Layout, programs: Path) -> dict[str, list[str]]:
    """The command of each program."""
    return {
        "containerd": [requirements.find("containerd") or "containerd", "--config", f"{layout.state}/containerd.toml"],
        "kubelet": [
            str(programs / "kubelet"),
            f"--config={layout.state}/kubelet.json",
            f"--kubeconfig={layout.pki}/kubelet.conf",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_IP}",
            f"--root-dir={layout.kubelet_root}",
        ],
        "kube-proxy": [str(programs / "kube-proxy"), f"--config={layout.state}/proxy.json"],
        "coredns": [str(programs / "coredns"), "-conf", f"{layout.state}/Corefile"],
    }


def configure(layout: Layout) -> None:
    """Writes the configuration files."""
    write(layout.state / "containerd.toml", containerd(layout))
    write(layout.state / "kubelet.json", json.dumps(kubelet(layout), indent=2))
    write(layout.state / "proxy.json", json.dumps(proxy(layout), indent=2))
    write(layout.state / "Corefile", corefile(layout))


def containerd(layout: Layout) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc may not lower it, and dies with "can't get final child's PID
    # from pipe".
    # netns_mounts_under_state_dir: `down` then finds every network namespace of ours by its path, and no one else's.
    return f"""\
version = 2
root = "{layout.state}/containerd/root"
state = "{layout.state}/containerd/state"
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.state}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{network.plugin_directory()}"
    conf_dir = "{layout.state}/cni"
"""


def kubelet(layout: Layout) -> dict[str, object]:
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{kernel.CGROUP}",
        "failCgroupV1": False,  # 1.35 refuses cgroup v1 unless told
        "failSwapOn": False,
        "oomScoreAdj": 0,  # a lower one needs CAP_SYS_RESOURCE
        "makeIPTablesUtilChains": False,  # kube-proxy speaks nftables; nothing here needs the kubelet's iptables chains
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        # A machine may be nearly full and still run the tests; and an image that was imported can't be pulled again.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "crashLoopBackOff": {
            "maxContainerRestartPeriod": "2s"
        },  # a test that crashes a container need not wait minutes
        # Their defaults are directories of the machine.
        "podLogsDir": f"{layout.log}/pods",
        "volumePluginDir": f"{layout.state}/volume-plugins",
    }


def proxy(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE_NAME,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": f"{layout.pki}/proxy.conf"},
        "nftables": {"minSyncPeriod": "100ms"},
        # Zeros leave the machine's own connection tracking as it is; elsewhere its sysctls are read-only anyhow.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    }


def corefile(layout: Layout) -> str:
    return f"""\
.:53 {{
  bind {NODE_IP}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {layout.kubeconfig} localcluster
  }}
  cache 5
}}
"""
