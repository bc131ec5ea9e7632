"""Where everything lies: the cluster's state, the cache, and the addresses the cluster takes on this machine."""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from console import ProblemError

NODE_NAME = "node1"
NODE_IP = "10.201.0.1"
SERVICES = "10.202.0.0/24"
API_SERVICE_IP = "10.202.0.1"
PODS = "10.203.0.0/24"
API_PORT = 6443

REPOSITORY = Path(__file__).resolve().parent.parent
MODULES = Path(__file__).resolve().parent / "modules"

DEFAULT_STATE = "/var/lib/modeldata/localcluster"
MARKER = ".modeldata-localcluster"

# A unix socket's path may have 107 bytes; the kubelet's longest one below the state directory takes 40 of them.
LONGEST_STATE = 64


@dataclasses.dataclass(frozen=True)
class Layout:
    """The directories of one cluster. Machine-wide by default, since its ports and addresses are machine-wide too."""

    state: Path
    cache: Path
    named_programs: Path | None = None
    """The programs' directory the user named; it is only read."""

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def kubeconfig(self) -> Path:
        return self.pki / "admin.conf"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd" / "containerd.sock"

    @property
    def kubelet_root(self) -> Path:
        return self.state / "kubelet"


def from_environment(environment: Mapping[str, str] | None = None) -> Layout:
    """The layout that the environment asks for. Raises ProblemError if it can't work."""
    env = os.environ if environment is None else environment
    # mount(8) and /proc/mounts show real paths, so that is what the state directory is called everywhere.
    state = Path(os.path.realpath(env.get("LOCALCLUSTER_STATE") or DEFAULT_STATE))
    if len(os.fsencode(state)) > LONGEST_STATE:
        raise ProblemError(
            f"the state directory {state} is too long by {len(os.fsencode(state)) - LONGEST_STATE} characters: unix "
            "sockets lie in it, whose paths the kernel limits. Set LOCALCLUSTER_STATE to one of at most "
            f"{LONGEST_STATE}."
        )
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", str(state)) or len(state.parts) < 3:
        raise ProblemError(
            f"the state directory {state} can't be used: its name goes into configuration files of several formats, so "
            "it must be at least two levels deep, and of letters, digits, '.', '_' and '-'. Set LOCALCLUSTER_STATE."
        )
    caches = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or "/root") / ".cache")
    named = env.get("LOCALCLUSTER_BIN")
    return Layout(
        state=state,
        cache=Path(caches).absolute() / "modeldata",
        named_programs=Path(named).absolute() if named else None,
    )


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file whole or not at all, so that an interruption never leaves half a configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)
