from __future__ import annotations

import pathlib
import re

from modeldata_operator.api.reasons import Reason

REPOSITORY = pathlib.Path(__file__).parents[2]


def test_what_the_page_explains_are_the_reasons_there_are():
    table = (REPOSITORY / "docs/rollouts.md").read_text(encoding="utf-8").partition("## Reasons")[2]
    explained = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert len(explained) > 20
    assert explained <= {reason.value for reason in Reason}


def test_whatever_a_user_may_be_told_is_explained_somewhere():
    # These say why a pod is served, or is none of our business, and are told to nobody.
    untold = {Reason.NAMED, Reason.SELECTED, Reason.DEFAULT, Reason.OPERATOR_DEFAULT, Reason.NOT_SELECTED}
    pages = "".join(page.read_text(encoding="utf-8") for page in (REPOSITORY / "docs").glob("*.md"))
    unexplained = [reason.value for reason in Reason if f"`{reason.value}`" not in pages]
    assert set(unexplained) <= {reason.value for reason in (*untold, Reason.MIRROR_POD)}
