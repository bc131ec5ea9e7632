"""The notebook of examples/notebook does what it shows: it is run anew, and what is kept in it is of the same shape."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import re
import sys
import types
import typing

import nbformat
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "examples/notebook"
(NOTEBOOK,) = FOLDER.glob("*.ipynb")


@pytest.fixture(scope="module")
def execute() -> types.ModuleType:
    """What keeps its outputs."""
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(notebook: typing.Any) -> list[tuple[str, list[dict[str, typing.Any]]]]:
    """Return each code cell and what it shows."""
    return [
        (cell.source, [shown(each) for each in cell.outputs]) for cell in notebook.cells if cell.cell_type == "code"
    ]


def shown(output: typing.Any) -> dict[str, typing.Any]:
    """Return an output without what another run changes: times, sizes in bytes, and which rows came first."""
    data = {"text/plain": output.text} if output.output_type == "stream" else dict(output.data)
    text = data["text/plain"]
    if "image/png" not in data:
        text = re.sub(r"-?\d+[-\d:.+]*\d", "<number>", text)
        text = re.sub(r" +", " ", text)
    return {"kind": output.output_type, "types": sorted(data), "text": text}


def counts(notebook: typing.Any) -> dict[str, int]:
    """Return the last word of what was counted."""
    (text,) = (
        each
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for each in [_text(output)]
        if "rows sent" in each
    )
    return {name.strip(): int(count) for name, count in re.findall(r"^([a-z ]+?) +(\d+)$", text, re.MULTILINE)}


def _text(output: typing.Any) -> str:
    return str(output.get("data", {}).get("text/plain", ""))


COUNTED = {"rows sent": 442, "rows in the table": 442, "ids that stand twice": 0, "answers that differ": 0}


@pytest.mark.timeout(300)
def test_run_anew_it_shows_what_is_kept(execute: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    kept = nbformat.read(NOTEBOOK, as_version=4)
    found = execute.executed()
    assert counts(kept) == counts(found) == COUNTED
    assert outputs(found) == outputs(kept)


def test_what_is_kept_holds_nothing_of_the_machine_where_it_ran() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    text = json.dumps([cell.get("outputs") for cell in notebook.cells]) + json.dumps(notebook.metadata)
    assert not re.search(r"/(root|home|tmp|work|var|usr|opt|Users)/|[A-Z]:\\\\", text)
    assert not any(
        each.output_type == "error" or each.get("name") == "stderr"
        for cell in notebook.cells
        for each in cell.get("outputs", [])
    )
