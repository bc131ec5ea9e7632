"""``make try``, as README.md has it: the joined table, with nothing but Python; twice."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from .conftest import run
from .pages import REPOSITORY, blocks


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    """The repository, as far as it is needed, where nothing that is made stays."""
    directory = tmp_path / "what is tried"
    directory.mkdir()
    for name in ("Makefile", "constraints.txt", "analytics", "client", "examples"):
        (directory / name).symlink_to(REPOSITORY / name)
    return directory


def serving() -> set[str]:
    """Return the processes that serve the demo's model."""
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in lines if "gunicorn" in line and "serve:app" in line}


@pytest.mark.timeout(900)  # packages are fetched and installed, beside all that other tests do
def test_a_model_is_collected_and_its_rows_are_a_table(checkout: pathlib.Path) -> None:
    (block,) = blocks("sh", "laptop", page="README.md")
    before = serving()
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": ""}  # what a user has, and not what these tests run with
    said, _ = run(block, checkout, path)
    assert "442 of 442 rows joined, each once\n" in said
    assert (
        len(re.findall(r"^\d+ +2\d{3}-\d\d-\d\d [\d:.]+\+00:00 +\S+( +-?\d\.\d+){3} +\d+\.\d+$", said, re.MULTILINE))
        == 5
    )
    said, _ = run(block, checkout, path)
    assert "442 of 442 rows joined, each once; 442 were there before" in said
    assert serving() <= before


def test_what_is_missing_is_said(checkout: pathlib.Path) -> None:
    script = str(REPOSITORY / "examples/laptop/laptop.py")
    place = checkout / ".try"
    (place / "collected").mkdir(parents=True)
    (place / "collected/notes.txt").write_text("theirs")
    done = subprocess.run(
        [sys.executable, script, str(place)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "analytics")},
        capture_output=True,
        text=True,
        cwd=checkout,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "something else in it (notes.txt)" in done.stderr
    assert "Traceback" not in done.stderr
