"""``python -m modeldata init``: what it makes is enough, is private, and takes nobody's place."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing
import uuid

import jsonschema
import pytest
from azure.storage.blob import ContainerClient

from modeldata import preparation

from . import conftest
from .test_doctor import doctor

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/contract/settings.schema.json").read_text())
COLLECT = "from modeldata import ModelDataCollector\nModelDataCollector('m', 'inputs', ['n']).collect([[0], [1]])"


def init(*arguments: object, connection: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MODELDATA", "AZURE"))}
    if connection:
        environment[preparation.VARIABLE] = connection
    return subprocess.run(
        [sys.executable, "-m", "modeldata", "init", *map(str, arguments)],
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
        umask=0o002,
    )


def environment(directory: pathlib.Path) -> dict[str, str]:
    return {**os.environ, preparation.lifecycle.DIRECTORY_VARIABLE: str(directory)}


def collect(directory: pathlib.Path) -> None:
    subprocess.run([sys.executable, "-c", COLLECT], env=environment(directory), timeout=60, check=True)


def modes(directory: pathlib.Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}


def test_a_directory_is_ready_to_collect_and_can_be_made_again(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "what is collected"
    done = init(directory, "--local")
    assert done.returncode == 0, done.stderr
    assert f"export MODELDATA_DIR='{directory}'" in done.stdout
    document = json.loads((directory / "settings/settings.json").read_text())
    jsonschema.validate(document, SCHEMA)
    assert not doctor(environment(directory)).wrong
    assert all(not mode & 0o077 for mode in modes(directory).values())
    collect(directory)
    (there,) = (directory / "data").rglob("data.csv")
    assert len(there.read_text().splitlines()) == 3
    (directory / "settings/settings.json").write_text(json.dumps({**document, "enabled": False}))
    assert init(directory, "--local").returncode == 0
    assert json.loads((directory / "settings/settings.json").read_text())["enabled"] is False
    collect(directory)
    assert len(there.read_text().splitlines()) == 3


@pytest.mark.azurite
def test_a_container_is_ready_to_be_collected_into(local_azurite: typing.Any, tmp_path: pathlib.Path) -> None:
    directory, name = tmp_path / "collected", f"test-{uuid.uuid4().hex[:12]}"
    done = init(directory, "--container", name, connection=local_azurite.connection_string)
    assert done.returncode == 0, done.stderr
    assert "good until" in done.stdout
    jsonschema.validate(json.loads((directory / "settings/settings.json").read_text()), SCHEMA)
    first = (directory / "credential/sas").read_text()
    assert modes(directory)["credential/sas"] == 0o600
    assert local_azurite.account_key not in "".join(each.read_text() for each in directory.rglob("*") if each.is_file())
    report = doctor(environment(directory))
    assert not report.wrong
    assert not report.warnings
    collect(directory)
    container = ContainerClient(local_azurite.endpoint, name, local_azurite.account_key)
    pod = conftest.Pod(directory, container, local_azurite, local_azurite.endpoint)
    assert pod.numbers() == [0, 1]
    again = init(directory, "--container", name, "--connection-string", local_azurite.connection_string)
    assert again.returncode == 0, again.stderr
    assert (directory / "credential/sas").read_text() != first
    assert pod.numbers() == [0, 1]


def test_what_is_somebody_elses_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/notes.txt").write_text("theirs")
    (tmp_path / "file").write_text("theirs")
    ours = tmp_path / "ours"
    assert init(ours, "--local").returncode == 0
    (ours / "settings/settings.json").write_text('{"storage": {"endpoint": "https://x", "container": "c"}}')
    (tmp_path / "odd/settings").mkdir(parents=True)
    (tmp_path / "odd/settings/settings.json").write_text("no JSON")
    for name, words in (
        ("theirs", "something else in it (notes.txt)"),
        ("file", "is a file"),
        ("ours", "rows go to https://x/c"),
        ("odd", "can't be read"),
    ):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        done = init(tmp_path / name, "--local")
        assert done.returncode == 1
        assert words in done.stderr
        assert not done.stdout
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ("", "where are rows to go?"),
        ("secret", "this is no connection string"),
        ("AccountName=a;SharedAccessSignature=sig=secret;BlobEndpoint=http://127.0.0.1:1/a", "has no AccountKey"),
        ("AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:1/a", "can't be reached"),
    ],
)
def test_what_can_not_be_done_is_said_without_the_key(tmp_path: pathlib.Path, connection: str, words: str) -> None:
    done = init(tmp_path / "collected", connection=connection)
    assert done.returncode == 1
    assert words in done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert "c2VjcmV0" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "collected/settings/settings.json").exists()


@pytest.mark.azurite
def test_a_wrong_key_is_said(local_azurite: typing.Any, tmp_path: pathlib.Path) -> None:
    wrong = local_azurite.connection_string.replace(local_azurite.account_key, "d3Jvbmc=")
    done = init(tmp_path / "collected", connection=wrong)
    assert done.returncode == 1
    assert "refuses to make the container" in done.stderr


def test_one_that_was_interrupted_is_finished_by_the_next(tmp_path: pathlib.Path) -> None:
    for name in ("settings", "credential"):
        (tmp_path / "collected" / name).mkdir(parents=True)
    assert init(tmp_path / "collected", "--local").returncode == 0
    assert not doctor(environment(tmp_path / "collected")).wrong
