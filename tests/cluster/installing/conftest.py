"""These tests begin in a cluster that has no operator, and leave none."""

from __future__ import annotations

import pytest

from ..installation import Installation


@pytest.fixture(scope="module", autouse=True)
def no_operator(installation: Installation) -> None:
    """Take the operator out that the other tests share."""
    installation.take_out()
