"""A store of collected files."""

from __future__ import annotations

import os
import typing

from .. import catalog
from ..days import template
from . import listing, opening, selecting
from . import model as models

if typing.TYPE_CHECKING:
    import pandas
    from azure.core.credentials import AzureSasCredential, TokenCredential


class Store:
    """What was collected into a container or a directory. Nothing is asked of it before it is read.

    Args:
        url: ``https://<account>.blob.core.windows.net/<container>``, a SAS behind it or not; a directory, also as
            ``file:///<directory>``; or a container's name, where the credential is a connection string.
        credential: the account's key, a SAS, a connection string, or what gives tokens, such as
            ``azure.identity.DefaultAzureCredential()``. To read takes a SAS that may read and list (``sp=rl``), or
            the role *Storage Blob Data Reader*. A directory takes none.
        path: ``spec.storage.path`` of the DataCollection, unless it is the default.
        memory: what DuckDB may take before it goes on on the disk. A frame of pandas comes on top of it.
        scratch: a directory with room for what is read, in which a directory of mode 0700 is made for as long as it
            is read; default: the system's for temporary files (``TMPDIR``).

    Raises:
        StoreAddressError: there can be no store at the address, or the credential does not fit it.
        TemplateError: no collected file can have such a path.

    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        credential: str | AzureSasCredential | TokenCredential | None = None,
        *,
        path: str = template.DEFAULT,
        memory: str = "1GB",
        scratch: str | os.PathLike[str] | None = None,
    ) -> None:
        store = catalog.open_store(os.fspath(url), credential)
        self._reader = opening.Reader(store, template.Template(path), memory, scratch)

    @classmethod
    def of(cls, reader: opening.Reader) -> Store:
        """Return the store of what is open already."""
        made = cls.__new__(cls)
        made._reader = reader
        return made

    def __repr__(self) -> str:
        """Return its address; no credential is in it."""
        return f"<Store {self._reader.store.address}>"

    def streams(self) -> pandas.DataFrame:
        """Return what there is: a row for each designation of each version of a model. No row is read for it.

        Its columns: ``workspace``, ``webservice``, ``model``, ``version``, ``designation``; the ``first`` and ``last``
        day, and how many ``days`` have files; ``rows`` (``<NA>`` where some are not closed: only reading tells);
        ``closed_rows``; raw ``files``, their ``bytes``, and ``open_bytes``, those that are not closed; ``closed_days``,
        and ``closed_through``, the day up to which all are closed.

        Raises ``StorageError`` and ``ManifestError``.
        """
        return listing.frame(listing.streams(self._reader.store, self._reader.path, template.Wanted()))

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
        """Return the rows of a model; names are those that its collector was given.

        Without ``version``, all versions are read, and the column ``$Version`` tells which. All else that is left out
        must be one and the same wherever the model was collected: rows of two web services of one name are not mixed
        unasked. ``"*"`` takes all of them, and a column tells which (``$Webservice``, ``$Workspace``,
        ``$ResourceGroup``, ``$Subscription``, ``$Namespace``). Predictions are joined within these; labels and the like
        by the request alone, as another process may collect them, unless an id stands among them more than once.

        Raises ``NotFoundError`` where the store's path does not tell what is named. What is there is looked up when it
        is read.
        """
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
