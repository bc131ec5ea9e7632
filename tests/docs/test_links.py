"""Every link of the pages leads to a file that there is, and to a heading in it."""

from __future__ import annotations

import pathlib
import re
import urllib.parse

import pytest

from .pages import DOCS, PAGES, REPOSITORY

LINKS = sorted(
    {
        (str(page.relative_to(REPOSITORY)), target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
        if not target.startswith("https://")
    }
)


def anchors(page: pathlib.Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page}-{target}" for page, target in LINKS])
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = urllib.parse.unquote(target).partition("#")
    there = (REPOSITORY / page).parent / path if path else REPOSITORY / page
    assert there.exists()
    if anchor:
        assert anchor in anchors(there)


def test_the_index_names_every_page() -> None:
    named = set(re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "README.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "decisions" not in page.parts}
    assert pages - {"README.md"} == named
