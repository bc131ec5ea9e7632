"""The cluster's programs: from a directory the user names, else from the cache, else built from their Go modules."""

import concurrent.futures
import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import lock
import requirements
from console import ProblemError, note
from layout import MODULES, Layout


@dataclasses.dataclass(frozen=True)
class Module:
    """A Go module below modules/, and the programs that its packages become."""

    name: str
    packages: dict[str, str]
    """Program: package."""
    source: str
    """The module whose version is the programs' own."""


KUBERNETES = Module(
    "kubernetes",
    {
        program: f"k8s.io/kubernetes/cmd/{program}"
        for program in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    "k8s.io/kubernetes",
)
ALL = (
    KUBERNETES,
    Module("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, "go.etcd.io/etcd/server/v3"),
    Module("coredns", {"coredns": "."}, "github.com/coredns/coredns"),
    Module("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}, "helm.sh/helm/v3"),
)
NAMES = tuple(program for module in ALL for program in module.packages)


def find_or_build(layout: Layout) -> Path:
    """The directory with all programs in it."""
    if layout.named_programs is not None:
        missing = lacking(layout.named_programs)
        if missing:
            raise ProblemError(
                f"LOCALCLUSTER_BIN names {layout.named_programs}, which has no {', '.join(missing)}. Complete it, or "
                "unset it: then the programs are built."
            )
        return layout.named_programs
    directory = cached(layout)
    if lacking(directory):
        with lock.held(layout.cache / "programs.lock", "another localcluster's build"):
            _build(directory)
    return directory


def directory(layout: Layout) -> Path:
    """Where the programs are, or will be."""
    return layout.named_programs or cached(layout)


def lacking(directory: Path) -> list[str]:
    """The programs that this directory does not have."""
    return [name for name in NAMES if not os.access(directory / name, os.X_OK)]


def cached(layout: Layout) -> Path:
    """The cache's directory for the programs as modules/ describes them now: an upgrade goes to a new one."""
    return layout.cache / "programs" / key(MODULES)


def key(modules: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(modules.glob("*/*")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(modules)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def version(module: Module) -> str:
    """The version that modules/ pins, such as v1.35.4."""
    pinned = re.search(rf"\b{re.escape(module.source)} (v\S+)", (MODULES / module.name / "go.mod").read_text())
    if pinned is None:
        raise ProblemError(f"localcluster/modules/{module.name}/go.mod does not require {module.source}.")
    return pinned[1]


def _build(directory: Path) -> None:
    go = requirements.go()
    note("building the cluster's programs from their Go modules: minutes the first time, never again until an upgrade")
    directory.mkdir(parents=True, exist_ok=True)
    for unfinished in directory.glob(".unfinished.*"):
        shutil.rmtree(unfinished)
    # A name of its own each time: the compiler that a killed run has started may still be writing into the former.
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished.", dir=directory))
    # Two lanes: Kubernetes is most of the work, and the others fill its pauses (downloads, links).
    with concurrent.futures.ThreadPoolExecutor() as lanes:
        rest = [module for module in ALL if module is not KUBERNETES]
        builds = [lanes.submit(_build_modules, lane, go, unfinished, directory) for lane in ([KUBERNETES], rest)]
        for build in builds:
            build.result()
    shutil.rmtree(unfinished)


def _build_modules(modules: Sequence[Module], go: str, unfinished: Path, directory: Path) -> None:
    for module in modules:
        wanted = {program: package for program, package in module.packages.items() if program in lacking(directory)}
        if not wanted:
            continue
        # Several packages go by one call, so that one is linked while another compiles; each is named after its last
        # element.
        target = f"{unfinished}/" if len(wanted) > 1 else str(unfinished / next(iter(wanted)))
        # Debugging information is made at some expense, and stripped by the linker.
        command = [go, "build", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", _link_flags(module), "-o", target]
        begun = time.monotonic()
        done = subprocess.run(
            ["nice", "-n", "0" if module is KUBERNETES else "10", *command, *wanted.values()],
            cwd=MODULES / module.name,
            # Static programs run on whatever machine the cache is carried to, and need no C compiler. The compiler
            # collecting its garbage less often saves a sixth of the time (measured with etcd), for some memory.
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOGC": "800"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProblemError(f"`{' '.join(command[:2])}` failed for {module.name}:\n{done.stderr[-2000:]}")
        for program in wanted:
            (unfinished / program).replace(directory / program)
        note(f"built {', '.join(wanted)} {version(module)}: {time.monotonic() - begun:.0f} s")


def _link_flags(module: Module) -> str:
    """What stamps the version: built as a dependency, Kubernetes would call itself v0.0.0, and clients misread that."""
    release = version(module)
    if module is KUBERNETES:
        major, minor = release.removeprefix("v").split(".")[:2]
        stamps = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())
    if module.name == "helm":
        return f"-s -w -X helm.sh/helm/v3/internal/version.version={release}"
    return "-s -w"
