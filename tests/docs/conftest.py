"""What commands of the pages are run with."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import shlex
import sys

import pytest

from ..apiserver.conftest import actors, operated, webhook_api  # noqa: F401 (fixtures)
from ..conftest import Azurite
from .pages import Block, typed

Run = collections.abc.Callable[..., str]


def run(
    block: Block, directory: pathlib.Path, variables: collections.abc.Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Run a block as a shell would; return what it printed, and the variables as it leaves them."""
    path = variables.get("PATH") or f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    left = directory / "variables"
    environment = {**os.environ, **variables, "PATH": path}
    said = typed(f"# {block.id}\n{block.text}\nenv -0 > {shlex.quote(str(left))}", directory, environment)
    return said, dict(each.split("=", 1) for each in left.read_text().split("\0") if each)


@pytest.fixture
def account(local_azurite: Azurite) -> dict[str, str]:
    """The variables that name a storage account."""
    connection = local_azurite.connection_string
    return {
        "CONNECTION": connection,
        "AZURE_STORAGE_CONNECTION_STRING": connection,
        "ENDPOINT": local_azurite.endpoint,
    }
