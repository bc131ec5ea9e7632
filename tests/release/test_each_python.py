"""The client's wheel, installed as a user does into each Python that this machine has, collects into a real Azurite."""

from __future__ import annotations

import collections.abc
import datetime
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from ..conftest import Azurite

OLDEST, NEWEST = (3, 9), (3, 14)
SCRIPT = """
import sys
import modeldata
inputs = modeldata.ModelDataCollector("m", designation="inputs", feature_names=["n", "text"])
for n in range(100):
    inputs.collect([[n, 'say "%d"' % n]])
assert modeldata.close(60), modeldata.stats()
print(modeldata.stats().delivered)
"""


def interpreters() -> dict[str, str]:
    """Find one interpreter of each supported version that can make virtual environments, by the version's name."""
    versions = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    named = [found for name in ("python3", *versions) if (found := shutil.which(name))]
    candidates = [
        sys.executable,
        *(path for path in named if "shims" not in path),
    ]  # of pyenv; what they lead to is below
    candidates += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3")))  # noqa: PTH111, PTH207
    asked = "import sys, venv, ensurepip; print(*sys.version_info[:2], sys._base_executable)"
    found: dict[str, str] = {}
    for candidate in candidates:
        said = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            major, minor, path = said.stdout.split(maxsplit=2)
            if OLDEST <= (int(major), int(minor)) <= NEWEST:
                found.setdefault(f"{major}.{minor}", path.strip())
    return found


FOUND = interpreters()


def test_the_python_that_runs_the_tests_is_among_those_found() -> None:
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in FOUND


@pytest.mark.azurite
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", sorted(FOUND, key=lambda each: int(each.partition(".")[2])))
def test_the_wheel_collects(version: str, dist: pathlib.Path, local_azurite: Azurite, tmp_path: pathlib.Path) -> None:
    environment = tmp_path / "environment"
    run([FOUND[version], "-m", "venv", str(environment)])
    python = str(environment / "bin/python")
    constraints = pathlib.Path(__file__).with_name("constraints.txt")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    wheels = [*dist.glob("modeldata-[0-9]*.whl"), *dist.glob("modeldata_azureml-*.whl")]
    run([*pip, "-c", str(constraints), *map(str, wheels)])
    run([python, "-W", "error", "-c", "import modeldata.web, modeldata.doctor.examination, azureml.monitoring"])

    container = prepare(tmp_path / "modeldata", local_azurite)
    said = run([python, "-c", SCRIPT], {"MODELDATA_DIR": str(tmp_path / "modeldata")})
    assert said.strip() == "100"
    service = BlobServiceClient.from_connection_string(local_azurite.connection_string)
    client = service.get_container_client(container)
    (blob,) = client.list_blobs()
    header, *rows, end = client.download_blob(blob.name).readall().decode().split("\r\n")
    assert header == "$Timestamp,$CorrelationId,$RequestId,n,text"
    assert [row.split(",", 3)[3] for row in rows] == [f'{n},"say ""{n}"""' for n in range(100)]
    assert end == ""


def run(command: list[str], more: collections.abc.Mapping[str, str] | None = None) -> str:
    """Run without what points the tests' own Python at this repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, env={**environment, **(more or {})}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def prepare(directory: pathlib.Path, azurite: Azurite) -> str:
    """Make a container, and a directory that leads to it."""
    container = f"python-{uuid.uuid4().hex[:8]}"
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container(container)
    (directory / "settings").mkdir(parents=True)
    (directory / "credential").mkdir()
    settings = {"version": 1, "enabled": True, "storage": {"endpoint": azurite.endpoint, "container": container}}
    (directory / "settings/settings.json").write_text(json.dumps(settings))
    sas = generate_container_sas(
        azurite.account_name,
        container,
        account_key=azurite.account_key,
        permission=ContainerSasPermissions(read=True, add=True, create=True),
        expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )
    (directory / "credential/sas").write_text(sas)
    return container
