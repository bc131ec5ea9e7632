"""A store of collected files."""

from __future__ import annotations

import os
import typing

from .. import catalog
from ..days import template
from . import model as models
from . import opening, selecting

if typing.TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


class Store:
    """What was collected into a container or a directory."""

    def __init__(
        self,
        url: str | os.PathLike[str],
        credential: str | TokenCredential | None = None,
        *,
        path: str = template.DEFAULT,
        memory: str = "2GB",
        scratch: str | os.PathLike[str] | None = None,
    ) -> None:
        self._reader = opening.Reader(
            catalog.open_store(os.fspath(url), credential), template.Template(path), memory, scratch
        )

    def __repr__(self) -> str:
        """Return its address; no credential is in it."""
        return f"<Store {self._reader.store.address}>"

    def model(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        webservice: str | None = None,
        workspace: str | None = None,
        resource_group: str | None = None,
        subscription: str | None = None,
        namespace: str | None = None,
    ) -> models.Model:
        """Return the rows of a model."""
        given = {
            "model": name,
            "version": selecting.ALL if version is None else version,
            "webservice": webservice,
            "workspace": workspace,
            "resourceGroup": resource_group,
            "subscription": subscription,
            "namespace": namespace,
        }
        return models.Model(self._reader, selecting.choose(self._reader.path, given))
