"""The real controller of Argo Rollouts, built from its Go module, as a process of this machine that leads itself."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import typing

import pytest

from ..apiserver.server import REPOSITORY, free_ports

sys.path.insert(0, str(REPOSITORY / "localcluster"))

import requirements
from console import ProblemError

MODULE = "github.com/argoproj/argo-rollouts"
VERSION = "v1.8.3"
SUM = "h1:blbtQva4IK9r6gFh+dWkCrLnFdPOWiv9ubQYu36qeaA="
"""Of the module's content, as go.sum would have it. Built as its own main module, as its replacements count only there,
it has no go.sum of ours."""


def source() -> pathlib.Path:
    """The module's directory in Go's cache."""
    command = [_go(), "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"Argo Rollouts can't be had: {done.stderr.strip() or done.stdout.strip()}", pytrace=False)
    found = json.loads(done.stdout)
    assert found["Sum"] == SUM
    return pathlib.Path(found["Dir"])


def controller() -> pathlib.Path:
    """The program, built once for each version."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "modeldata"
    program = cache / f"rollouts-controller-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "rollouts-controller.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two runs one builds it
        if not program.exists():
            unfinished = program.with_suffix(f".{os.getpid()}")
            command = [_go(), "build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w"]
            done = subprocess.run(
                [*command, "-o", str(unfinished), "./cmd/rollouts-controller"],
                cwd=source(),
                # As localcluster builds the cluster's programs.
                env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOGC": "800"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                pytest.fail(f"Argo Rollouts can't be built: {done.stderr[-2000:]}", pytrace=False)
            unfinished.replace(program)
    return program


def _go() -> str:
    try:
        return requirements.go()
    except ProblemError as problem:
        pytest.fail(f"Argo Rollouts can't be built: {problem}", pytrace=False)


@contextlib.contextmanager
def installed(cluster: typing.Any, directory: pathlib.Path) -> typing.Iterator[None]:
    """Have the kinds and the controller of Argo Rollouts in a cluster."""
    program, kinds = controller(), str(source() / "manifests/crds")
    definitions = sorted(str(path) for path in pathlib.Path(kinds).glob("*-crd.yaml"))
    files = [argument for path in definitions for argument in ("-f", path)]
    cluster.kubectl("apply", "--server-side", *files)
    health, metrics = free_ports(2)
    ports = ["--healthzPort", str(health), "--metricsport", str(metrics)]
    command = [str(program), "--kubeconfig", str(cluster.kubeconfig), "--leader-elect=false", *ports]
    log = directory / "rollouts-controller.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print(f"--- {log} (exit {process.returncode})\n{log.read_text(errors='replace')[-20000:]}")
        cluster.kubectl("delete", *files, "--ignore-not-found", "--timeout=60s")
