"""docs/closing.md: its commands close a directory, and its table has every reason why a day is not closed."""

from __future__ import annotations

import os
import pathlib
import re
import sys

from .pages import DOCS, REPOSITORY, blocks, typed

PAGE = (DOCS / "closing.md").read_text(encoding="utf-8")
CONTENT = b"$Timestamp,$CorrelationId,$RequestId,age\r\n2026-01-02T00:00:00.000001Z,r1,r1,34\r\n"


def test_its_commands_close_a_directory(tmp_path: pathlib.Path) -> None:
    folder = "default/default/models/churn/churn/10/inputs/2026/01/02"
    (tmp_path / "collected" / folder).mkdir(parents=True)
    (tmp_path / "collected" / folder / "data.csv").write_bytes(CONTENT)
    program = tmp_path / "bin/modeldata"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m modeldata_analytics "$@"\n')
    program.chmod(0o755)
    (commands,) = blocks("sh", "laptop", page="docs/closing.md")
    typed(commands.text, tmp_path, {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert (tmp_path / "collected/closed" / folder / "data.csv").read_bytes() == CONTENT


def test_its_table_has_every_reason() -> None:
    _, _, told = PAGE.partition("### When a day is not closed")
    documented = set(re.findall(r"`([A-Z][A-Za-z]+)`", told.partition("### ")[0]))
    package = REPOSITORY / "analytics/modeldata_analytics"
    raised = set[str]()
    for path in (*package.glob("closing/*.py"), *package.glob("engines/*.py")):
        text = path.read_text(encoding="utf-8")
        raised |= set(re.findall(r'(?:DayError|EngineError)\(\s*"([A-Z][A-Za-z]+)"', text))
        raised |= set(re.findall(r'State\.FAILED, reason="([A-Z][A-Za-z]+)"', text))
    assert len(raised) > 10
    assert raised <= documented
