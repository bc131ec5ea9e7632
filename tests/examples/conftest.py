"""What the tests of the examples share."""

from __future__ import annotations

import pathlib

import pytest

from ..reading.conftest import Write, write  # noqa: F401 (a fixture)
from . import days


@pytest.fixture(scope="session")
def closed(write: Write, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:  # noqa: F811
    """A directory with closed days, as a container has them."""
    root = tmp_path_factory.mktemp("closed-days")
    days.close(root, tmp_path_factory.mktemp("scratch"), write)
    return root
