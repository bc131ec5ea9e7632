"""Behind each "can't" of docs/security.md stands a test that tries it."""

from __future__ import annotations

import ast
import re

import pytest

from .pages import DOCS, REPOSITORY

PAGE = (DOCS / "security.md").read_text(encoding="utf-8")
THREATS = PAGE.partition("## Threats\n")[2].partition("\n## ")[0]
SECTIONS = re.split(r"^### ", THREATS, flags=re.MULTILINE)[1:]
ROWS = [
    (section.splitlines()[0], row)
    for section in SECTIONS
    for row in re.findall(r"^\| (?!can't|---)(.+) \|$", section, re.MULTILINE)
]


def names_of_tests() -> set[str]:
    """Name every test that there is."""
    found = set()
    for file in (REPOSITORY / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


TESTS = names_of_tests()


def test_every_one_who_could_do_harm_is_looked_at() -> None:
    actors = " ".join(section.splitlines()[0].lower() for section in SECTIONS)
    for word in ("datacollections", "deployments or pods", "secrets", "a pod", "webhook", "controller"):
        assert word in actors
    assert all("| can't | tried by |" in section for section in SECTIONS)


@pytest.mark.parametrize(("actor", "row"), ROWS, ids=[f"{actor}-{row[:40]}" for actor, row in ROWS])
def test_what_somebody_can_not_do_is_tried(actor: str, row: str) -> None:
    names = re.findall(r"`(test_\w+)`", row)
    assert names, f"{actor}: nothing tries that one can't {row}"
    assert [name for name in names if name not in TESTS] == []


def test_every_other_test_that_the_page_names_exists() -> None:
    files = {file.name for file in (REPOSITORY / "tests").rglob("*.py")}
    named = re.findall(r"`(?:[\w/]+/)?(test_\w+)(\.py)?`", PAGE)
    assert [name for name, ending in named if (f"{name}.py" if ending else name) not in {*files, *TESTS}] == []
