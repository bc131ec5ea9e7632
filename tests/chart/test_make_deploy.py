"""`make deploy` says which cluster it is, and does nothing to it unless it is told to."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from ..apiserver import server
from .conftest import REPOSITORY, Helm


@pytest.mark.parametrize("target", ["deploy", "undeploy"])
@pytest.mark.parametrize("answer", ["", "n\n", "yes of course\n"])
def test_without_a_yes_nothing_is_done(strict: server.ApiServer, helm: Helm, target: str, answer: str) -> None:
    path = f"{pathlib.Path(helm.program).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(strict.kubeconfig), "PATH": path}
    done = subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=REPOSITORY,
        env=environment,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nothing was done" in done.stderr
    there = [
        item["metadata"]["name"]
        for item in strict.get(f"/apis/apps/v1/namespaces/{server.NAMESPACE}/deployments")["items"]
    ]
    assert "modeldata-operator-webhook" not in there
