"""Stores of both kinds."""

from __future__ import annotations

import os
import pathlib
import random
import typing

import pytest

from modeldata_analytics.catalog import open_store

from ..conftest import Azurite
from . import azure_proxy, stores


@pytest.fixture(params=["contained", "local"])
def filled(request: pytest.FixtureRequest) -> stores.Filled:
    made: stores.Filled = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def local(tmp_path: pathlib.Path) -> stores.Filled:
    root = tmp_path / "store"
    root.mkdir()
    return stores.Filled(open_store(str(root)), root=root)


@pytest.fixture
def contained(local_azurite: Azurite) -> stores.Filled:
    made = stores.container(local_azurite)
    store = open_store(f"{local_azurite.endpoint}/{made.container_name}", local_azurite.account_key)
    return stores.Filled(store, container=made)


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


@pytest.fixture
def proxy(local_azurite: Azurite) -> typing.Iterator[azure_proxy.AzureProxy]:
    """As Azure, in front of Azurite."""
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MODELDATA_TEST_SEED={seed}")
    made = azure_proxy.AzureProxy(local_azurite, random.Random(seed))
    yield made
    made.close()
