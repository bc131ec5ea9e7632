"""The pages, and what stands in their fences.

The word after a fence's language says where its commands are run: ``laptop``, in a directory of a test's own;
``cluster``, against an API server (both in ``tests/docs``); ``localcluster``, in the local cluster, and ``machine``,
where none is up yet (``tests/cluster``).
"""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys
import typing

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md"), *REPOSITORY.glob("client/**/README.md")])


class Block(typing.NamedTuple):
    """What stands between two fences."""

    page: str
    line: int
    language: str
    where: str
    """The rest of the fence's line."""
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str, where: str | None = None, *, page: str = "") -> list[Block]:
    """Return the blocks of a language, in the order of the pages."""
    return [
        each
        for each in _ALL
        if each.language == language and (where is None or each.where == where) and (not page or each.page == page)
    ]


def table_commands() -> list[str]:
    """Return the commands of docs/troubleshooting.md's table, in order."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    cells = [line.rsplit(" | ", 1)[1].removesuffix(" |") for line in text.splitlines() if line.count(" | ") == 2]
    return [cell.strip("`") for cell in cells if cell.startswith("`kubectl")]


def typed(commands: str, directory: pathlib.Path, environment: typing.Mapping[str, str], *, check: bool = True) -> str:
    """Run commands as a user's shell would; return what they print.

    The first that fails is an error, unless told not to check. Variables are exported.
    """
    done = subprocess.run(
        ["bash", "-aeuo", "pipefail", "-c", commands],
        cwd=directory,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def stand_in(program: pathlib.Path, script: pathlib.Path, *arguments: str) -> None:
    """Make a program that runs a script of the tests, with these arguments before its own."""
    command = shlex.join([sys.executable, str(script), *arguments])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def _read(path: pathlib.Path) -> typing.Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w+)? ?([\w ]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(str(path.relative_to(REPOSITORY)), line, found[1] or "", found[2], found[3])


_ALL = [block for path in PAGES if "decisions" not in path.parts for block in _read(path)]
