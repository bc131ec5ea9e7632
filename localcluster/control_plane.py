"""The control plane: etcd, API server, controller manager and scheduler, as the commands they are started by."""

from pathlib import Path

from layout import API_PORT, NODE_IP, PODS, SERVICES, Layout

STORE = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")


def commands(layout: Layout, programs: Path) -> dict[str, list[str]]:
    """The command of each program."""
    return {
        "etcd": _etcd(layout, programs),
        "kube-apiserver": _api_server(layout, programs),
        "kube-controller-manager": _controller_manager(layout, programs),
        "kube-scheduler": [
            str(programs / "kube-scheduler"),
            f"--kubeconfig={layout.pki}/scheduler.conf",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ],
    }


def _etcd(layout: Layout, programs: Path) -> list[str]:
    return [
        str(programs / "etcd"),
        f"--data-dir={layout.state}/etcd",
        # This cluster is thrown away: to survive a power failure is not worth the seconds that fsync costs.
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def _api_server(layout: Layout, programs: Path) -> list[str]:
    pki = layout.pki
    return [
        str(programs / "kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--service-cluster-ip-range={SERVICES}",
        # Only on the node's own address: this machine and the pods reach it, the machine's network does not.
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--cert-dir={pki}",
        f"--client-ca-file={pki}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
    ]


def _controller_manager(layout: Layout, programs: Path) -> list[str]:
    pki = layout.pki
    return [
        str(programs / "kube-controller-manager"),
        f"--kubeconfig={pki}/controller-manager.conf",
        "--bind-address=127.0.0.1",
        # Alone, it needs no election; waiting for the last leader's lease to end would cost 15 s after every restart.
        "--leader-elect=false",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        "--use-service-account-credentials",
        # Each controller first asks for its credentials; at the default 20 requests a second that took 4 s of `up`.
        "--kube-api-qps=300",
        "--kube-api-burst=300",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs",
        f"--cluster-cidr={PODS}",
        "--node-cidr-mask-size=24",
        # Its default is a directory of the machine, which it makes.
        f"--flex-volume-plugin-dir={layout.state}/volume-plugins",
    ]
