"""The same source gives the same bytes, and the archives hold what they should."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(900)  # each bill of materials is made of what pip has installed

NAMES = ("modeldata", "modeldata_azureml", "modeldata_operator")


def built(source: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
    command = [sys.executable, str(ROOT / "release"), "--source", str(source), "--directory", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return built(ROOT, tmp_path_factory.mktemp("dist"))


def test_built_elsewhere_from_newer_files_the_bytes_are_the_same(dist: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for project in ("client", "operator"):
        # Copied without their times: each file is of now.
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / project, tmp_path / "source" / project, copy_function=shutil.copyfile, ignore=ignored)
    # Part of an sdist too: it says what is left out.
    shutil.copyfile(ROOT / ".gitignore", tmp_path / "source/.gitignore")
    again = built(tmp_path / "source", tmp_path / "dist")

    def sums(directory: pathlib.Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}

    assert sums(again) == sums(dist)
    assert len(sums(dist)) == 3 * len(NAMES)


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
    assert {"pyproject.toml", "README.md", "PKG-INFO"} <= archived


@pytest.mark.parametrize("name", NAMES)
def test_the_bill_of_materials_names_what_comes_along_and_no_place(dist: pathlib.Path, name: str) -> None:
    (path,) = dist.glob(f"{name}-[0-9]*.cdx.json")
    text = path.read_text()
    bill = json.loads(text)
    assert bill["bomFormat"] == "CycloneDX"
    components = {each["name"] for each in bill["components"]}
    assert "azure-storage-blob" in components
    assert ("kopf" in components) == (name == "modeldata_operator")
    # Neither where it was built nor where from.
    assert str(ROOT) not in text
    assert "file://" not in text
    assert "index-url" not in text
