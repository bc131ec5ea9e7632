"""What programs leave in directories of the machine that no setting of theirs moves, and its removal."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from layout import Layout, write

# The kubelet's socket for device plugins; the CNI library's results and lock; containerd's and runc's notes of what
# runs; the kubelet's links to logs.
DIRECTORIES = tuple(
    map(Path, ("/var/lib/kubelet", "/var/lib/cni", "/etc/cni", "/run/containerd", "/var/log/containers"))
)
FILES = (Path("/var/lib/kubelet/device-plugins/kubelet.sock"), Path("/etc/cni/net.d/cni.lock"))
RESULTS = Path("/var/lib/cni/results")


def remember(layout: Layout) -> None:
    """Notes once, before the cluster starts, which of these directories are not the cluster's doing."""
    noted = layout.state / "directories.before.json"
    if not noted.exists():
        write(noted, json.dumps([str(directory) for directory in DIRECTORIES if directory.exists()]))


def remove(layout: Layout) -> None:
    """Removes what the cluster left there, and of the directories those that it made and nobody has used since."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.state):
            link.unlink()
    for result in RESULTS.glob("pods-*"):
        if str(layout.state) in result.read_text(errors="replace"):
            result.unlink()
    try:
        before = json.loads((layout.state / "directories.before.json").read_text())
    except (OSError, ValueError):
        return
    made = [directory for directory in DIRECTORIES if str(directory) not in before]
    for file in FILES:
        if any(file.is_relative_to(directory) for directory in made):
            file.unlink(missing_ok=True)
    for directory in made:
        for empty in _deepest_first(directory):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _deepest_first(directory: Path) -> Iterator[Path]:
    if directory.is_dir():
        for entry in directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                yield from _deepest_first(entry)
        yield directory
