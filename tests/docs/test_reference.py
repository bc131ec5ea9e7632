"""docs/reference says what the sources say."""

from __future__ import annotations

import importlib.util

from .pages import DOCS, REPOSITORY


def test_the_reference_is_current() -> None:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    made = generate.made()
    whole = {path for path in made if path.parent.name == "reference"}
    assert whole == set((DOCS / "reference").glob("*"))
    assert made.keys() - whole == {DOCS / "compatibility.md"}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(REPOSITORY)}: make reference"
