"""What of a pod stands where collecting needs room."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import names, platforms, pod_token
from .reasons import Reason

WRITABLE_ANCESTOR_KINDS = ("emptyDir",)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something of the user's that stands where collecting needs room. No container: it concerns the whole pod."""

    container: str | None
    reason: Reason
    message: str
    of_token: bool = False
    """It stands only in the way of a service account token."""


def obstacles(spec: Mapping[str, Any]) -> Iterable[Obstacle]:
    """Find what the user defined under our names or around our directory, and nodes that it can't be done on."""
    for reason, message in platforms.unfit(spec):
        yield Obstacle(None, reason, message)
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    for name, kind in (
        (names.SETTINGS_VOLUME, "downwardAPI"),
        (names.CREDENTIAL_VOLUME, "secret"),
        (names.SPOOL_VOLUME, "emptyDir"),
    ):
        if name in volumes and kind not in volumes[name]:
            yield Obstacle(None, Reason.NAME_TAKEN, f"the pod already has a volume {name} of another kind")
    if "downwardAPI" in volumes.get(names.SETTINGS_VOLUME, {}) and not _has_settings(volumes[names.SETTINGS_VOLUME]):
        yield Obstacle(
            None, Reason.NAME_TAKEN, f"the pod already has a volume {names.SETTINGS_VOLUME} without our settings"
        )
    if names.IDENTITY_VOLUME in volumes and not pod_token.is_token(volumes[names.IDENTITY_VOLUME]):
        message = f"the pod already has a volume {names.IDENTITY_VOLUME} without a service account token"
        yield Obstacle(None, Reason.NAME_TAKEN, message, of_token=True)
    if not spec.get("serviceAccountName"):
        # Elsewhere it is set before a webhook is asked; the API server refuses a token of nobody.
        yield Obstacle(None, Reason.NAME_TAKEN, "the pod has no service account to sign in with", of_token=True)
    for container in (*(spec.get("containers") or ()), *sidecars(spec)):
        yield from _container_obstacles(container, volumes)


def sidecars(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the init containers that run as long as the pod does."""
    return [container for container in spec.get("initContainers") or () if container.get("restartPolicy") == "Always"]


def _has_settings(volume: Mapping[str, Any]) -> bool:
    """Tell whether a volume shows our annotation in the file that the client looks for."""
    annotation = f"metadata.annotations['{names.SETTINGS_ANNOTATION}']"
    return any(
        item.get("path") == names.SETTINGS_FILE and (item.get("fieldRef") or {}).get("fieldPath") == annotation
        for item in (volume.get("downwardAPI") or {}).get("items") or ()
    )


def _container_obstacles(container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> Iterable[Obstacle]:
    name = container.get("name", "")
    for variable in container.get("env") or ():
        if variable.get("name") == names.DIRECTORY_VARIABLE and variable.get("value") != names.DIRECTORY:
            yield Obstacle(name, Reason.NAME_TAKEN, f"container {name} sets {names.DIRECTORY_VARIABLE} itself")
    ours = (names.SETTINGS_VOLUME, names.CREDENTIAL_VOLUME, names.SPOOL_VOLUME, names.IDENTITY_VOLUME)
    for mount in container.get("volumeMounts") or ():
        path, volume = posixpath.normpath(mount.get("mountPath", "")), mount.get("name", "")
        if volume in ours:
            continue
        if _inside(path, names.DIRECTORY):
            yield Obstacle(name, Reason.PATH_TAKEN, f"container {name} mounts {volume} at {path}")
        elif _above(path) and (
            mount.get("readOnly") or not any(kind in volumes.get(volume, {}) for kind in WRITABLE_ANCESTOR_KINDS)
        ):
            # The runtime makes our mount points inside that volume; in one that can't be written the container would
            # never start.
            yield Obstacle(
                name, Reason.PATH_TAKEN, f"container {name} mounts {volume} at {path}, where no directory can be made"
            )


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _above(path: str) -> bool:
    # /var/run is a link to /run in most images.
    return any(_inside(directory, path) for directory in (names.DIRECTORY, "/run/modeldata"))
