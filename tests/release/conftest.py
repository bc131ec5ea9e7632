"""What is released, built once from this checkout."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Build(typing.Protocol):
    def __call__(self, source: pathlib.Path, directory: pathlib.Path) -> pathlib.Path: ...


@pytest.fixture(scope="session")
def build() -> Build:
    def built(source: pathlib.Path, directory: pathlib.Path) -> pathlib.Path:
        command = [sys.executable, str(ROOT / "release"), "--source", str(source), "--directory", str(directory)]
        # Of a commit that nobody made: a tree that is no checkout is built too.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return directory

    return built


@pytest.fixture(scope="session")
def dist(build: Build, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"))
