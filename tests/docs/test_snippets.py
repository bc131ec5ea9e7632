"""What stands in the pages' fences is what it says: Python compiles, YAML parses, a shell understands the commands."""

from __future__ import annotations

import ast
import subprocess
import textwrap

import pytest
import yaml

from .pages import Block, blocks


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


def test_every_place_that_a_fence_names_is_one_where_tests_run_commands() -> None:
    assert {block.where.split(" ")[0] for block in blocks("sh")} == {"", "laptop", "cluster", "tryout"}
