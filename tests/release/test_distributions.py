"""The same source gives the same bytes, and the archives hold what they should."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess
import tarfile
import zipfile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from .conftest import ROOT, Build

PACKAGES = {
    "modeldata": "client/modeldata",
    "modeldata_azureml": "client/azureml/azureml",
    "modeldata_operator": "operator/modeldata_operator",
}
NAMES = tuple(PACKAGES)

pytestmark = pytest.mark.timeout(900)  # each bill of materials is made of what pip has installed


def test_built_elsewhere_from_newer_files_the_bytes_are_the_same(
    build: Build, dist: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name in ("LICENSE", ".gitignore"):
        (tmp_path / "source").mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "source" / name)
    for project in ("client", "operator"):
        # Copied without their times and rights: each file is of now.
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / project, tmp_path / "source" / project, copy_function=shutil.copyfile, ignore=ignored)
    again = build(tmp_path / "source", tmp_path / "dist")

    def sums(directory: pathlib.Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}

    assert sums(again) == sums(dist)
    assert len(sums(dist)) == 3 * len(NAMES) + 1


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_archives_and_they_hold_the_packages_alone(dist: pathlib.Path, name: str) -> None:
    (wheel,) = dist.glob(f"{name}-[0-9]*.whl")
    (sdist,) = dist.glob(f"{name}-[0-9]*.tar.gz")
    package = name if name != "modeldata_azureml" else "azureml"
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {each.partition("/")[0] for each in inside} == {
        package,
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    if package != "azureml":  # a namespace package
        assert f"{package}/py.typed" in inside
    with tarfile.open(sdist) as archive:
        archived = {each.partition("/")[2] for each in archive.getnames()}
    assert {"pyproject.toml", "README.md", "PKG-INFO", "LICENSE"} <= archived
    assert any(each.endswith(".dist-info/licenses/LICENSE") for each in inside)
    # Every module, and no more: no test, no other distribution, nothing that a tool left.
    source = ROOT / PACKAGES[name]
    modules = {str(path.relative_to(source.parent)) for path in source.rglob("*") if path.suffix in (".py", ".typed")}
    assert modules == {each for each in inside if ".dist-info/" not in each}
    assert modules == {each for each in archived if "/" in each}


@pytest.mark.parametrize("name", NAMES)
def test_the_bill_of_materials_names_what_comes_along_and_no_place(dist: pathlib.Path, name: str) -> None:
    (path,) = dist.glob(f"{name}-[0-9]*.cdx.json")
    text = path.read_text()
    bill = json.loads(text)
    assert bill["bomFormat"] == "CycloneDX"
    components = {each["name"] for each in bill["components"]}
    assert "azure-storage-blob" in components
    assert ("kopf" in components) == (name == "modeldata_operator")
    versions = dict(line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().split())
    ours = {"modeldata": bill["metadata"]["component"]["version"]}
    found = {each["name"].lower(): each["version"] for each in bill["components"]}
    assert found == {each: {**versions, **ours}[each] for each in found}
    # Neither where it was built nor where from.
    assert str(ROOT) not in text
    assert "://" not in text.replace(bill["$schema"], "")
    assert "file:" not in text


def test_a_bill_of_materials_is_one_by_its_schema(dist: pathlib.Path) -> None:
    (path,) = dist.glob("modeldata_operator-*.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None


def test_the_sums_are_those_of_the_files(dist: pathlib.Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)
