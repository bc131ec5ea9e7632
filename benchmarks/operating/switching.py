"""From the start of ``kubectl patch`` until the model processes obey: real pods, a real kubelet.

Needs the local cluster (root): brings it up, installs the operator, and leaves both. The pods' clock is this machine's.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
import typing

import report

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
NAMESPACE = "benchmark-switching"
PODS = 3
SWITCHES = 20
REST_SECONDS = 3.0
"""Between two switches, so that the second writing of the settings (see ``pushing``) is none of the next one's."""

# Azurite's well-known key, the same in every installation of it: no secret.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

MODEL = """
import time
from modeldata import ModelDataCollector, stats
model, collecting = ModelDataCollector("m", "inputs", ["n"]), None
while True:
    before = stats().accepted
    model.collect([[1]])
    if (stats().accepted > before) is not collecting:
        collecting = not collecting
        print(time.time(), collecting, flush=True)
    time.sleep(0.005)
"""


def measure() -> report.Part:
    """Switch off and on in turn; the longest of the pods counts."""
    cluster = _Cluster()
    longest: list[float] = []
    try:
        cluster.install()
        cluster.deploy()
        for number in range(SWITCHES):
            enabled = number % 2 == 1
            begin = time.time()
            patch = json.dumps({"spec": {"enabled": enabled}})
            cluster.kubectl("patch", "mdc", "switched", "--type", "merge", "-p", patch)
            longest.append(max(moment - begin for moment in cluster.obeyed(number + 2, enabled=enabled)))
            time.sleep(REST_SECONDS)
    finally:
        cluster.leave()
    title = "from the start of kubectl patch until all of 3 models obey"
    detail = f"{SWITCHES} switches; {', '.join(report.number(each) for each in sorted(longest))} s"
    return report.Part(
        (
            report.Row(f"{title}, median", 0.5, report.middle(longest), "s", detail=detail),
            report.Row(f"{title}, worst", 1.0, max(longest), "s"),
        ),
        (),
    )


class _Cluster:
    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise SystemExit("the local cluster needs root")
        self._was_up = self._ask("status").returncode == 0
        self._local("up")
        self._local("images", "azurite", "operator", "diabetes")
        self._programs = pathlib.Path(self._local("bin").strip())
        self._kubeconfig = self._local("kubeconfig").strip()

    def leave(self) -> None:
        """Leave the machine as it was: what runs on would take its part of all that is measured next."""
        if self._was_up:
            self.kubectl("delete", "namespace", NAMESPACE, "--wait=false", everywhere=True)
        else:
            self._local("down")

    def install(self) -> None:
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds"), everywhere=True)
        self.kubectl("apply", "-f", str(REPOSITORY / "manifests/install.yaml"), everywhere=True)
        controller = ("-n", "modeldata-system", "set", "env", "deploy/modeldata-operator-controller")
        self.kubectl(*controller, "MODELDATA_ALLOWED_HOSTS=azurite.storage.svc:10000", everywhere=True)
        self.kubectl("apply", "-f", str(REPOSITORY / "examples/azurite.yaml"), everywhere=True)
        for namespace, name in (
            ("modeldata-system", "modeldata-operator-webhook"),
            ("modeldata-system", "modeldata-operator-controller"),
            ("storage", "azurite"),
        ):
            self.kubectl("-n", namespace, "rollout", "status", f"deploy/{name}", "--timeout=180s", everywhere=True)

    def deploy(self) -> None:
        self.kubectl("create", "namespace", NAMESPACE, everywhere=True)
        account = ["--from-literal=accountName=devstoreaccount1", f"--from-literal=accountKey={AZURITE_KEY}"]
        self.kubectl("create", "secret", "generic", "account", *account)
        storage = {
            "endpoint": "http://azurite.storage.svc:10000/devstoreaccount1",
            "credential": {"secretRef": {"name": "account"}},
        }
        self._apply(
            "modeldata.dev/v1alpha1",
            "DataCollection",
            "switched",
            {"storage": storage, "selector": {"matchLabels": {"app": "switched"}}},
        )
        container = {"name": "model", "image": "localhost/diabetes:dev", "imagePullPolicy": "IfNotPresent"}
        pod = {"containers": [{**container, "command": ["python3", "-c", MODEL]}], "terminationGracePeriodSeconds": 1}
        labels = {"app": "switched"}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": PODS, "selector": {"matchLabels": labels}, "template": template}
        self._apply("apps/v1", "Deployment", "switched", spec)
        self.kubectl("rollout", "status", "deploy/switched", "--timeout=120s")
        self.kubectl("wait", "--for=condition=Ready", "mdc/switched", "--timeout=60s")
        self.obeyed(1, enabled=True)

    def obeyed(self, count: int, *, enabled: bool) -> list[float]:
        """Wait until each pod has changed its mind so many times; return when it last did."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            names = self.kubectl("get", "pods", "-l", "app=switched", "-o", "jsonpath={.items[*].metadata.name}")
            said = [self.kubectl("logs", name).split("\n")[:-1] for name in names.split()]
            if len(said) == PODS and all(len(lines) >= count for lines in said):
                moments = [lines[count - 1].split() for lines in said]
                assert all(word == str(enabled) for _, word in moments), moments
                return [float(moment) for moment, _ in moments]
            time.sleep(0.5)
        raise SystemExit(f"not all models obeyed within 120 s: {said}")

    def kubectl(self, *arguments: str, everywhere: bool = False, document: typing.Any = None) -> str:
        command = [str(self._programs / "kubectl"), "--kubeconfig", self._kubeconfig]
        command += [] if everywhere else ["-n", NAMESPACE]
        text = None if document is None else json.dumps(document)
        done = subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"kubectl {arguments}: {done.stderr.strip()}")
        return done.stdout

    def _apply(self, version: str, kind: str, name: str, spec: typing.Any) -> None:
        document = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.kubectl("apply", "-f", "-", document=document)

    def _local(self, *arguments: str) -> str:
        done = self._ask(*arguments)
        if done.returncode:
            raise SystemExit(f"localcluster {arguments[0]} failed")
        return done.stdout

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(REPOSITORY / "localcluster"), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
