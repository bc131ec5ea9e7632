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
    assert sorted(path.name for path in made) == sorted(path.name for path in (DOCS / "reference").glob("*"))
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(REPOSITORY)}: make reference"
