"""What stands in the pages' fences is what it says: Python compiles, YAML parses, a shell understands the commands."""

from __future__ import annotations

import ast
import subprocess
import textwrap

import pytest
import yaml

from .pages import REPOSITORY, Block, blocks

TESTS = [*(REPOSITORY / "tests/docs").rglob("*.py"), *(REPOSITORY / "tests/cluster").rglob("*.py")]


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.id)
def test_python_compiles(block: Block) -> None:
    ast.parse(textwrap.dedent(block.text))


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.id)
def test_yaml_parses(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.id)
def test_a_shell_understands_the_commands(block: Block) -> None:
    done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_every_fence_says_where_its_commands_are_run() -> None:
    assert {block.where for block in blocks("sh")} == {"laptop", "cluster", "localcluster", "machine"}


@pytest.mark.parametrize(("page", "where"), sorted({(each.page, each.where) for each in blocks("sh")}))
def test_some_test_asks_for_each_pages_commands(page: str, where: str) -> None:
    asked = f'blocks("sh", "{where}", page="{page}")'
    assert any(asked in path.read_text(encoding="utf-8") for path in TESTS)
