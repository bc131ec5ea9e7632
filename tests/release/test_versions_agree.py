"""Everything that is released has one version, and the changelog begins with it."""

from __future__ import annotations

import pathlib
import re
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_all_have_one_version() -> None:
    chart = yaml.safe_load((ROOT / "manifests/chart/Chart.yaml").read_text())
    versions = {"chart": chart["version"], "its image": chart["appVersion"]}
    for project in ("client", "client/azureml", "operator"):
        versions[project] = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    versions["changelog"] = newest[1]
    assert len(set(versions.values())) == 1, versions


def test_what_the_docs_install_is_this_version() -> None:
    version = yaml.safe_load((ROOT / "manifests/chart/Chart.yaml").read_text())["version"]
    for page in ("README.md", "docs/install.md"):
        named = set(re.findall(r"modeldata-operator:(\d[\w.]*)|image\.tag=([\w.]+)", (ROOT / page).read_text()))
        assert {first or second for first, second in named} == {version}, page
