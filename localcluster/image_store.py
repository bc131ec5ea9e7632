"""The images that containerd holds for the cluster's pods, and its containers."""

import io
import json
import subprocess
import tarfile

import requirements
from console import ProblemError, step
from layout import Layout
from oci import Image


def answers(layout: Layout) -> bool:
    """Whether containerd serves."""
    return layout.containerd_socket.exists() and _ctr(layout, "version").returncode == 0


def bring(layout: Layout, image: Image) -> bool:
    """Imports the image unless containerd holds just this content under its name. Returns whether it had to."""
    if digests(layout).get(image.name) == image.digest:
        return False
    present = set(_ctr(layout, "content", "list", "--quiet").stdout.decode().split())
    with step(f"importing {image.name} into the cluster"):
        # Kubernetes' part of containerd hears of the import, so that pods made from now on get this content.
        done = _ctr(layout, "images", "import", "-", content=_archive(image, present))
    if done.returncode:
        raise ProblemError(f"containerd did not take the image {image.name}: {done.stderr.decode()[-800:]}")
    return True


def digests(layout: Layout) -> dict[str, str]:
    """The digest of each image that the cluster holds, by name."""
    lines = _ctr(layout, "images", "list").stdout.decode().splitlines()[1:]
    return {fields[0]: fields[2] for fields in map(str.split, lines)}


def containers(layout: Layout) -> list[str]:
    """The ids of all containers, pods' sandboxes included."""
    return _ctr(layout, "containers", "list", "--quiet").stdout.decode().split()


def remove_containers(layout: Layout) -> None:
    """Ends and removes all containers, whatever they are doing."""
    if not answers(layout):
        return
    for container in containers(layout):
        _ctr(layout, "tasks", "delete", "--force", container)
        _ctr(layout, "containers", "delete", container)


def _archive(image: Image, present: set[str]) -> bytes:
    """The image as an OCI archive, without the layers that are there already: they are most of its bytes."""
    index = {
        "schemaVersion": 2,
        "manifests": [{**image.descriptor(), "annotations": {"io.containerd.image.name": image.name}}],
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", json.dumps(index).encode())
        for digest in image.blobs():
            if digest not in present:
                path = image.path(digest)
                archive.add(path, f"blobs/{digest.replace(':', '/')}")
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _ctr(layout: Layout, *arguments: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    program = requirements.find("ctr") or "ctr"
    command = [program, "--address", str(layout.containerd_socket), "--namespace", "k8s.io", *arguments]
    try:
        return subprocess.run(command, input=content, capture_output=True, check=False, timeout=600 if content else 20)
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        return subprocess.CompletedProcess(command, 1, b"", str(error).encode())
