"""README's first two commands: the demo, and its end."""

from __future__ import annotations

import os
import pathlib
import tempfile

import pytest

from ..docs.pages import REPOSITORY, blocks, typed

pytestmark = [pytest.mark.own_cluster, pytest.mark.timeout(900)]


def test_make_demo_holds_and_make_demo_down_removes_it() -> None:
    (block,) = blocks("sh", "machine", page="README.md")
    demo, down = block.text.splitlines()
    with tempfile.TemporaryDirectory(prefix="demo-") as directory:  # a short name: sockets lie in it
        state = pathlib.Path(directory, "state")
        try:
            said = run(demo, state)
            assert "442 of 442 rows joined by $RequestId" in said
            assert "each row is there once" in said
        finally:
            run(down, state)
        assert not state.exists()


def run(command: str, state: pathlib.Path) -> str:
    """Run a command for a cluster of this test's own; return what it printed."""
    return typed(command, REPOSITORY, {**os.environ, "LOCALCLUSTER_STATE": str(state)})
