"""README's first two commands: the demo, and its end."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from ..docs.pages import REPOSITORY, blocks

pytestmark = [pytest.mark.own_cluster, pytest.mark.timeout(900)]


def test_make_demo_holds_and_make_demo_down_removes_it(tmp_path: pathlib.Path) -> None:
    (block,) = blocks("sh", "machine", page="README.md")
    demo, down = block.text.splitlines()
    environment = {**os.environ, "LOCALCLUSTER_STATE": str(tmp_path / "state")}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    try:
        said = run(demo)
        assert "442 of 442 rows joined by $RequestId" in said
        assert "✗" not in said
    finally:
        run(down)
    assert not (tmp_path / "state").exists()
