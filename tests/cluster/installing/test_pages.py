"""docs/install.md and docs/operations.md, typed as they stand there, in a cluster that has no operator."""

from __future__ import annotations

import json
import pathlib
import re
import typing

import pytest

from ...chart.conftest import FOREIGN, foreign
from ...docs.pages import blocks
from ..installation import SYSTEM, left, uninstall_plainly
from ..shell import Shell

BUILD, INSTALL, INSTALL_PLAINLY, UPGRADE, UNINSTALL, _ = blocks("sh", "localcluster", page="docs/install.md")
CONFIGURATION = ("get", "mutatingwebhookconfiguration", "modeldata-operator", "--ignore-not-found", "-o", "name")

pytestmark = pytest.mark.timeout(600)


def test_readme_installs_as_the_page_does() -> None:
    *_, readme = blocks("sh", "localcluster", page="README.md")
    assert re.sub(" +#.*", "", readme.text) == BUILD.text + INSTALL.text


def test_install_upgrade_operate_and_uninstall_with_helm(
    cluster: typing.Any, tmp_path: pathlib.Path, eventually: typing.Any
) -> None:
    monitoring, remove = blocks("sh", "localcluster", page="docs/operations.md")
    shell = Shell(cluster, tmp_path)
    cluster.kubectl("delete", "crd", "datacollections.modeldata.dev", "storagegrants.modeldata.dev")
    shell(BUILD.text)
    assert "Phase:          Succeeded" in shell(INSTALL.text)
    images = "jsonpath={.items[*].spec.template.spec.containers[*].image}"
    used = set(cluster.kubectl("-n", SYSTEM, "get", "deployments", "-o", images).split())
    assert used == {"registry.example/modeldata-operator:0.1.0"}
    kinds = [(version, kind, plural) for version, kind, plural in FOREIGN["monitoring.coreos.com"]]
    for version, kind, plural in kinds:
        definition = foreign("monitoring.coreos.com", version, kind, plural)
        cluster.kubectl("apply", "-f", "-", input=json.dumps(definition))
    try:
        for _, _, plural in kinds:
            cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.monitoring.coreos.com")
        shell(monitoring.text)
        ours = ",".join(("configmaps", *(plural for _, _, plural in kinds)))
        found = cluster.kubectl("-n", SYSTEM, "get", ours, "-l", "app.kubernetes.io/part-of=modeldata", "-o", "name")
        assert len(found.split()) == 3
        shell(remove.text)
        assert cluster.kubectl(*CONFIGURATION) == ""
        shell(UPGRADE.text)
        assert cluster.kubectl(*CONFIGURATION)
        assert set(cluster.kubectl("-n", SYSTEM, "get", "deployments", "-o", images).split()) == used
        shell(UNINSTALL.text)
        eventually(lambda: left(cluster) == [], seconds=180)
    finally:
        for _, _, plural in kinds:
            cluster.kubectl("delete", "crd", f"{plural}.monitoring.coreos.com")


def test_install_and_uninstall_without_helm(cluster: typing.Any, tmp_path: pathlib.Path) -> None:
    cluster.kubectl(
        "delete", "crd", "datacollections.modeldata.dev", "storagegrants.modeldata.dev", "--ignore-not-found"
    )
    shell = Shell(cluster, tmp_path)
    shell(INSTALL_PLAINLY.text)
    for name in ("controller", "webhook"):
        status = ("rollout", "status", f"deploy/modeldata-operator-{name}", "--timeout=300s")
        cluster.kubectl("-n", SYSTEM, *status)
    uninstall_plainly(cluster)
