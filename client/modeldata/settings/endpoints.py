"""Storage that is a directory of this machine: ``file:///data`` in the place of a blob endpoint."""

from __future__ import annotations

import pathlib

_SCHEME = "file:"


def is_directory(endpoint: str) -> bool:
    """Return whether an endpoint is a directory's, or means to be."""
    return endpoint.lower().startswith(_SCHEME)


def directory(endpoint: str, container: str) -> pathlib.Path | None:
    """Return the directory that is the container; None where the endpoint is a blob service's.

    Raises:
        ValueError: it means to be a directory's, and is no absolute path of this machine, or the container is no name.

    """
    if not is_directory(endpoint):
        return None
    import urllib.parse  # 2 ms, where there is such an endpoint

    url = urllib.parse.urlsplit(endpoint)
    path = urllib.parse.unquote(url.path)
    if url.netloc or not path.strip("/") or not path.startswith("/") or "\0" in path:
        raise ValueError(f"endpoint is {endpoint!r}: a directory is named by file:// and its absolute path")
    if container in ("", ".", "..") or "/" in container or "\0" in container:
        raise ValueError(f"container is {container!r}: in a directory it is the name of one below it")
    return pathlib.Path(path) / container
