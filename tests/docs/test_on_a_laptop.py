"""docs/collecting.md on a laptop: each command as it stands there, in a new directory, with a real Azurite."""

from __future__ import annotations

import pathlib
import re

import pytest
from azure.storage import blob

from .conftest import run
from .pages import REPOSITORY, blocks


@pytest.mark.azurite
def test_from_nothing_to_a_table(account: dict[str, str], tmp_path: pathlib.Path) -> None:
    *first, in_azure = blocks("sh", "laptop", page="docs/collecting.md")
    install, script, debug, prepare, doctor, collect, show = first
    (tmp_path / "client").symlink_to(REPOSITORY / "client")
    _, variables = run(install, tmp_path, {})
    assert variables["PATH"].startswith(f"{tmp_path}/venv/bin:")
    said, variables = run(script, tmp_path, variables)
    assert said == "[[0.41], [0.29]]\n"
    said, variables = run(debug, tmp_path, variables)
    assert ",41,3" in said
    assert ",0.29" in said
    _, variables = run(prepare, tmp_path, variables)
    for command in (doctor, *blocks("sh", "laptop", page="client/README.md")):
        said, variables = run(command, tmp_path, variables)
        assert "wrong" not in said
        assert re.search("^ok +storage", said, re.MULTILINE)
    _, variables = run(collect, tmp_path, variables)
    said, variables = run(show, tmp_path, variables)
    assert re.search(r"/inputs/\d{4}/\d\d/\d\d/data.csv$", said, re.MULTILINE)
    rows = re.findall(r"-([01]) +(\d+) +(\d+) +([\d.]+)$", said, re.MULTILINE)
    assert rows == [("0", "41", "3", "0.41"), ("1", "29", "7", "0.29")]
    run(collect, tmp_path, variables)
    said, _ = run(show, tmp_path, variables)
    assert len(re.findall(r"-[01] +\d+ +\d+ +[\d.]+$", said, re.MULTILINE)) == 4
    said, _ = run(in_azure, tmp_path, {**variables, **account})
    assert "wrong" not in said
    with blob.ContainerClient.from_connection_string(account["CONNECTION"], "modeldata") as container:
        there = [container.download_blob(each.name).readall() for each in container.list_blobs()]
    assert sorted(each.count(b"\r\n") for each in there) == [3, 3]
