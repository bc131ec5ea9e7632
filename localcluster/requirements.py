"""What the machine must have, and how it gets it."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import network
from console import ProblemError, step
from layout import MODULES
from processes import SEARCH_PATH


@dataclasses.dataclass(frozen=True)
class Requirement:
    """Something that must be there, and the Debian package it comes in."""

    what: str
    package: str
    present: Callable[[], bool]


def program(name: str, package: str) -> Requirement:
    return Requirement(name, package, lambda: find(name) is not None)


def find(name: str) -> str | None:
    """Where a program is. Also looks where a plain user's PATH does not."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SEARCH_PATH)


def links_statically() -> bool:
    """Whether the C compiler has what a static program needs."""
    if find("cc") is None:
        return False
    answer = subprocess.run(["cc", "-print-file-name=libc.a"], capture_output=True, text=True, check=False)
    return "/" in answer.stdout


CLUSTER = (
    program("containerd", "containerd"),
    program("ctr", "containerd"),
    program("runc", "runc"),
    Requirement(
        f"the CNI plugins {', '.join(network.PLUGINS)}",
        "containernetworking-plugins",
        lambda: network.plugin_directory() is not None,
    ),
    program("ip", "iproute2"),
    program("nft", "nftables"),
    program("iptables", "iptables"),
    program("conntrack", "conntrack"),
    program("mount", "mount"),
    program("openssl", "openssl"),
)

IMAGES = (
    program("buildah", "buildah"),
    program("mmdebstrap", "mmdebstrap"),
    program("cc", "gcc"),
    Requirement("libc.a", "libc6-dev", links_statically),
)

NODE = (program("npm", "npm"),)


def need_root() -> None:
    if os.geteuid() != 0:
        raise ProblemError("this needs root, to start containers and to set addresses and mounts. Run it with sudo.")


def need(requirements: Iterable[Requirement]) -> None:
    """Installs what is missing where apt is there; otherwise raises ProblemError naming all of it."""
    missing = [requirement for requirement in requirements if not requirement.present()]
    if not missing:
        return
    packages = sorted({requirement.package for requirement in missing})
    names = ", ".join(requirement.what for requirement in missing)
    if os.geteuid() != 0 or find("apt-get") is None:
        raise ProblemError(
            f"missing: {names}. They are in the Debian and Ubuntu packages {' '.join(packages)}: install them, or what "
            "your distribution calls them."
        )
    with step(f"installing {' '.join(packages)} (for {names})"):
        _install(packages)
    still = [requirement.what for requirement in missing if not requirement.present()]
    if still:
        raise ProblemError(
            f"the packages {' '.join(packages)} are installed, but there is still no {', '.join(still)}."
        )


def _install(packages: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    log = ""
    # A fresh machine knows no packages, or only old versions of them, until it has updated its lists once.
    for attempt in (command, ["apt-get", "update"], command):
        done = subprocess.run(attempt, env=environment, capture_output=True, text=True, check=False)
        log = done.stdout + done.stderr
        if attempt is command and done.returncode == 0:
            return
    raise ProblemError(f"`{' '.join(command)}` failed:\n{log[-1500:]}")


def need_kernel() -> None:
    """Raises ProblemError if the kernel lacks what containers need."""
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        subprocess.run(["modprobe", "overlay"], capture_output=True, check=False)
    lacking = []
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        lacking.append("overlayfs (`modprobe overlay`)")
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    if tables.returncode:
        lacking.append(f"nftables ({tables.stderr.strip()})")
    pair = ["ip", "link", "add", "lc-check0", "type", "veth", "peer", "name", "lc-check1"]
    subprocess.run(["ip", "link", "delete", "lc-check0"], capture_output=True, check=False)
    veth = subprocess.run(pair, capture_output=True, text=True, check=False)
    subprocess.run(["ip", "link", "delete", "lc-check0"], capture_output=True, check=False)
    if veth.returncode:
        lacking.append(f"veth devices or the right to make them ({veth.stderr.strip()})")
    if lacking:
        raise ProblemError(f"this machine's kernel lacks {'; '.join(lacking)}. Containers need it.")


def go() -> str:
    """The Go to build with. Raises ProblemError if there is none, or only one that is too old for the modules."""
    wanted = wanted_go(path.read_text() for path in MODULES.glob("*/go.mod"))
    way = (
        f"Install Go {'.'.join(map(str, wanted))} or later (Debian's own may be older), or set LOCALCLUSTER_BIN to a "
        "directory that holds the programs."
    )
    found = find("go") or shutil.which("/usr/local/go/bin/go")
    if found is None:
        raise ProblemError(f"there is no Go, and the cluster's programs are built with it. {way}")
    answer = subprocess.run([found, "version"], capture_output=True, text=True, check=False, cwd="/").stdout
    version = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer)
    if version is None or tuple(int(part or 0) for part in version.groups()) < wanted:
        raise ProblemError(f"{found} is too old ({answer.strip() or 'it tells no version'}). {way}")
    return found


def wanted_go(modules: Iterable[str]) -> tuple[int, ...]:
    """The newest Go version that one of these go.mod files asks for."""
    asked = (re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", module, re.MULTILINE) for module in modules)
    return max(tuple(int(part or 0) for part in match.groups()) for match in asked if match)


def need_pip() -> None:
    """The pip of the Python that runs this: it fetches the wheels."""

    def present() -> bool:
        asked = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
        return asked.returncode == 0

    if present():
        return
    if sys.executable != "/usr/bin/python3":  # another Python is not apt's business
        raise ProblemError(f"{sys.executable} has no pip; `{sys.executable} -m ensurepip` installs it.")
    need([Requirement("pip", "python3-pip", present)])
