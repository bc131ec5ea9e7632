"""A built image, as it lies in the cache's OCI layout: a manifest that names its configuration and layers by digest."""

import dataclasses
import json
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclasses.dataclass(frozen=True)
class Image:
    """An image: the name that pods call it by, and the digest of its manifest."""

    name: str
    digest: str
    layout: Path

    def path(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")

    def blobs(self) -> list[str]:
        """The digests of all that belongs to it, the manifest first. Raises OSError if that is not there."""
        manifest = self._manifest()
        return [self.digest, manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]

    def complete(self) -> bool:
        """Whether all that belongs to it is there."""
        try:
            return all(self.path(digest).exists() for digest in self.blobs())
        except (OSError, ValueError, KeyError):
            return False

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": MANIFEST, "digest": self.digest, "size": self.path(self.digest).stat().st_size}

    def _manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.path(self.digest).read_text())
        return manifest
