"""``docs/serving.md`` shows what the servers' examples say, word by word: those are what the cluster tests run."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "docs/serving.md").read_text()
EXAMPLES = {path.stem.removeprefix("with_"): path.read_text() for path in REPOSITORY.glob("examples/serving/with_*.py")}
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("server", EXAMPLES)
def test_each_example_is_shown_as_it_is(server: str) -> None:
    shown = [block for block in BLOCKS if block in EXAMPLES[server]]
    assert len(shown) == 1
    assert shown[0].count("collect(") == 2


def test_nothing_else_is_shown() -> None:
    assert len(BLOCKS) == len(EXAMPLES)


@pytest.mark.parametrize("server", EXAMPLES)
def test_collecting_takes_few_lines(server: str) -> None:
    lines = [
        line for line in EXAMPLES[server].splitlines() if re.search(r"modeldata|ModelDataCollector|collect\(", line)
    ]
    assert len(lines) <= 7, "two imports, two collectors, two calls, and one for the ids"
    ast.parse(EXAMPLES[server])


@pytest.mark.parametrize("server", EXAMPLES)
def test_each_example_has_a_deployment(server: str) -> None:
    assert f"examples/serving/with_{server}.py" in (REPOSITORY / f"manifests/samples/{server}.yaml").read_text()


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)|-f (\w\S+)", TEXT))
def test_what_is_named_is_there(target: tuple[str, str]) -> None:
    link, file = target
    assert (REPOSITORY / "docs" / link if link else REPOSITORY / file).exists()
